"""Every metric: ideal on truth, a known value on a known corruption, and monotone between."""

from pathlib import Path

import numpy as np
import pytest
from drawn_clips import CONTEXT, DEPTH_M, FOCAL_PX, HORIZON, RATE_HZ, SIZE, clip_of, draw
from scipy import ndimage

import worldmodel.verdict.metrics as registry
from worldmodel.verdict.metric import Sample, miss_penalty_px
from worldmodel.verdict.metrics import METRICS
from worldmodel.verdict.metrics.psnr import psnr
from worldmodel.verdict.metrics.ssim import ssim
from worldmodel.verdict.metrics.time_to_divergence import time_to_divergence
from worldmodel.verdict.metrics.velocity_error import penalty_px_s

M_PER_PX = DEPTH_M / FOCAL_PX
SPEED = 1.5  # px a frame
RADII, COLOURS = [6.0, 5.0], ("red", "blue")
FLOOR = {
    "position_error_px": 0.05, "position_error_m": 0.05 * M_PER_PX, "velocity_error_m_s": 0.03,
    "time_to_divergence_s": HORIZON / RATE_HZ, "objects_kept": 1.0, "psnr_db": 58.92, "ssim": 1.0,
}  # fmt: skip


def paths(*, shift=(0.0, 0.0), delay=0, speed=SPEED):
    """Two balls in two lanes, moving right; the corruption begins with the first prediction."""
    t = np.arange(CONTEXT + HORIZON, dtype=float)
    t = np.where(t >= CONTEXT, np.maximum(t - delay, CONTEXT - 1), t)
    ahead = np.maximum(t - CONTEXT + 1, 0)
    x = 12 + SPEED * np.minimum(t, CONTEXT - 1) + speed * ahead
    centre = np.stack([np.stack([x, np.full_like(x, y)], -1) for y in (18.0, 46.0)], axis=1)
    centre[CONTEXT:] += shift
    return centre


CLIP = clip_of(paths(), RADII, COLOURS)


def scores(probe, name, frames, clip=CLIP):
    track = probe.track(
        np.concatenate([clip.rgb[: clip.context], frames]), clip.objects, context=clip.context
    )
    return METRICS[name].measure(Sample(clip, frames, track))


def mean(probe, name, frames, clip=CLIP):
    return float(np.nanmean(scores(probe, name, frames, clip).value))


def drawn(centre, colours=COLOURS):
    return draw(centre, RADII, colours)[0][CONTEXT:]


TRUTH = CLIP.rgb[CONTEXT:]


@pytest.mark.parametrize("name", METRICS)
def test_truth_scores_the_floor(probe, name):
    result = scores(probe, name, TRUTH)
    assert not result.missed.any()
    if METRICS[name].better == "lower":
        assert np.nanmax(result.value) <= FLOOR[name]
    else:
        assert np.nanmin(result.value) == pytest.approx(FLOOR[name], abs=0.01)


@pytest.mark.parametrize("name", METRICS)
def test_contract(probe, name):
    metric = METRICS[name]
    assert metric.name == name
    assert metric.label
    assert len(metric.definition) > 40
    assert metric.floor
    result = scores(probe, name, drawn(paths(shift=(2, 0))))
    assert result.value.shape == result.missed.shape
    assert len(result.value) == (1 if metric.per_clip else HORIZON)
    assert not (result.missed & np.isnan(result.value)).any()
    again = scores(probe, name, drawn(paths(shift=(2, 0))))
    np.testing.assert_array_equal(result.value, again.value)


# pixel measures do not know objects, as docs/verdict.md says
@pytest.mark.parametrize("name", [n for n in METRICS if n not in ("psnr_db", "ssim")])
def test_an_empty_picture_is_the_worst_of_all(probe, name):
    """Deleting the objects never pays: nothing that keeps them scores worse."""
    empty = drawn(np.full((CONTEXT + HORIZON, 2, 2), np.nan))
    kept = mean(probe, name, drawn(paths(shift=(2, 0))))
    sign = 1 if METRICS[name].better == "lower" else -1
    assert sign * mean(probe, name, empty) > sign * kept


