"""A small clip of every family, and arithmetic on its pictures that shares nothing with simgen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import count, islice
from pathlib import Path

import numpy as np

from simgen.cameras import CameraTrack
from simgen.engines import simulate
from simgen.episode import stage
from simgen.families import family
from simgen.filming import film
from simgen.motion import Motion, SimulationError
from simgen.recipe import load
from simgen.recipe.recipe import Recipe
from simgen.renderers import render
from simgen.scene import Scene
from simgen.truth import tracks

RECIPES = Path(__file__).parents[2] / "datasets"
SIZE, WINDOWS, FRAMES = 64, 4, 3  # pixels a side; stretches of a clip and frames in each
TRIES = 8  # episodes that a family may reject


@dataclass(frozen=True)
class Clip:
    """A few neighbouring frames of an episode."""

    scene: Scene
    motion: Motion  # row 0 is the first frame
    cameras: CameraTrack
    frames: dict[str, np.ndarray]
    track: np.ndarray  # (time, body, 2) as stored


@cache
def recipe_of(name: str) -> tuple[Recipe, int]:
    """A recipe with that family, its own before others, and which scene of it."""
    paths = sorted(RECIPES.glob("*/recipe.toml"), key=lambda p: (p.parent.name != name, p))
    for path in paths:
        if f'"{name}"' in path.read_text():
            recipe = load(path)
            for row, scene in enumerate(recipe.scene):
                if scene.family == name:
                    return recipe, row
    raise LookupError(f"no dataset shows family {name!r}")


@cache
def clips(name: str) -> tuple[Clip, ...]:
    """WINDOWS stretches of the first episode that the recipe makes of the family."""
    recipe, row = recipe_of(name)
    table, kind = recipe.scene[row], family(name)
    video = recipe.video_of(row).model_copy(update={"height": SIZE, "width": SIZE})
    mine = (i for i in count() if at_scene(recipe, i) == row)
    for index in islice(mine, TRIES):
        try:
            scene = stage(recipe, index)
            motion = simulate(scene, "mujoco", state_every=recipe.state_every)
            shots = film(scene, motion, kind, table, video, recipe.rng(index, "camera"))
        except SimulationError:
            continue
        return tuple(window(scene, motion, shots, first) for first in firsts(scene.frames))
    raise LookupError(f"no episode of family {name!r} could be made")


def at_scene(recipe: Recipe, index: int) -> int:
    """The scene of an episode; -1 for a twin's."""
    at = recipe.assign(index)
    return -1 if at.variant else at.scene_index


def firsts(frames: int) -> list[int]:
    return np.linspace(0, frames - FRAMES, WINDOWS).astype(int).tolist()


def window(scene, motion, shots, first) -> Clip:
    """FRAMES frames from `first` on, or earlier where a cut would come between."""
    shot = [s for s in shots if s.first_frame <= first][-1]
    inside = min(first - shot.first_frame, shot.frames - FRAMES)
    rows = slice(inside, inside + FRAMES + 1)
    cameras = CameraTrack(
        *(part[rows] for part in (shot.cameras.position, shot.cameras.quaternion,
                                  shot.cameras.intrinsics))
    )  # fmt: skip
    moved = motion.window(shot.first_frame + inside, FRAMES)
    frames = render(shot.dressed(scene), moved, cameras, height=SIZE, width=SIZE)
    track = tracks(shot, motion)[0].astype(np.float32)[inside : inside + FRAMES]
    return Clip(scene, moved, cameras, frames, track)


def turn(q: np.ndarray) -> np.ndarray:
    """Rotation matrices (..., 3, 3), columns the turned axes, by q v q*."""
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    w, u = q[..., :1, None], q[..., None, 1:]
    axes = np.eye(3)
    cross = np.cross(np.broadcast_to(u, (*q.shape[:-1], 3, 3)), axes)
    out = axes + 2 * w * cross + 2 * np.cross(np.broadcast_to(u, cross.shape), cross)
    return np.swapaxes(out, -1, -2)


def grid() -> tuple[np.ndarray, np.ndarray]:
    """Columns and rows of the pixel centres."""
    return np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5)


