"""Camera paths, and the pinhole arithmetic that everything shares.

A camera looks along its local -z with +y up. Pixel (0, 0) is the top left corner and pixel
centres lie at +0.5. Pixels are square.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from simgen.recipe.camera import CameraRecipe
from simgen.scene import Light, Scene, Sky, Vector3


@dataclass(frozen=True)
class CameraTrack:
    """Extrinsics and intrinsics per frame, one frame past the clip's end like Motion."""

    position: Float64[np.ndarray, "time1 3"]
    quaternion: Float64[np.ndarray, "time1 4"]  # camera to world, w x y z
    intrinsics: Float64[np.ndarray, "time1 4"]  # fx, fy, cx, cy in pixels


@dataclass(frozen=True)
class Shot:
    """A stretch of a clip under one camera. Shots follow each other without gap: an edit list."""

    first_frame: int
    cameras: CameraTrack  # the shot's frames and one more
    move: str = "static"  # the recipe's kind of camera
    setting: str = ""  # a family's Setting
    light: Light | None = None  # None: the scene's
    sky: Sky | None = None

    @property
    def frames(self) -> int:
        return len(self.cameras.position) - 1

    def dressed(self, scene: Scene) -> Scene:
        """The scene in this shot's light and sky."""
        return replace(scene, light=self.light or scene.light, sky=self.sky or scene.sky)