@pytest.mark.parametrize("name", METRICS)
def test_monotone_in_a_growing_delay(probe, name):
    values = [mean(probe, name, drawn(paths(delay=k))) for k in (0, 1, 2, 4, 8)]
    if name == "objects_kept":
        assert values == [1.0] * 5
        return
    steps = np.diff(values) * (1 if METRICS[name].better == "lower" else -1)
    assert (steps >= 0).all()
    assert steps.sum() > 0


@pytest.mark.parametrize("px", [0.5, 1.0, 3.0, 7.25])
def test_shift_is_measured_in_pixels_and_metres(probe, px):
    frames = drawn(paths(shift=(px, 0)))
    assert mean(probe, "position_error_px", frames) == pytest.approx(px, abs=0.04)
    assert mean(probe, "position_error_m", frames) == pytest.approx(px * M_PER_PX, abs=0.003)


@pytest.mark.parametrize("frames_late", [1, 2, 4])
def test_delay_is_measured_as_the_way_not_gone(probe, frames_late):
    error = scores(probe, "position_error_px", drawn(paths(delay=frames_late))).value[-1]
    np.testing.assert_allclose(error, frames_late * SPEED, atol=0.05)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.2])
def test_wrong_speed_is_measured_as_velocity_error(probe, factor):
    value = scores(probe, "velocity_error_m_s", drawn(paths(speed=SPEED * factor))).value
    expected = abs(1 - factor) * SPEED * RATE_HZ * M_PER_PX
    np.testing.assert_allclose(value[3:], expected, atol=0.03)


def test_deleted_object_scores_the_penalty_and_is_counted(probe):
    gone = paths()
    gone[CONTEXT + 4 :, 1] = np.nan
    frames = drawn(gone)
    position = scores(probe, "position_error_px", frames)
    assert (position.value[4:, 1] == miss_penalty_px(CLIP)).all()
    assert position.missed.sum() == HORIZON - 4
    assert position.value[:, 0].max() < 0.05
    kept = scores(probe, "objects_kept", frames)
    assert kept.value[:, 1].tolist() == [1.0] * 4 + [0.0] * (HORIZON - 4)
    velocity = scores(probe, "velocity_error_m_s", frames)
    np.testing.assert_allclose(velocity.value[5:, 1], penalty_px_s(CLIP) * M_PER_PX)
    lasting = scores(probe, "time_to_divergence_s", frames)
    np.testing.assert_allclose(lasting.value, [[HORIZON / RATE_HZ, 4 / RATE_HZ]])


def test_swapped_identities_are_not_forgiven(probe):
    swapped = drawn(paths()[:, ::-1])
    assert mean(probe, "position_error_px", swapped) == pytest.approx(28.0, abs=0.1)
    assert mean(probe, "time_to_divergence_s", swapped) == 0.0


def test_growth_and_splitting_are_not_kept(probe):
    grown = draw(paths(), [10.0, 5.0], COLOURS)[0][CONTEXT:]
    assert scores(probe, "objects_kept", grown).value.mean(0).tolist() == [0.0, 1.0]
    ghost = paths(shift=(0, 0))
    twice = np.concatenate([ghost, ghost[:, :1] + (0.0, 14.0)], axis=1)
    frames = draw(twice, [6.0, 5.0, 5.0], (*COLOURS, "red"))[0][CONTEXT:]
    assert scores(probe, "objects_kept", frames).value.mean(0).tolist() == [0.0, 1.0]


def test_objects_hidden_in_truth_are_not_asked_for(probe):
    centre = paths()
    centre[CONTEXT + 8 :, 1] = (-20.0, 46.0)
    clip = clip_of(centre, RADII, COLOURS)
    for name in ("position_error_px", "velocity_error_m_s", "objects_kept"):
        value = scores(probe, name, clip.rgb[CONTEXT:], clip).value
        assert np.isnan(value[8:, 1]).all()
        assert np.isfinite(value[3:, 0]).all()


