"""Geometry agrees with itself, over every registered family: depth, segmentation, normals, both
flows, cameras and tracks of one clip are checked against each other by arithmetic of the tests'
own, twice: as they were rendered, and as the store holds them. Bounds are about twice what was
measured over all families at 64 x 64; those of stored numbers add what rounding them may do.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from geometry_clips import (
    SIZE,
    clips,
    depth_error_m,
    distances,
    grid,
    moved_points,
    picture_of,
    sampled,
    stored_clips,
    turn,
    world_points,
)
from render_scenes import reference
from scipy.ndimage import maximum_filter, minimum_filter

from simgen.families import FAMILIES

COLOUR_MEDIAN = 25.0  # of 255, moving pixels against the warped neighbour frame, in each family
# A skater turns by 80 degrees a frame and is lit from another side then: 30 was measured
SPUN_MEDIAN = {"triple_axel": 40.0}
ALL_MEDIAN, ALL_P90 = 2.0, 16.0  # the same over all families
MOVES_PX, SHOWN_SHARE = 0.2, 0.3  # still pixels agree anyway; of pixels seen in both frames
FLOW_PX = 1e-4  # flow against the points' own way
CANCEL_PX, CANCEL_SHARE = 1e-3, 0.5  # flow there and back, and a share of its change in a pixel
CANCEL_MOST = 0.99  # of the pixels: edges between faces bend it more
SURFACE_M, SURFACE_SHARE = 1e-4, 2e-5  # of a pixel's point, and a share of its depth
TRACK_PX = 1.0
NORMAL_MEDIAN_DEG, NORMAL_P95_DEG = 1.0, 6.0
OVERLAP, SMALL_PX = 0.98, 30  # intersection over union; of bodies with more pixels in the clip

MOVING_LEAST = 80  # moving pixels of a family whose colours are compared, by each flow
forms = pytest.mark.parametrize("form", [clips, stored_clips], ids=["rendered", "stored"])
families = pytest.mark.parametrize("name", sorted(FAMILIES))


def warps(clip, channel):
    """Each neighbouring pair: where each pixel goes, where it should, and whether it shows there.

    Yields:
        Frame, other row, target pixels by the stored flow, by the points, how far these are apart
        at most by rounding, the mask of pixels that the other frame shows (all four around the
        target have the label and the depth), and the mask of those that move.
    """
    step = 1 if channel == "flow" else -1
    x, y = grid()
    for t in range(len(clip.track)):
        to = t + step
        if not 0 <= to < len(clip.track):
            continue
        target = np.stack([x, y], -1) + clip.frames[channel][t]
        label = clip.frames["segmentation"][t]
        expected, depth = picture_of(clip, moved_points(clip, t, to), to)
        farther, _ = picture_of(clip, moved_points(clip, t, to, off=1.0), to)
        unsure = np.abs(farther - expected) + clip.error(channel, clip.frames[channel][t])
        _, labels = sampled(clip.frames["segmentation"][to], target)
        _, depths = sampled(clip.frames["depth"][to], target)
        near = np.ptp(depths[..., 0], axis=0) < 0.05 * depth
        near &= np.abs(depths[..., 0] - depth).max(0) < 0.05 * depth
        near &= (labels == label).all((0, -1)) & (label[..., 0] > 0)
        moves = np.abs(clip.frames[channel][t]).max(-1) > MOVES_PX
        yield t, to, target, expected, unsure, near, moves


@cache
def colour_errors(form, name, channel):
    """Largest difference in a colour channel, of 255, of each moving pixel from its warped one."""
    errors = [np.zeros(0)]
    for clip in form(name):
        for t, to, target, _, _, shown, moves in warps(clip, channel):
            label = clip.frames["segmentation"][t, ..., 0]
            inner = minimum_filter(label, 3) == maximum_filter(label, 3)  # outlines are smoothed
            colour, _ = sampled(clip.frames["rgb"][to], target)
            error = np.abs(colour - clip.frames["rgb"][t]).max(-1)
            errors.append(error[shown & moves & inner])
    return np.concatenate(errors)


@forms
@pytest.mark.parametrize("channel", ["flow", "backward_flow"])
@families
def test_warping_a_neighbour_frame_gives_this_one(name, channel, form):
    shares = []
    for clip in form(name):
        for t, _, target, expected, unsure, shown, _ in warps(clip, channel):
            off = np.abs(target - expected) - 1.1 * unsure  # the bound is of what was rendered
            assert off[shown].max(initial=0) < FLOW_PX, t
            shares.append(shown[clip.frames["segmentation"][t, ..., 0] > 0].mean())
    assert np.mean(shares) > SHOWN_SHARE
    error = colour_errors(form, name, channel)
    assert len(error) >= MOVING_LEAST
    assert np.median(error) <= SPUN_MEDIAN.get(name, COLOUR_MEDIAN)


@forms
@pytest.mark.parametrize("channel", ["flow", "backward_flow"])
def test_warped_colours_agree_over_all_families(channel, form):
    """All families together must agree closely."""
    error = np.concatenate([colour_errors(form, name, channel) for name in sorted(FAMILIES)])
    assert len(error) > 10000
    assert np.median(error) <= ALL_MEDIAN
    assert np.percentile(error, 90) <= ALL_P90


@forms
@families
def test_flow_there_and_back_cancels(name, form):
    """Forward flow leads to a place whose backward flow leads back, and the other way round; to
    within what the flow differs between the four pixels that are interpolated."""
    good = []
    for channel, back in (("flow", "backward_flow"), ("backward_flow", "flow")):
        for clip in form(name):
            for t, to, target, _, _, shown, _ in warps(clip, channel):
                again, corners = sampled(clip.frames[back][to], target)
                there = clip.frames[channel][t]
                left = np.abs(there + again).max(-1)
                unsure = CANCEL_SHARE * np.ptp(corners, axis=0).max(-1)
                unsure += 2 * np.max(clip.error(channel, there) * np.ones(2), axis=-1)
                good.append((left <= CANCEL_PX + unsure)[shown])
    assert np.concatenate(good).mean() >= CANCEL_MOST


@forms
@families
def test_every_pixel_lies_on_the_surface_of_its_body(name, form):
    for clip in form(name):
        for t in range(len(clip.track)):
            points, label = world_points(clip, t), clip.frames["segmentation"][t, ..., 0]
            for row in np.unique(label[label > 0]) - 1:
                mine = label == row + 1
                gap = distances(clip.scene, clip.motion, row, t, points[mine])
                bound = SURFACE_M + SURFACE_SHARE * clip.frames["depth"][t, ..., 0][mine]
                bound += 1.1 * depth_error_m(clip, t)[mine]
                assert (gap < bound).all(), clip.scene.body_names[row]


@families
def test_centres_of_mass_project_onto_their_tracks(name):
    """And what is seen whole and is convex has its track within its silhouette's rectangle."""
    compared = 0
    for clip in clips(name):
        for t in range(len(clip.track)):
            label = clip.frames["segmentation"][t, ..., 0]
            expected, _ = picture_of(clip, clip.motion.centre_of_mass[t], t)
            for row in np.unique(label[label > 0]) - 1:
                if clip.scene.bodies[row].motion == "static":
                    continue
                compared += 1
                assert np.abs(clip.track[t, row] - expected[row]).max() < TRACK_PX
                y, x = np.nonzero(label == row + 1)
                whole = min(x.min(), y.min()) > 0 and max(x.max(), y.max()) < SIZE - 1
                if whole and seen_alone(clip, t, row) and len(clip.scene.bodies[row].geoms) == 1:
                    low, high = np.array([x.min(), y.min()]), np.array([x.max(), y.max()]) + 1
                    assert (clip.track[t, row] > low - 1).all()
                    assert (clip.track[t, row] < high + 1).all()
    assert compared > 5