def rotation_matrix(
    quaternion: Float64[np.ndarray, "*rows 4"],
) -> Float64[np.ndarray, "*rows 3 3"]:
    """Matrices that turn local vectors into world ones, of unit quaternions w x y z.

    >>> rotation_matrix(np.array([1.0, 0.0, 0.0, 0.0])).diagonal().tolist()
    [1.0, 1.0, 1.0]
    """
    w, x, y, z = np.moveaxis(np.asarray(quaternion, dtype=np.float64), -1, 0)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def look_at_quaternion(
    position: Float64[np.ndarray, "time 3"], target: Float64[np.ndarray, "time 3"]
) -> Float64[np.ndarray, "time 4"]:
    """Camera-to-world quaternions that look from position to target with the world's z up.

    Looking straight up or down, the world's +y is up in the picture. Neighbouring rows have the
    same sign.

    Raises:
        ValueError: A position that is its own target.
    """
    back = np.asarray(position, dtype=np.float64) - np.asarray(target, dtype=np.float64)
    distance = np.linalg.norm(back, axis=-1, keepdims=True)
    if np.any(distance < 1e-9):
        raise ValueError("a camera cannot look at the point it stands on")
    back = back / distance
    vertical = np.abs(back[:, 2:3]) > 1 - 1e-9
    up = np.where(vertical, (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    right = np.cross(up, back)
    right /= np.linalg.norm(right, axis=-1, keepdims=True)
    matrix = np.stack([right, np.cross(back, right), back], axis=-1)
    quaternion = np.roll(Rotation.from_matrix(matrix).as_quat(), 1, axis=-1)
    if quaternion[0, 0] < 0:
        quaternion[0] *= -1
    turns = np.sum(quaternion[1:] * quaternion[:-1], axis=-1) < 0
    quaternion[1:][np.cumsum(turns) % 2 == 1] *= -1
    return quaternion


def project(
    points: Float64[np.ndarray, "time n 3"], cameras: CameraTrack
) -> tuple[Float64[np.ndarray, "time n 2"], Float64[np.ndarray, "time n"]]:
    """Pixels (x right, y down) of world points, and their depth along the optical axis in metres.

    `time` may be shorter than the track; row t is seen by camera t. Points beside or behind the
    camera (depth <= 0) have NaN pixels.

    Raises:
        ValueError: More rows of points than cameras.
    """
    points = np.asarray(points, dtype=np.float64)
    time = len(points)
    if time > len(cameras.position):
        raise ValueError(f"{time} rows of points for {len(cameras.position)} cameras")
    world_from_camera = rotation_matrix(cameras.quaternion[:time])
    offset = points - cameras.position[:time, None]
    x, y, z = np.moveaxis(np.einsum("tji,tnj->tni", world_from_camera, offset), -1, 0)
    depth = -z
    safe = np.where(depth > 0, depth, np.nan)
    fx, fy, cx, cy = cameras.intrinsics[:time, :, None].transpose(1, 0, 2)
    return np.stack([cx + fx * x / safe, cy - fy * y / safe], axis=-1), depth


@dataclass(frozen=True)
class Draw:
    """A camera recipe's drawn values, radians and metres."""

    look_at: np.ndarray  # (3,)
    azimuth: float  # of the camera seen from look_at; 0: on +x, pi/2: on +y
    elevation: float
    distance_m: float
    travel: float  # as the recipe has it: degrees for an orbit, metres for a dolly


def _around(
    draw: Draw, azimuth: np.ndarray | float, distance_m: np.ndarray | float
) -> Float64[np.ndarray, "time 3"]:
    """Points on the sphere around look_at, one a row."""
    azimuth, distance_m = np.broadcast_arrays(azimuth, distance_m)
    level = np.cos(draw.elevation)
    direction = np.stack(
        [
            level * np.cos(azimuth),
            level * np.sin(azimuth),
            np.full(azimuth.shape, np.sin(draw.elevation)),
        ],
        axis=-1,
    )
    return draw.look_at + distance_m[:, None] * direction


def _static(draw: Draw, progress: np.ndarray) -> np.ndarray:
    return _around(draw, np.full(len(progress), draw.azimuth), draw.distance_m)


def _orbit(draw: Draw, progress: np.ndarray) -> np.ndarray:
    return _around(draw, draw.azimuth + np.deg2rad(draw.travel) * progress, draw.distance_m)


def _dolly(draw: Draw, progress: np.ndarray) -> np.ndarray:
    nearest = draw.distance_m - max(draw.travel, 0.0)
    if nearest < 0.2 * draw.distance_m:
        raise ValueError(
            f"a dolly of {draw.travel:.2f} m from {draw.distance_m:.2f} m away ends on its "
            "subject; keep camera.travel under 0.8 of the distance"
        )
    return _around(draw, draw.azimuth, draw.distance_m - draw.travel * progress)


# kind -> camera positions (time, 3) for progress 0..1; every move here keeps looking at the point
MOVES: dict[str, Callable[[Draw, np.ndarray], np.ndarray]] = {
    "static": _static,
    "orbit": _orbit,
    "dolly": _dolly,
}


def ease(progress: np.ndarray) -> np.ndarray:
    """0..1 to 0..1, setting off and stopping without a jerk (3 s^2 - 2 s^3).

    >>> ease(np.array([0.0, 0.5, 1.0])).tolist()
    [0.0, 0.5, 1.0]
    """
    return progress * progress * (3.0 - 2.0 * progress)


def path(
    camera: CameraRecipe,
    *,
    look_at: Vector3,
    distance_m: float,
    frames: int,
    height: int,
    width: int,
    rng: np.random.Generator,
) -> CameraTrack:
    """The camera of one clip: frames + 1 rows, the move eased in and out over all of them.

    Always the same number of draws, so two kinds of camera from one rng state start at one place.

    Args:
        look_at: World point in the middle of the picture, m.
        distance_m: The family's own distance, for a field of view of 45 degrees; the recipe's
            `distance` multiplies it.
    Raises:
        ValueError: A move that ends on its subject.
    """
    azimuth, elevation, factor, field_of_view, travel = (
        rng.uniform(*bounds)
        for bounds in (
            camera.azimuth_deg,
            camera.elevation_deg,
            camera.distance,
            camera.field_of_view_deg,
            camera.travel,
        )
    )
    target = np.asarray(look_at, dtype=np.float64)
    draw = Draw(target, np.deg2rad(azimuth), np.deg2rad(elevation), factor * distance_m, travel)
    position = MOVES[camera.kind](draw, ease(np.linspace(0.0, 1.0, frames + 1)))
    focal = 0.5 * min(height, width) / np.tan(np.deg2rad(field_of_view) / 2)
    intrinsics = np.tile([focal, focal, width / 2, height / 2], (frames + 1, 1))
    quaternion = look_at_quaternion(position, np.broadcast_to(target, position.shape))
    return CameraTrack(position, quaternion, intrinsics)
