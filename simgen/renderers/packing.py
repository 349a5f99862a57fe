"""A Scene's visible geoms as flat arrays, and where each stands in every frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32

from simgen.cameras import rotation_matrix
from simgen.motion import Motion
from simgen.scene import Geom, Scene

KINDS = ("plane", "sphere", "ellipsoid", "capsule", "cylinder", "box")
PATTERNS = ("solid", "two_tone", "checker", "stripes", "grain")
TONE_AXIS = np.array([0.6, 0.48, 0.64])


@dataclass(frozen=True)
class GeomTable:
    """Rows are visible geoms in the order of Scene.bodies; invisible ones are not drawn."""

    body: Int32[np.ndarray, " geom"]  # row of Scene.bodies
    kind: Int32[np.ndarray, " geom"]  # index into KINDS
    size: Float64[np.ndarray, "geom 3"]  # half extents of the box around it, in its own frame
    position: Float64[np.ndarray, "geom 3"]  # in the body's frame
    rotation: Float64[np.ndarray, "geom 3 3"]  # geom to body
    pattern: Int32[np.ndarray, " geom"]  # index into PATTERNS
    rgb: Float64[np.ndarray, "geom 2 3"]  # both tones, linear
    scale: Float64[np.ndarray, " geom"]  # of the pattern, metres
    axis: Float64[np.ndarray, "geom 3"]  # in the geom's frame: two tones and stripes lie across it
    gloss: Float64[np.ndarray, " geom"]

    def __len__(self) -> int:
        return len(self.body)


def rotations(quaternion: Float64[np.ndarray, "*rows 4"]) -> Float64[np.ndarray, "*rows 3 3"]:
    """Rotation matrices (local to world) of w x y z quaternions, which are normalised first."""
    return rotation_matrix(quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True))


def pack(scene: Scene) -> GeomTable:
    """The table of a scene's visible geoms.

    Raises:
        ValueError: More bodies than the uint8 segmentation can name (255).
    """
    if len(scene.bodies) > 255:
        raise ValueError(f"{len(scene.bodies)} bodies; uint8 segmentation names at most 255")
    drawn = [(row, g) for row, body in enumerate(scene.bodies) for g in body.geoms if g.visible]
    geoms = [g for _, g in drawn]
    tones = [(g.material.rgb, g.material.rgb2 or g.material.rgb) for g in geoms]
    rotation = rotations(np.array([g.quaternion for g in geoms], np.float64).reshape(-1, 4))
    return GeomTable(
        body=np.array([row for row, _ in drawn], np.int32),
        kind=np.array([KINDS.index(g.kind) for g in geoms], np.int32),
        size=np.array([_half_extents(g.kind, g.size) for g in geoms], np.float64).reshape(-1, 3),
        position=np.array([g.position for g in geoms], np.float64).reshape(-1, 3),
        rotation=rotation,
        pattern=np.array([PATTERNS.index(g.material.pattern) for g in geoms], np.int32),
        rgb=np.array(tones, np.float64).reshape(-1, 2, 3),
        scale=np.array([g.material.scale_m for g in geoms], np.float64),
        axis=_pattern_axes(geoms, rotation),
        gloss=np.array([g.material.gloss for g in geoms], np.float64),
    )


def _pattern_axes(
    geoms: list[Geom], rotation: Float64[np.ndarray, "geom 3 3"]
) -> Float64[np.ndarray, "geom 3"]:
    """Oblique in the body's frame, so that spin about x, y or z shows; along a flat thing's x."""
    axes = TONE_AXIS @ rotation
    flat = [g.material.pattern == "stripes" and g.kind in ("plane", "box") for g in geoms]
    axes[np.array(flat, bool)] = (1.0, 0.0, 0.0)
    return axes


def _half_extents(kind: str, size: tuple[float, ...]) -> tuple[float, float, float]:
    if kind == "plane":
        return (0.0, 0.0, 0.0)
    if kind == "sphere":
        return (size[0], size[0], size[0])
    if kind == "capsule":
        return (size[0], size[0], size[0] + size[1])
    if kind == "cylinder":
        return (size[0], size[0], size[1])
    return (size[0], size[1], size[2])


def world_frames(
    table: GeomTable, motion: Motion
) -> tuple[Float64[np.ndarray, "time1 geom 3 3"], Float64[np.ndarray, "time1 geom 3"]]:
    """Rotation (geom to world) and centre of every geom in every frame."""
    body_rotation = rotations(motion.quaternion)[:, table.body]
    arm = (body_rotation @ table.position[..., None])[..., 0]
    return body_rotation @ table.rotation, motion.position[:, table.body] + arm
