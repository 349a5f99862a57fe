"""The probe on drawn frames: what it finds, what it refuses to guess, what it says of itself."""

import re
from dataclasses import replace

import numpy as np
import pytest
from drawn_clips import CONTEXT, PALETTE, SIZE, clip_of, random_clip

from worldmodel import calibration, perception
from worldmodel.clip import ClipObject
from worldmodel.perception import ProbeError

RED = (ClipObject("ball", "red"),)


def still(centre=(30.25, 32.0), *, radius=6.0, frames=8, colours=("red",)):
    return clip_of(np.tile(np.asarray(centre, float), (frames, 1, 1)), [radius], colours)


def test_centre_is_exact_to_a_few_hundredths_of_a_pixel(probe):
    for shift in (0.0, 0.2, 0.37, 0.5, 0.81):
        clip = still((30 + shift, 31.4 - shift))
        track = probe.track(clip.rgb, RED, context=CONTEXT)
        assert np.abs(track.centre - clip.centre).max() < 0.03


def test_calibration_on_unseen_clips(probe):
    figures = probe.calibration
    assert figures["split"] == "val"
    assert figures["error_px_whole"] < 0.05
    assert figures["miss_rate"] == figures["split_rate"] == figures["ghost_rate"] == 0.0
    assert figures["coverage"] == 1.0
    assert figures["families"]["drawn"]["object_frames"] == figures["object_frames"] > 100


def test_noise_costs_little(probe):
    quiet = calibration.calibrate(probe, [random_clip(60)], split="q").calibration
    noisy = calibration.calibrate(probe, [random_clip(60, noise=8.0)], split="n").calibration
    assert quiet["error_px_mean"] < noisy["error_px_mean"] < 0.15
    assert noisy["miss_rate"] == 0.0


def test_an_absent_object_is_missing_not_guessed(probe):
    clip = still()
    frames = clip.rgb.copy()
    frames[6:] = still(colours=("blue",)).rgb[6:]
    track = probe.track(frames, RED, context=CONTEXT)
    assert track.missing[:, 0].tolist() == [False] * 6 + [True] * 2
    assert np.isnan(track.centre[6:]).all()
    assert (track.area[6:] == 0).all()


def test_a_speck_is_not_the_object(probe):
    clip = still()
    frames = clip.rgb.copy()
    frames[6:] = still(radius=2.0).rgb[6:]  # a ninth of the area
    assert probe.track(frames, RED, context=CONTEXT).missing[6:].all()


def test_two_pieces_are_a_split_and_not_their_average(probe):
    left, right = still((16.0, 32.0)), still((46.0, 32.0), radius=5.0)
    frames = left.rgb.copy()
    frames[6:, :, SIZE // 2 :] = right.rgb[6:, :, SIZE // 2 :]
    track = probe.track(frames, RED, context=CONTEXT)
    assert track.components[:, 0].tolist() == [1] * 6 + [2] * 2
    assert np.abs(track.centre[6:] - (16.0, 32.0)).max() < 0.05


def test_a_smear_is_not_seen_as_the_object_where_it_has_lost_its_colour(probe):
    clip = still()
    backdrop = still((-30.0, -30.0)).rgb[0]
    frames = clip.rgb.copy()
    frames[6:] = (0.1 * clip.rgb[6:] + 0.9 * backdrop).astype(np.uint8)
    assert probe.track(frames, RED, context=CONTEXT).missing[6:].all()


def test_perspective_term_pulls_silhouettes_back(probe):
    tilted = replace(probe, perspective=0.3)
    clip = still((50.0, 20.0))
    plain = probe.track(clip.rgb, RED, context=CONTEXT)
    moved = tilted.track(clip.rgb, RED, context=CONTEXT)
    gain = (probe.perspective - 0.3) * plain.area[0, 0] / SIZE**2
    untouched = (plain.centre[0, 0] - 32) / (1 - probe.perspective * plain.area[0, 0] / SIZE**2)
    np.testing.assert_allclose(moved.centre[0, 0] - plain.centre[0, 0], untouched * gain, atol=1e-9)


def test_save_and_load(probe, tmp_path):
    probe.save(tmp_path / "probe.safetensors")
    again = perception.load(tmp_path / "probe.safetensors")
    assert again.calibration == probe.calibration
    clip = random_clip(70)
    for name in ("centre", "area", "components"):
        np.testing.assert_array_equal(
            getattr(again.track(clip.rgb, clip.objects, context=CONTEXT), name),
            getattr(probe.track(clip.rgb, clip.objects, context=CONTEXT), name),
        )


def test_unknown_colour_is_refused_by_name(probe):
    with pytest.raises(ProbeError, match=re.escape("['mauve'] were not in the training split")):
        probe.track(still().rgb, (ClipObject("ball", "mauve"),), context=CONTEXT)


def test_nothing_to_fit():
    with pytest.raises(ProbeError, match="no clip of the training split"):
        calibration.fit([])


def test_knows_the_colours_it_was_shown(probe):
    assert set(probe.colours) == set(PALETTE)
