"""A pendulum hung from a pendulum: order at low energy, chaos at high."""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64
from pydantic import BaseModel, ConfigDict, model_validator
from scipy.integrate import solve_ivp

from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.laboratory import LIGHT, floor, framing, whole_rate
from simgen.families.objects import Size, colours
from simgen.families.pendulum import hung, stand
from simgen.laws import frame_times
from simgen.masses import mass_properties
from simgen.motion import Motion
from simgen.scene import Body, Joint, Scene, Vector3

RATE_HZ = 4800.0  # Bullet steps hinges to first order
AXIS: Vector3 = (0.0, 1.0, 0.0)
COMPARED_S = 0.5  # later, chaos has made small errors large


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length_m: Size = (0.28, 0.45)  # of each arm
    bob_m: Size = (0.06, 0.10)
    amplitude_deg: Size = (20.0, 150.0)  # of each arm from straight down, to either side
    density_kg_m3: Size = (800.0, 4000.0)
    gravity_m_s2: Size = (9.8, 9.8)

    @model_validator(mode="after")
    def is_an_angle(self) -> Parameters:
        if self.amplitude_deg[1] > 180:
            raise ValueError(f"amplitude_deg up to {self.amplitude_deg[1]:g}; at most 180")
        return self


class DoublePendulum:
    """Two hinges are enough for motion that nobody can foretell for long."""

    name = "double_pendulum"
    summary = "a double pendulum whose lower arm swings or turns over"
    engines = ("bullet", "mujoco")
    outcomes = ("swings", "turns_over")
    Parameters = Parameters
    words = Words(
        opening=("is let go on its stand", "starts to swing from rest"),
        outcomes={
            "swings": ("swings without turning over", "swings on, its lower arm never upside down"),
            "turns_over": ("throws its lower arm over the top", "turns its lower arm over"),
        },
    )

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=4, joints=2)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """Two arms let go from rest."""
        p = parameters
        lengths, radii = rng.uniform(*p.length_m, 2), rng.uniform(*p.bob_m, 2)
        angles = np.radians(rng.uniform(*p.amplitude_deg, 2)) * rng.choice((-1.0, 1.0), 2)
        density, gravity = float(rng.uniform(*p.density_kg_m3)), float(rng.uniform(*p.gravity_m_s2))
        height = 0.15 + float(lengths.sum() + radii[1])
        places = ((0.0, 0.0, height), (0.0, 0.0, -float(lengths[0])))
        names, bends = ("upper_arm", "lower_arm"), (angles[0], angles[1] - angles[0])
        arms = []
        for i, colour in enumerate(colours(2, rng)):
            arm = hung(names[i], float(lengths[i]), float(radii[i]), density, colour)
            hinge = Joint(f"hinge_{i}", "hinge", AXIS, position=float(bends[i]))
            arms.append(
                Body(
                    arm.name, arm.geoms, arm.mass_kg, motion="jointed", joints=(hinge,),
                    parent=names[0] if i else None, position=places[i],
                    object="pendulum", label="double pendulum",
                )
            )  # fmt: skip
        return Scene(
            family=self.name,
            bodies=(floor(), stand(height), *arms),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=whole_rate(RATE_HZ, frame_rate_hz),
            gravity=(0.0, 0.0, -gravity),
            light=LIGHT,
            parameters={
                "upper_deg": math.degrees(angles[0]), "lower_deg": math.degrees(angles[1]),
                "upper_m": float(lengths[0]), "lower_m": float(lengths[1]),
                "gravity_m_s2": gravity,
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """turns_over: the lower arm passes straight up; swings: it never does."""
        lower = motion.joint_position[: scene.frames].sum(axis=1)
        upper = motion.joint_position[: scene.frames, 0]
        margins = {
            "lower_largest_deg": float(np.degrees(np.abs(lower).max())),
            "upper_largest_deg": float(np.degrees(np.abs(upper).max())),
        }
        return Outcome("turns_over" if np.abs(lower).max() > math.pi else "swings", margins)

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """The energy, and both angles in the first half second by the equations of motion."""
        energy = motion.kinetic_energy_j + motion.potential_energy_j
        swing = float(np.ptp(motion.potential_energy_j))
        times = frame_times(scene)
        row = int(np.argmin(np.abs(times - COMPARED_S)))
        due = integrated(scene, times[: row + 1])
        seen = np.cumsum(motion.joint_position[: row + 1], axis=1)
        off = float(np.abs(seen - due).max())
        return (
            Law("energy change / swing energy", float(np.abs(energy - energy[0]).max()) / swing,
                0.0, 0.05, "1", "hinges without friction"),
            Law("angles in the first half second, worst", off, 0.0, 0.03, "rad",
                "Lagrange's equations, integrated"),
        )  # fmt: skip

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The circle that the arms can reach, as far as they did."""
        hinge = np.array(scene.bodies[2].position)
        reach = scene.bodies[3].geoms[0].size[0]
        lower = scene.bodies[3].geoms[0].position[2]
        angle = motion.joint_position.sum(axis=1)
        turn = np.stack([np.sin(angle), 0 * angle, np.cos(angle)], axis=1)
        ends = motion.position[:, 3] + lower * turn
        return framing(np.concatenate([[hinge], motion.position[:, 3], ends]), reach)


def integrated(scene: Scene, times: Float64[np.ndarray, " time"]) -> Float64[np.ndarray, "time 2"]:
    """Both arms' angles from straight down, by their equations of motion. Radians."""
    upper, lower = scene.bodies[-2:]
    gravity, length = -scene.gravity[2], -lower.position[2]
    arms = []
    for body in (upper, lower):
        centre, tensor = mass_properties(body)
        arms.append((tensor[1, 1] + body.mass_kg * centre[2] ** 2, -body.mass_kg * centre[2]))
    first = arms[0][0] + lower.mass_kg * length**2
    cross = length * arms[1][1]
    pull = gravity * (arms[0][1] + lower.mass_kg * length), gravity * arms[1][1]

    def rates(_: float, state: np.ndarray) -> list[float]:
        a, b, p, q = state
        mixed, turned = cross * math.cos(a - b), cross * math.sin(a - b)
        push = -turned * q * q - pull[0] * math.sin(a), turned * p * p - pull[1] * math.sin(b)
        det = first * arms[1][0] - mixed * mixed
        return [
            p, q,
            (arms[1][0] * push[0] - mixed * push[1]) / det,
            (first * push[1] - mixed * push[0]) / det,
        ]  # fmt: skip

    bends = [joint.position for body in (upper, lower) for joint in body.joints]
    start = [bends[0], bends[0] + bends[1], 0.0, 0.0]
    span = (0.0, float(times[-1]))
    solved = solve_ivp(rates, span, start, "DOP853", t_eval=times, rtol=1e-10, atol=1e-10)
    return solved.y[:2].T