def seen_alone(clip, t, row):
    """Whether nothing nearer than the body touches its outline."""
    mine = clip.frames["segmentation"][t, ..., 0] == row + 1
    depth = clip.frames["depth"][t, ..., 0]
    rim = maximum_filter(mine, 3) & ~mine
    return depth[rim].min(initial=np.inf) > depth[mine].min()


@forms
@families
def test_normals_are_the_gradient_of_depth(name, form):
    """On interiors: eight neighbours of one body whose normals turn by less than 15 degrees.

    Rounding depths by e turns the slope between points at right and left, 2 r apart, by e / r.
    """
    angles = []
    for clip in form(name):
        for t in range(len(clip.track)):
            label = clip.frames["segmentation"][t, ..., 0]
            points = world_points(clip, t) - clip.cameras.position[t]
            right = (points[1:-1, 2:] - points[1:-1, :-2]) / 2
            up = (points[:-2, 1:-1] - points[2:, 1:-1]) / 2
            slope = np.cross(right, up)
            far, high = (np.linalg.norm(side, axis=-1) for side in (right, up))
            skew = far * high / np.linalg.norm(slope, axis=-1)
            rounded = depth_error_m(clip, t)[1:-1, 1:-1] * (1 / far + 1 / high) * skew
            rounded += np.sqrt(3) * clip.error("normals", 0.0) / 127
            slope /= np.linalg.norm(slope, axis=-1, keepdims=True)
            stored = clip.frames["normals"][t]
            inner = (minimum_filter(label, 3) == maximum_filter(label, 3)) & (label > 0)
            turned = [
                (stored * np.roll(stored, (i, j), (0, 1))).sum(-1)
                for i in (-1, 0, 1)
                for j in (-1, 0, 1)
            ]
            inner &= np.min(turned, axis=0) > np.cos(np.radians(15))
            cosine = (slope @ turn(clip.cameras.quaternion[t]) * stored[1:-1, 1:-1]).sum(-1)[
                inner[1:-1, 1:-1]
            ]
            off = np.arccos(np.clip(cosine, -1, 1)) - 1.1 * rounded[inner[1:-1, 1:-1]]
            angles.append(np.degrees(np.maximum(off, 0.0)))
    angle = np.concatenate(angles)
    assert len(angle) > 500
    assert np.median(angle) < NORMAL_MEDIAN_DEG
    assert np.percentile(angle, 95) < NORMAL_P95_DEG


@families
def test_segmentation_is_what_another_ray_caster_sees(name):
    """Textbook formulas in float64 at the pixel centres name the same body, the nearest one."""
    both, either = np.zeros(256, int), np.zeros(256, int)
    for clip in clips(name):
        for t in range(len(clip.track)):
            _, expected, _ = reference(clip.scene, clip.motion, clip.cameras, t, SIZE, SIZE)
            stored = clip.frames["segmentation"][t, ..., 0]
            agreed = stored == expected
            both += np.bincount(stored[agreed], minlength=256)
            either += np.bincount(stored.ravel(), minlength=256)
            either += np.bincount(expected[~agreed], minlength=256)
    large = either > SMALL_PX
    assert large.sum() >= 2
    assert (both[large] >= OVERLAP * either[large]).all()
    assert (either[~large] - both[~large] <= 2).all()