def test_position_error_never_exceeds_that_of_a_missing_object(probe):
    far = paths(shift=(0, 0))
    far[CONTEXT:] = [[58.0, 8.0], [58.0, 57.0]]
    clip = clip_of(np.full_like(far, 8.0) + np.array([[[0, 0], [0, 48]]]), RADII, COLOURS)
    assert np.nanmax(scores(probe, "position_error_px", drawn(far), clip).value) == SIZE / 2


def test_divergence_passes_frames_that_are_not_asked_for():
    error = np.array([[0.01, np.nan], [np.nan, np.nan], [0.2, np.nan]])
    seconds = time_to_divergence(error, tolerance_m=0.1, frame_rate_hz=10.0)
    assert seconds[0] == pytest.approx(0.2)
    assert np.isnan(seconds[1])
    with pytest.raises(ValueError, match="must be positive"):
        time_to_divergence(error, tolerance_m=0.0, frame_rate_hz=10.0)


@pytest.mark.parametrize("sigma", [2.0, 5.0, 10.0])
def test_psnr_of_known_noise(sigma):
    rng = np.random.default_rng(0)
    truth = np.full((2, 128, 128, 3), 128, np.uint8)
    noisy = np.rint(truth + rng.normal(0, sigma, truth.shape)).astype(np.uint8)
    expected = 10 * np.log10(255**2 / (sigma**2 + 1 / 12))
    np.testing.assert_allclose(psnr(noisy, truth), expected, atol=0.05)


def test_ssim_against_the_formula_written_out():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (2, 1, 13, 12, 3), dtype=np.uint8)
    axis = np.arange(-5, 6)
    window = np.exp(-(axis**2) / 4.5)
    window = np.outer(window, window) / window.sum() ** 2
    luma = [frames[0] @ np.array([0.299, 0.587, 0.114]) for frames in (x, y)]
    values = []
    for top in range(13 - 10):
        for left in range(12 - 10):
            a, b = (image[top : top + 11, left : left + 11] for image in luma)
            ma, mb = (window * a).sum(), (window * b).sum()
            va, vb = (window * (a - ma) ** 2).sum(), (window * (b - mb) ** 2).sum()
            cov = (window * (a - ma) * (b - mb)).sum()
            c1, c2 = 2.55**2, 7.65**2
            top_line = (2 * ma * mb + c1) * (2 * cov + c2)
            values.append(top_line / ((ma**2 + mb**2 + c1) * (va + vb + c2)))
    assert ssim(x, y)[0] == pytest.approx(np.mean(values), rel=1e-9)


def test_ssim_of_flat_pictures_is_the_luminance_term():
    x, y = (np.full((1, 16, 16, 3), v, np.uint8) for v in (100, 120))
    c1 = 2.55**2
    assert ssim(x, y)[0] == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1))


@pytest.mark.parametrize("name", ["psnr_db", "ssim"])
def test_pixel_measures_fall_with_blur_and_with_noise(probe, name):
    rng = np.random.default_rng(2)
    grain = rng.normal(0, 1, TRUTH.shape)
    blurred = [ndimage.gaussian_filter(TRUTH, (0, s, s, 0)) for s in (0, 0.6, 1.2, 2.4)]
    noisy = [np.clip(TRUTH + s * grain, 0, 255).astype(np.uint8) for s in (0, 3, 9, 27)]
    for series in (blurred, noisy):
        values = [mean(probe, name, frames) for frames in series]
        assert (np.diff(values) < 0).all()


def test_every_metric_file_is_registered():
    folder = registry.__path__[0]
    registered = {metric.measure.__module__.rsplit(".", 1)[-1] for metric in METRICS.values()}
    files = {path.stem for path in Path(folder).glob("*.py")} - {"__init__"}
    assert files == registered
