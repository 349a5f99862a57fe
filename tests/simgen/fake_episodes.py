"""Episodes without physics: random arrays from (recipe, index) alone, quick and deterministic.

A module of its own so that worker processes can import `make` by name.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from simgen.cameras import CameraTrack, Shot
from simgen.episode import Episode
from simgen.families import Outcome
from simgen.motion import Motion
from simgen.recipe import Recipe
from simgen.scene import Body, Geom, Material, Scene
from simgen.store.layout import WORKSHOP
from simgen.truth import Event, Truth

REJECTED = 5  # every index that is this modulo 7 fails quality control


def recipe(episodes: int = 10, **changes) -> Recipe:
    """Two buckets, three episodes a part, clips that end inside a chunk."""
    tables = {
        "name": "fake",
        "episodes": episodes,
        "episodes_per_part": 3,
        "video": {"frames": 10, "height": 16, "width": 24},
        "scene": [
            {"family": "bouncing_balls", "parameters": {}},
            {
                "family": "bouncing_balls",
                "video": {"height": 24, "width": 16, "channels": ["rgb", "depth"]},
            },
        ],
    }
    return Recipe.model_validate(tables | changes)


def contents(dataset: Path) -> dict[str, bytes]:
    """Every file of a dataset by name, without the workshop, which is no part of it."""
    return {
        str(path.relative_to(dataset)): path.read_bytes()
        for path in sorted(dataset.rglob("*"))
        if path.is_file() and WORKSHOP not in path.relative_to(dataset).parts
    }


def make(recipe: Recipe, index: int) -> Episode:
    """An episode that passes, or fails quality control if index % 7 is REJECTED."""
    at = recipe.assign(index)
    video = recipe.video_of(at.scene_index)
    rng = recipe.rng(index)
    bodies = int(rng.integers(1, 3))
    names = [f"ball_{i}" for i in range(bodies)]
    red = Geom("sphere", (0.2,), Material("red", (0.8, 0.1, 0.1)), restitution=0.7)
    scene = Scene(
        "bouncing_balls",
        tuple(Body(name, (red,), mass_kg=1.5, label="ball") for name in names),
        frames=video.frames,
        frame_rate_hz=video.frame_rate_hz,
        physics_rate_hz=video.frame_rate_hz * 10,
        parameters={"speed_m_s": np.float64(rng.uniform(1, 2))},
    )
    return Episode(
        index=index,
        episode_id=recipe.episode_id(index),
        family="bouncing_balls",
        engine="mujoco",
        split=at.split,
        scene=scene,
        motion=_motion(rng, video.frames, bodies, recipe.state_every),
        shots=(
            Shot(
                0,
                CameraTrack(
                    rng.normal(size=(video.frames + 1, 3)),
                    rng.normal(size=(video.frames + 1, 4)),
                    rng.normal(size=(video.frames + 1, 4)),
                ),
            ),
        ),
        outcome=Outcome("rests", {"speed_m_s": float("nan")}),
        frames=_frames(rng, video),
        truth=_truth(rng, video.frames, bodies),
        captions={"short": f"Ball {index}.", "dense": f"Ball {index} moves."},
        clauses=({"caption": "short", "text": "Ball", "evidence": ["e0"]},),
        reasons=("too dark", "too slow") if index % 7 == REJECTED else (),
        costs_s={"simulate": 0.0, "render": 0.0},
    )


def make_slowly(recipe: Recipe, index: int) -> Episode:
    """Slow enough to be killed in the middle."""
    time.sleep(0.05)
    return make(recipe, index)


def make_poison(recipe: Recipe, index: int) -> Episode:
    """Episode 4 takes its process with it, as native code that crashes does."""
    if index == 4 and not Path(os.environ.get("ANTIDOTE", "/nonexistent")).exists():
        os._exit(11)
    return make(recipe, index)


def make_hang(recipe: Recipe, index: int) -> Episode:
    """The first episode never ends, as native code that loops does."""
    time.sleep(1000)


def make_broken_beside_slow(recipe: Recipe, index: int) -> Episode:
    """A bug in the first part while another worker has one in hand."""
    if index == 0:
        raise ZeroDivisionError("a bug of ours")
    return make_slowly(recipe, index)


def make_broken(recipe: Recipe, index: int) -> Episode:
    """A bug, not physics: must stop the build."""
    raise ZeroDivisionError("a bug of ours")


def _frames(rng: np.random.Generator, video) -> dict[str, np.ndarray]:
    shape = (video.frames, video.height, video.width)
    frames = {
        "rgb": rng.integers(0, 256, (*shape, 3), np.uint8),
        "depth": rng.uniform(1, 9, (*shape, 1)).astype(np.float32),
        "segmentation": np.zeros((*shape, 1), np.uint8),  # all sky: stored all the same
        "normals": rng.uniform(-1, 1, (*shape, 3)).astype(np.float32),
        "flow": np.zeros((*shape, 2), np.float32),
    }
    frames["depth"][:, 0] = np.inf
    return {channel: frames[channel] for channel in video.channels}


def _motion(rng: np.random.Generator, frames: int, bodies: int, every: int) -> Motion:
    states = np.arange(0, frames, every, dtype=np.int32)
    body = {
        name: rng.normal(size=(frames + 1, bodies, width))
        for name, width in (
            ("position", 3), ("quaternion", 4), ("velocity", 3), ("angular_velocity", 3),
            ("centre_of_mass", 3),
        )
    }  # fmt: skip
    return Motion(
        engine="mujoco",
        engine_version="0.0",
        **body,
        joint_position=np.zeros((frames + 1, 0)),
        joint_velocity=np.zeros((frames + 1, 0)),
        joint_torque=np.zeros((frames + 1, 0)),
        action=np.zeros((frames, 0)),
        contacts=np.zeros(0),
        deepest_penetration_m=np.zeros(frames + 1),
        kinetic_energy_j=np.zeros(frames + 1),
        potential_energy_j=np.zeros(frames + 1),
        state=rng.normal(size=(len(states), 13 * bodies)),
        state_frames=states,
    )


def _truth(rng: np.random.Generator, frames: int, bodies: int) -> Truth:
    def single(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return Truth(
        track=single(frames, bodies, 2),
        track_depth=single(frames, bodies),
        area=rng.integers(0, 99, (frames, bodies), np.int32),
        visibility=np.full((frames, bodies), 0.5, np.float32),
        energy=single(frames),
        momentum=single(frames, 3),
        penetration=single(frames),
        events=(
            Event("e0", "contact", 0.1, 0.2, 0, -1, 1.5, (0.0, 1.0, 2.0)),
            Event("e1", "landing", 0.3, 0.3, 0),
        ),
    )
