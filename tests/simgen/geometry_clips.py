"""A small clip of every family, and arithmetic on its pictures that shares nothing with simgen."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
from simgen.recipe.recipe import Recipe, Video
from simgen.renderers import render
from simgen.scene import Scene
from simgen.store.arrays import converted
from simgen.store.specs import video_specs
from simgen.truth import tracks

RECIPES = Path(__file__).parents[2] / "datasets"
SIZE, WINDOWS, FRAMES = 64, 4, 3  # pixels a side; stretches of a clip and frames in each
TRIES = 8  # episodes that a family may reject
FASTEST_PX = 5.0  # a frame, of what a cropped stretch follows
BOUNDS = {
    spec.name: spec.bound
    for spec in video_specs(Video(), {"depth", "normals", "flow", "backward_flow"})
}


@dataclass(frozen=True)
class Clip:
    """A few neighbouring frames of an episode."""

    scene: Scene
    motion: Motion  # row 0 is the first frame
    cameras: CameraTrack
    frames: dict[str, np.ndarray]
    track: np.ndarray  # (time, body, 2) as stored
    is_stored: bool = False  # the channels went through what the store makes of them

    def error(self, channel: str, values: np.ndarray) -> np.ndarray | float:
        """Most that the stored values may be off what was rendered, in their unit."""
        if not self.is_stored:
            return 0.0
        return np.maximum(BOUNDS[channel].absolute, BOUNDS[channel].relative * np.abs(values))


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
    """WINDOWS stretches of the first episode that the recipe makes of the family, every other one
    cropped to what moves most and where it does.
    """
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
        whole = [window(scene, motion, shots, first) for first in firsts(scene.frames)[::2]]
        cropped = [window(scene, motion, shots, *at) for at in liveliest(scene, motion, shots)]
        return (*whole, *cropped)
    raise LookupError(f"no episode of family {name!r} could be made")


@cache
def stored_clips(name: str) -> tuple[Clip, ...]:
    """The same with the numbers that the store holds of them."""
    found = []
    for clip in clips(name):
        frames = {channel: converted(channel, array) for channel, array in clip.frames.items()}
        frames = {n: a if a.dtype == np.uint8 else a.astype(np.float64) for n, a in frames.items()}
        frames["normals"] = frames["normals"] / 127
        found.append(replace(clip, frames=frames, is_stored=True))
    return tuple(found)


def liveliest(scene: Scene, motion: Motion, shots) -> list[tuple[int, tuple[float, float, float]]]:
    """First frames of two stretches, and centre and half side in pixels of what moves most there.

    Of the moving bodies whose way stays in the picture and below FASTEST_PX a frame.
    """
    found = []
    rows = [i for i, body in enumerate(scene.bodies) if body.motion != "static"]
    for shot in shots:
        at, depth = (part[: shot.frames] for part in tracks(shot, motion))
        for first in range(0, shot.frames - FRAMES):
            path = at[first : first + FRAMES, rows]
            step = np.linalg.norm(np.diff(path, axis=0), axis=-1).max(0)
            inside = ((path > 4) & (path < SIZE - 4)).all((0, 2)) & (step < FASTEST_PX)
            if inside.any():
                best = int(np.argmax(np.where(inside, step, -1.0)))
                focal = shot.cameras.intrinsics[first, 0]
                reach = max(max(g.size, default=0.1) for g in scene.bodies[rows[best]].geoms)
                half = 1.5 * focal * reach / depth[first, rows[best]] + 2 * step[best]
                centre = path[FRAMES // 2, best]
                half = float(np.clip(half, SIZE / 16, SIZE / 2))
                found.append((step[best] / half, shot.first_frame + first, (*centre, half)))
    found.sort(key=lambda each: -each[0])
    first = found[0]
    apart = [each for each in found if abs(each[1] - first[1]) > 2 * FRAMES] or found[1:2]
    return [(each[1], each[2]) for each in (first, *apart[:1])]


def at_scene(recipe: Recipe, index: int) -> int:
    """The scene of an episode; -1 for a twin's."""
    at = recipe.assign(index)
    return -1 if at.variant else at.scene_index


def firsts(frames: int) -> list[int]:
    return np.linspace(0, frames - FRAMES, WINDOWS).astype(int).tolist()


def window(scene, motion, shots, first, crop=None) -> Clip:
    """FRAMES frames from `first` on, or earlier where a cut would come between.

    Args:
        crop: Centre x and y and half side, px, of the square that alone is drawn, as large as the
            whole would be.
    """
    shot = [s for s in shots if s.first_frame <= first][-1]
    inside = min(first - shot.first_frame, shot.frames - FRAMES)
    rows = slice(inside, inside + FRAMES + 1)
    cameras = CameraTrack(
        *(part[rows] for part in (shot.cameras.position, shot.cameras.quaternion,
                                  shot.cameras.intrinsics))
    )  # fmt: skip
    if crop:
        scale, k = SIZE / 2 / crop[2], cameras.intrinsics
        middle = SIZE / 2 + scale * (k[:, 2:] - crop[:2])
        cameras = replace(cameras, intrinsics=np.concatenate([scale * k[:, :2], middle], axis=1))
    moved = motion.window(shot.first_frame + inside, FRAMES)
    frames = render(shot.dressed(scene), moved, cameras, height=SIZE, width=SIZE)
    track = tracks(shot, motion)[0][inside : inside + FRAMES]
    if crop:
        track = SIZE / 2 + scale * (track - crop[:2])
    track = track.astype(np.float32)
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


def world_points(clip: Clip, t: int, *, off: float = 0.0) -> np.ndarray:
    """What each pixel of frame t shows, (height, width, 3) m; NaN for sky.

    Args:
        off: How much farther, in the largest error that the depth may have.
    """
    x, y = grid()
    fx, fy, cx, cy = clip.cameras.intrinsics[t]
    z = clip.frames["depth"][t, ..., 0].astype(np.float64)
    z = np.where(np.isfinite(z), z, np.nan)
    z = z + off * clip.error("depth", z)
    seen = np.stack([(x - cx) / fx * z, (cy - y) / fy * z, -z], -1)
    return seen @ turn(clip.cameras.quaternion[t]).T + clip.cameras.position[t]


def depth_error_m(clip: Clip, t: int) -> np.ndarray:
    """How far from where it is each pixel's point may seem to be, (height, width) m."""
    return np.linalg.norm(world_points(clip, t, off=1.0) - world_points(clip, t), axis=-1)


def moved_points(clip: Clip, t: int, to: int, *, off: float = 0.0) -> np.ndarray:
    """Where those points are at row `to`, each fixed to its body."""
    points = world_points(clip, t, off=off)
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
