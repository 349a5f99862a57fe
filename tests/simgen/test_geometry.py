"""Geometry agrees with itself, over every registered family: depth, segmentation, normals, both
flows, cameras and tracks of one clip are checked against each other by arithmetic of the tests'
own. Bounds are about twice what was measured over all families at 64 x 64.
"""

from __future__ import annotations

import numpy as np
import pytest
from geometry_clips import (
    SIZE,
    clips,
    distances,
    grid,
    moved_points,
    picture_of,
    sampled,
    turn,
    world_points,
)
from render_scenes import reference
from scipy.ndimage import maximum_filter, minimum_filter

from simgen.families import FAMILIES

COLOUR_MEDIAN = 25.0  # of 255, moving pixels against the warped neighbour frame, in each family
ALL_MEDIAN, ALL_P90 = 2.0, 16.0  # the same over all families
MOVES_PX, SHOWN_SHARE = 0.2, 0.3  # still pixels agree anyway; of pixels seen in both frames
FLOW_PX = 1e-4  # flow against the points' own way
CANCEL_PX, CANCEL_SHARE = 1e-3, 0.5  # flow there and back, and a share of its change in a pixel
CANCEL_MOST = 0.99  # of the pixels: edges between faces bend it more
SURFACE_M, SURFACE_SHARE = 1e-4, 2e-5  # of a pixel's point, and a share of its depth
TRACK_PX = 1.0
NORMAL_MEDIAN_DEG, NORMAL_P95_DEG = 1.0, 6.0
OVERLAP, SMALL_PX = 0.98, 30  # intersection over union; of bodies with more pixels in the clip

families = pytest.mark.parametrize("name", sorted(FAMILIES))


def warps(clip, channel):
    """Each neighbouring pair: where each pixel goes, where it should, and whether it shows there.

    Yields:
        Frame, other row, target pixels by the stored flow, by the points, the mask of pixels that
        the other frame shows (all four around the target have the label and the depth), and the
        mask of those that move.
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
        _, labels = sampled(clip.frames["segmentation"][to], target)
        _, depths = sampled(clip.frames["depth"][to], target)
        near = np.ptp(depths[..., 0], axis=0) < 0.05 * depth
        near &= np.abs(depths[..., 0] - depth).max(0) < 0.05 * depth
        near &= (labels == label).all((0, -1)) & (label[..., 0] > 0)
        moves = np.abs(clip.frames[channel][t]).max(-1) > MOVES_PX
        yield t, to, target, expected, near, moves


def colour_errors(name, channel):
    """Largest difference in a colour channel, of 255, of each moving pixel from its warped one."""
    errors = [np.zeros(0)]
    for clip in clips(name):
        for t, to, target, _, shown, moves in warps(clip, channel):
            label = clip.frames["segmentation"][t, ..., 0]
            inner = minimum_filter(label, 3) == maximum_filter(label, 3)  # outlines are smoothed
            colour, _ = sampled(clip.frames["rgb"][to], target)
            error = np.abs(colour - clip.frames["rgb"][t]).max(-1)
            errors.append(error[shown & moves & inner])
    return np.concatenate(errors)


@pytest.mark.parametrize("channel", ["flow", "backward_flow"])
@families
def test_warping_a_neighbour_frame_gives_this_one(name, channel):
    shares = []
    for clip in clips(name):
        for t, _, target, expected, shown, _ in warps(clip, channel):
            off = np.abs(target - expected)[shown]
            assert off.max(initial=0) < FLOW_PX, t
            shares.append(shown[clip.frames["segmentation"][t, ..., 0] > 0].mean())
    assert np.mean(shares) > SHOWN_SHARE
    error = colour_errors(name, channel)
    if len(error) > 30:  # fewer are all beside outlines
        assert np.median(error) <= COLOUR_MEDIAN


@pytest.mark.parametrize("channel", ["flow", "backward_flow"])
def test_warped_colours_agree_over_all_families(channel):
    """A family may have few moving pixels of one colour; all together must agree closely."""
    error = np.concatenate([colour_errors(name, channel) for name in sorted(FAMILIES)])
    assert len(error) > 5000
    assert np.median(error) <= ALL_MEDIAN
    assert np.percentile(error, 90) <= ALL_P90


@families
def test_flow_there_and_back_cancels(name):
    """Forward flow leads to a place whose backward flow leads back, and the other way round; to
    within what the flow differs between the four pixels that are interpolated."""
    good = []
    for channel, back in (("flow", "backward_flow"), ("backward_flow", "flow")):
        for clip in clips(name):
            for t, to, target, _, shown, _ in warps(clip, channel):
                again, corners = sampled(clip.frames[back][to], target)
                left = np.abs(clip.frames[channel][t] + again).max(-1)
                unsure = np.ptp(corners, axis=0).max(-1)
                good.append((left <= CANCEL_PX + CANCEL_SHARE * unsure)[shown])
    assert np.concatenate(good).mean() >= CANCEL_MOST


@families
def test_every_pixel_lies_on_the_surface_of_its_body(name):
    for clip in clips(name):
        for t in range(len(clip.track)):
            points, label = world_points(clip, t), clip.frames["segmentation"][t, ..., 0]
            for row in np.unique(label[label > 0]) - 1:
                mine = label == row + 1
                gap = distances(clip.scene, clip.motion, row, t, points[mine])
                bound = SURFACE_M + SURFACE_SHARE * clip.frames["depth"][t, ..., 0][mine]
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


@families
def test_normals_are_the_gradient_of_depth(name):
    """On interiors: eight neighbours of one body whose normals turn by less than 15 degrees."""
    angles = []
    for clip in clips(name):
        for t in range(len(clip.track)):
            label = clip.frames["segmentation"][t, ..., 0]
            points = world_points(clip, t) - clip.cameras.position[t]
            right = (points[1:-1, 2:] - points[1:-1, :-2]) / 2
            up = (points[:-2, 1:-1] - points[2:, 1:-1]) / 2
            slope = np.cross(right, up)
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
            angles.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
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
