"""Motion: what an engine made of a Scene. Any renderer can draw any engine's Motion."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float64, Int32

CONTACT_DTYPE = np.dtype(
    [
        ("body_a", np.int16),  # rows of Scene.bodies, body_a < body_b
        ("body_b", np.int16),
        ("start_s", np.float64),
        ("end_s", np.float64),  # the clip's end if still touching
        ("impulse_ns", np.float64),  # normal impulse over the whole touch, N s
        ("impulse_vector_ns", np.float64, 3),  # friction too: what a gives b, world frame
        ("peak_force_n", np.float64),
        ("point", np.float64, 3),  # where the touch began, world frame
        ("normal", np.float64, 3),  # from a to b, at the start
    ]
)


PARKED_M = -100.0  # height at which what is not there waits, out of every sight


class SimulationError(RuntimeError):
    """The engine produced something that must not become data; the reason quarantines it."""


@dataclass(frozen=True)
class Motion:
    """Poses at frame rate, one frame past the clip's end so that forward flow is valid on the last.

    `time1` is frames + 1. Body rows follow Scene.bodies; static bodies have constant rows.
    Velocities are of the body frame's origin, in the world frame.
    """

    engine: str
    engine_version: str
    position: Float64[np.ndarray, "time1 body 3"]
    quaternion: Float64[np.ndarray, "time1 body 4"]
    velocity: Float64[np.ndarray, "time1 body 3"]
    angular_velocity: Float64[np.ndarray, "time1 body 3"]
    centre_of_mass: Float64[np.ndarray, "time1 body 3"]
    joint_position: Float64[np.ndarray, "time1 joint"]
    joint_velocity: Float64[np.ndarray, "time1 joint"]
    joint_torque: Float64[np.ndarray, "time1 actuator"]  # largest magnitude used in the frame, N m
    action: Float64[np.ndarray, "time action"]  # Scene.action_names; acts from frame t to t + 1
    contacts: np.ndarray  # (contact,) CONTACT_DTYPE, by start_s; gaps under 1/4 frame are merged
    deepest_penetration_m: Float64[np.ndarray, " time1"]  # over the physics steps of the frame
    kinetic_energy_j: Float64[np.ndarray, " time1"]
    potential_energy_j: Float64[np.ndarray, " time1"]  # gravity and springs
    state: Float64[np.ndarray, "keyframe state"]  # restorable by the same engine
    state_frames: Int32[np.ndarray, " keyframe"]
    before: tuple[Float64[np.ndarray, "body 3"], Float64[np.ndarray, "body 4"]] | None = None
    # position and quaternion one frame before row 0, where there was one

    def window(self, first: int, frames: int) -> Motion:
        """Poses and velocities of a stretch of the clip, for a renderer; row 0 is frame `first`.

        Contacts, actions and states stay those of the whole clip.
        """
        if not 0 <= first < first + frames < len(self.position):
            raise ValueError(
                f"frames {first} to {first + frames} of a motion of {len(self.position)} rows"
            )
        rows = slice(first, first + frames + 1)
        before = self.before
        if first:
            before = self.position[first - 1], self.quaternion[first - 1]
        names = (
            "position", "quaternion", "velocity", "angular_velocity", "centre_of_mass",
            "joint_position", "joint_velocity", "joint_torque", "deepest_penetration_m",
            "kinetic_energy_j", "potential_energy_j",
        )  # fmt: skip
        return replace(self, before=before, **{name: getattr(self, name)[rows] for name in names})


@dataclass(frozen=True)
class Change:
    """What makes a twin of an episode."""

    kind: str  # as in simgen.recipe.TwinRecipe
    frame: int  # first frame that may differ
    body: str = ""  # the one it is done to, if one
    value: float = float("nan")  # factor, or seconds of delay
    possible: bool = True
    diverges_frame: int = -1  # first frame in which a pose differs at all; -1: none does
    others_diverge_frame: int = -1  # the same over all bodies but the changed one
    diverges_1mm_frame: int = -1  # the first in which a pose differs by 1 mm or 0.01 rad


def absent(height_m: float | Float64[np.ndarray, "*rows"]) -> Bool[np.ndarray, "*rows"]:
    """Whether what is at that height was taken away, or is not there yet."""
    return np.asarray(height_m) < PARKED_M / 2


def centre_velocity(motion: Motion) -> Float64[np.ndarray, "time1 body 3"]:
    """Velocities of the centres of mass, m/s, world frame: v + omega x (c - origin)."""
    arm = motion.centre_of_mass - motion.position
    return motion.velocity + np.cross(motion.angular_velocity, arm)