def world_points(clip: Clip, t: int) -> np.ndarray:
    """What each pixel of frame t shows, (height, width, 3) m; NaN for sky."""
    x, y = grid()
    fx, fy, cx, cy = clip.cameras.intrinsics[t]
    z = clip.frames["depth"][t, ..., 0].astype(np.float64)
    z = np.where(np.isfinite(z), z, np.nan)
    seen = np.stack([(x - cx) / fx * z, (cy - y) / fy * z, -z], -1)
    return seen @ turn(clip.cameras.quaternion[t]).T + clip.cameras.position[t]


def moved_points(clip: Clip, t: int, to: int) -> np.ndarray:
    """Where those points are at row `to`, each fixed to its body."""
    points = world_points(clip, t)
    out = np.full_like(points, np.nan)
    label = clip.frames["segmentation"][t, ..., 0]
    for row in np.unique(label[label > 0]) - 1:
        mine = label == row + 1
        a, b = turn(clip.motion.quaternion[t, row]), turn(clip.motion.quaternion[to, row])
        local = (points[mine] - clip.motion.position[t, row]) @ a
        out[mine] = local @ b.T + clip.motion.position[to, row]
    return out


def picture_of(clip: Clip, points: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (..., 2) and depth of world points in the camera of row t."""
    fx, fy, cx, cy = clip.cameras.intrinsics[t]
    seen = (points - clip.cameras.position[t]) @ turn(clip.cameras.quaternion[t])
    z = -seen[..., 2]
    return np.stack([cx + fx * seen[..., 0] / z, cy - fy * seen[..., 1] / z], -1), z


def sampled(image: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bilinear values of an image (height, width, k) at pixels, and the corners' own: NaN out."""
    x, y = at[..., 0] - 0.5, at[..., 1] - 0.5
    inside = (x >= 0) & (y >= 0) & (x < SIZE - 1) & (y < SIZE - 1)
    x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
    i, j = x.astype(int), y.astype(int)
    u, v = (x - i)[..., None], (y - j)[..., None]
    value = np.minimum(image, 1e9, dtype=np.float64)  # sky's depth is infinite
    corners = np.stack([value[j, i], value[j, i + 1], value[j + 1, i], value[j + 1, i + 1]])
    mean = (corners[0] * (1 - u) + corners[1] * u) * (1 - v)
    mean += (corners[2] * (1 - u) + corners[3] * u) * v
    lost = ~inside[..., None]
    return np.where(lost, np.nan, mean), np.where(lost, np.nan, corners)


def distances(scene: Scene, motion: Motion, row: int, t: int, points: np.ndarray) -> np.ndarray:
    """Metres from points (n, 3) to the surface of a body, the nearest of its visible geoms."""
    local = (points - motion.position[t, row]) @ turn(motion.quaternion[t, row])
    gaps = [
        surface_gap(g.kind, g.size, (local - np.array(g.position)) @ turn(np.array(g.quaternion)))
        for g in scene.bodies[row].geoms
        if g.visible
    ]
    return np.min(np.abs(gaps), axis=0)


def surface_gap(kind: str, size: tuple[float, ...], p: np.ndarray) -> np.ndarray:
    """Signed distance of points in a geom's frame (ellipsoid: to first order)."""
    if kind == "plane":
        return p[:, 2]
    if kind == "sphere":
        return np.linalg.norm(p, axis=-1) - size[0]
    if kind == "capsule":
        p = p - np.clip(p[:, 2:], -size[1], size[1]) * [0, 0, 1]
        return np.linalg.norm(p, axis=-1) - size[0]
    if kind == "ellipsoid":
        value = np.linalg.norm(p / size, axis=-1)
        return (value - 1) * value / np.linalg.norm(p / np.square(size), axis=-1)
    if kind == "cylinder":
        out = np.stack([np.hypot(p[:, 0], p[:, 1]) - size[0], np.abs(p[:, 2]) - size[1]], -1)
    else:
        out = np.abs(p) - size
    return np.linalg.norm(np.maximum(out, 0), axis=-1) + np.minimum(out.max(-1), 0)
