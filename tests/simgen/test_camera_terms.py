"""The name of a camera's move, from its track alone."""

import numpy as np
import pytest

from simgen.cameras import CameraTrack, path, rotation_matrix
from simgen.captions.camera_terms import camera_facts
from simgen.recipe import CameraRecipe

RATE_HZ = 24.0
AROUND = {
    "azimuth_deg": (-180, 180),
    "elevation_deg": (3, 45),
    "distance": (0.8, 1.3),
    "field_of_view_deg": (25, 75),
}
# kind -> least and most travel, and its names for more and less
TRAVELS = {
    "pan": (10, 90, "pan_right", "pan_left"),
    "tilt": (10, 40, "tilt_up", "tilt_down"),
    "roll": (10, 90, "roll_right", "roll_left"),
    "zoom": (1.2, 3, "zoom_in", "zoom_out"),
    "dolly": (0.5, 2.4, "dolly_in", "dolly_out"),
    "truck": (0.5, 4, "truck_right", "truck_left"),
    "pedestal": (0.5, 3, "pedestal_up", "pedestal_down"),
    "orbit": (30, 360, "orbit", "orbit"),
}
SHAKE = {"shake_deg": (0.2, 2.0), "shake_m": (0.005, 0.04)}


def subject(rng: np.random.Generator, rows: int) -> np.ndarray:
    """A way along a parabola, as a mass centre has it, in no particular direction."""
    time = np.arange(rows)[:, None] / RATE_HZ
    start, speed, pull = rng.uniform(-1, 1, (3, 3))
    return start + time * speed + time**2 * pull / 2


def shoot(rng: np.random.Generator, frames: int = 48, **keys) -> CameraTrack:
    return path(
        CameraRecipe(**{**AROUND, **keys}), look_at=(0.0, 0.0, 0.4), distance_m=4.4,
        frames=frames, height=128, width=128, rng=rng, subject=subject(rng, frames + 1),
    )  # fmt: skip


def drawn(kind: str, rng: np.random.Generator) -> tuple[float, str]:
    """A travel and the name that it should get."""
    low, high, more, less = TRAVELS[kind]
    travel, on = rng.uniform(low, high), rng.uniform() < 0.5
    back = 1 / travel if kind == "zoom" else -travel
    return (travel, more) if on else (back, less)


def tell(track: CameraTrack) -> dict:
    return camera_facts(track, len(track.position) - 1, frame_rate_hz=RATE_HZ)


@pytest.mark.parametrize("shaken", [False, True], ids=["tripod", "hand"])
def test_every_kind_is_told_from_its_track(shaken: bool):
    rng, right, wrong = np.random.default_rng(1), 0, []
    for kind in [*TRAVELS, "static", "tracking", "handheld"]:
        for _ in range(25):
            keys = dict(SHAKE) if shaken else {}
            want = "handheld" if shaken and kind == "static" else kind
            if kind in TRAVELS:
                travel, want = drawn(kind, rng)
                keys |= {"travel": (travel, travel)}
            keys["ease"] = str(rng.choice(["in_out", "in", "out", "linear"]))
            frames = int(rng.choice([24, 48, 64, 96]))
            told = tell(shoot(rng, frames, kind=kind, **keys))
            assert (told["shake"] > 0) == (shaken or kind == "handheld")
            if told["move"] == want:
                right += 1
            else:
                wrong.append((want, told["move"]))
    assert right >= 0.98 * (right + len(wrong)), wrong


def test_sequences_are_told_in_order_with_their_amounts():
    rng, right, wrong = np.random.default_rng(2), 0, []
    for _ in range(60):
        kinds = rng.permutation(list(TRAVELS))[: int(rng.integers(2, 5))]
        moves, want = [], []
        for kind in kinds:
            travel, name = drawn(str(kind), rng)
            travel = np.clip(travel, -1.4, 1.4) if kind == "dolly" else travel
            share = float(rng.uniform(0.7, 1.3))
            moves.append({"kind": str(kind), "travel": (travel, travel), "share": share})
            want.append(name)
        told = tell(shoot(rng, 64, moves=moves))
        pieces = list(told["segments"].values())
        if [piece["move"] for piece in pieces] != want:
            wrong.append((want, [piece["move"] for piece in pieces]))
            continue
        right += 1
        assert told["move"] == "sequence"
        ends, shares = [p["end_s"] for p in pieces], np.cumsum([m["share"] for m in moves])
        np.testing.assert_allclose(ends, shares / shares[-1] * 64 / RATE_HZ, atol=2 / RATE_HZ)
        assert [p["start_s"] for p in pieces] == [0.0, *ends[:-1]]
        for piece, move in zip(pieces, moves, strict=True):
            travels = move["kind"] in ("dolly", "truck", "pedestal")
            amount = "zoom" if move["kind"] == "zoom" else "travel_m" if travels else "angle_deg"
            size = move["travel"][0] if amount == "zoom" else abs(move["travel"][0])
            # a step between two moves and the way to the row after the last are left out
            assert piece[amount] == pytest.approx(size, rel=0.03)
    assert right >= 0.98 * (right + len(wrong)), wrong


@pytest.mark.parametrize(
    ("keys", "name", "value"),
    [
        ({"kind": "pan", "travel": (-40, -40)}, "angle_deg", 40),
        ({"kind": "roll", "travel": (25, 25)}, "angle_deg", 25),
        ({"kind": "tilt", "travel": (25, 25)}, "angle_deg", 25),
        ({"kind": "orbit", "travel": (90, 90)}, "angle_deg", 90),
        ({"kind": "truck", "travel": (2, 2)}, "travel_m", 2),
        ({"kind": "dolly", "travel": (-2, -2)}, "travel_m", 2),
        ({"kind": "zoom", "travel": (0.5, 0.5)}, "zoom", 0.5),
        ({"kind": "zoom", "travel": (2, 2)}, "travel_m", 0),
        ({"kind": "dolly", "travel": (2, 2)}, "zoom", 1),
        ({"kind": "static", "elevation_deg": (20, 20)}, "pitch_deg", -20),
    ],
)
def test_amounts_are_those_of_the_recipe(keys: dict, name: str, value: float):
    assert tell(shoot(np.random.default_rng(0), 96, **keys))[name] == pytest.approx(value, rel=2e-3)


@pytest.mark.parametrize(("travel", "side"), [(60, "right"), (-60, "left")])
def test_the_side_of_an_orbit_is_the_cameras_own(travel: float, side: str):
    track = shoot(np.random.default_rng(0), kind="orbit", travel=(travel, travel))
    told = tell(track)
    assert told["side"] == side
    right = rotation_matrix(track.quaternion[0])[:, 0]
    assert ((track.position[10] - track.position[0]) @ right > 0) == (side == "right")


def test_turning_and_travelling_at_once_on_no_circle_is_no_term():
    pan, truck = (
        shoot(np.random.default_rng(3), kind=kind, travel=travel)
        for kind, travel in (("pan", (40, 40)), ("truck", (2, 2)))
    )
    told = tell(CameraTrack(truck.position, pan.quaternion, pan.intrinsics))
    assert told["move"] == "moving"


def test_a_move_too_small_to_see_is_none():
    told = tell(shoot(np.random.default_rng(0), kind="truck", travel=(5e-4, 5e-4)))
    assert (told["move"], told["travel_m"], told["segments"]["0"]["move"]) == (
        "static",
        0,
        "static",
    )
