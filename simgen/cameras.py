"""Camera paths, and the pinhole arithmetic that everything shares.

A camera looks along its local -z with +y up. Pixel (0, 0) is the top left corner and pixel
centres lie at +0.5. Pixels are square.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from scipy.spatial.transform import Rotation

from simgen.camera_moves import Move, Poses, centred, play, shaken
from simgen.recipe.camera import CameraRecipe
from simgen.scene import Light, Scene, Sky, Vector3

FIELD_OF_VIEW_DEG = (0.5, 165.0)  # of the shorter side, over a zoom


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
    move: str = "static"  # the recipe's name for its camera: pan, handheld, truck+zoom
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
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    out = np.empty((*np.shape(w), 3, 3))  # filled in place: stacking takes twice as long
    for i, row in enumerate(rows):
        for j, entry in enumerate(row):
            out[..., i, j] = entry
    return out


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
    return quaternions(np.stack([right, np.cross(back, right), back], axis=-1))


def quaternions(matrix: Float64[np.ndarray, "time 3 3"]) -> Float64[np.ndarray, "time 4"]:
    """Unit quaternions w x y z of rotation matrices; neighbouring rows have the same sign."""
    quaternion = np.roll(Rotation.from_matrix(matrix).as_quat(), 1, axis=-1)
    if quaternion[0, 0] < 0:
        quaternion[0] *= -1
    # a product with the row before as it came: an odd count of flips so far turns the sign
    turned = np.sum(quaternion[1:] * quaternion[:-1], axis=-1) < 0
    quaternion[1:][np.cumsum(turned) % 2 == 1] *= -1
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


def path(
    camera: CameraRecipe,
    *,
    look_at: Vector3,
    distance_m: float,
    frames: int,
    height: int,
    width: int,
    rng: np.random.Generator,
    frame_rate_hz: float = 24.0,
    subject: Float64[np.ndarray, "time1 3"] | None = None,
) -> CameraTrack:
    """The camera of one shot: frames + 1 rows, its moves eased over all of them.

    Always the same number of draws for the place, so two kinds of camera from one rng state start
    from one view. Before row 0 the camera stands still.

    Args:
        look_at: World point in the middle of the picture, m.
        distance_m: The family's own distance, for a field of view of 45 degrees; the recipe's
            `distance` multiplies it.
        subject: Where what a tracking camera travels along with is; it is looked at when the
            tracking begins.
    Raises:
        ValueError: A move that ends on its subject, a lens that cannot be, or nothing to track.
    """
    azimuth, elevation, factor, field_of_view = (
        rng.uniform(*bounds)
        for bounds in (
            camera.azimuth_deg, camera.elevation_deg, camera.distance, camera.field_of_view_deg,
        )
    )  # fmt: skip
    moves = drawn_moves(camera, rng)
    target = np.asarray(look_at, dtype=np.float64)
    followed = [move.start for move in moves if move.kind == "tracking"]
    if followed and subject is not None:
        target = subject[round(followed[0] * frames)]
    position = target + factor * distance_m * bearing(azimuth, elevation)
    matrix = rotation_matrix(look_at_quaternion(position[None], target[None])[0])
    focal = 0.5 * min(height, width) / np.tan(np.deg2rad(field_of_view) / 2)
    start = centred(Poses(position, matrix, np.asarray(focal), target), moves)
    poses = play(start, moves, frames + 1, subject)
    check_lens(poses.focal, min(height, width))
    if camera.shakes:
        degrees, metres = (rng.uniform(*bounds) for bounds in camera.shakes)
        poses = shaken(poses, degrees, metres, frame_rate_hz, rng)
    intrinsics = np.empty((frames + 1, 4))
    intrinsics[:, :2], intrinsics[:, 2:] = poses.focal[:, None], (width / 2, height / 2)
    return CameraTrack(poses.position, quaternions(poses.matrix), intrinsics)


def drawn_moves(camera: CameraRecipe, rng: np.random.Generator) -> list[Move]:
    """The recipe's moves with their travels, sharing the shot's time."""
    whole = sum(move.share for move in camera.sequence)
    moves, start = [], 0.0
    for move in camera.sequence:
        end = start + move.share / whole
        moves.append(Move(move.kind, float(rng.uniform(*move.bounds)), start, end, move.ease))
        start = end
    return moves


def bearing(azimuth_deg: float, elevation_deg: float) -> Float64[np.ndarray, 3]:
    """Unit vector from a subject to its camera; azimuth 0 is +x, 90 is +y.

    >>> bearing(0.0, 90.0).round(12).tolist()
    [0.0, 0.0, 1.0]
    """
    azimuth, elevation = np.deg2rad([azimuth_deg, elevation_deg])
    level = np.cos(elevation)
    return np.array([level * np.cos(azimuth), level * np.sin(azimuth), np.sin(elevation)])


def check_lens(focal: Float64[np.ndarray, " time"], shorter_side: int) -> None:
    """
    Raises:
        ValueError: A field of view that no lens has.
    """
    angle = 2 * np.rad2deg(np.arctan(0.5 * shorter_side / focal))
    low, high = FIELD_OF_VIEW_DEG
    if angle.min() < low or angle.max() > high:
        raise ValueError(
            f"a zoom from {angle[0]:.1f} to {angle[-1]:.1f} degrees of view; {low:g} to {high:g} "
            "are possible: keep the zoom's travel nearer to 1 or change field_of_view_deg"
        )
