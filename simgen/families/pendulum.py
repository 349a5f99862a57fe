"""A rigid pendulum of any amplitude: it swings, or turns over the top."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import ellipk

from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.laboratory import LIGHT, STEEL, floor, framing, post, whole_rate
from simgen.families.objects import Amount, Size, colours, two_tone
from simgen.laws import crossings, frame_times
from simgen.masses import mass_properties
from simgen.motion import Motion
from simgen.scene import Body, Geom, Joint, Scene, Vector3

RATE_HZ = 1200.0
ROD_M = 0.016  # radius
BEHIND_M = 0.3  # the stand is this far behind the plane of the swing
ELLIPTIC = "complete elliptic integral: T = 4 sqrt(I / m g d) K(sin^2(amplitude / 2))"


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    length_m: Size = (0.4, 0.9)  # from the hinge to the bob's centre
    bob_m: Size = (0.08, 0.13)  # its radius
    amplitude_deg: Size = (5.0, 120.0)
    push_share: float = Field(default=0.5, ge=0, le=1)  # chance of a push instead of letting go
    push_energy: Size = (0.6, 1.7)  # of a push, over what just reaches the top
    damping_ratio: Amount = (0.0, 0.0)  # of the hinge, to the critical one of small swings
    density_kg_m3: Size = (800.0, 4000.0)
    gravity_m_s2: Size = (9.8, 9.8)

    @model_validator(mode="after")
    def stays_clear_of_the_top(self) -> Parameters:
        if self.amplitude_deg[1] >= 175:
            raise ValueError(
                f"amplitude_deg up to {self.amplitude_deg[1]:g}; at most 175: nearer the top a "
                "swing takes for ever"
            )
        return self


@dataclass(frozen=True)
class Swinging:
    """What a body on a hinge needs to swing by the book."""

    inertia: float  # about the hinge, kg m2
    moment: float  # weight times distance of the centre of mass, N m

    @classmethod
    def of(cls, body: Body, gravity: float) -> Swinging:
        """Of a body whose hinge is at its origin and turns about y."""
        centre, tensor = mass_properties(body)
        arm = math.hypot(centre[0], centre[2])
        return cls(float(tensor[1, 1]) + body.mass_kg * arm**2, body.mass_kg * gravity * arm)

    def period_s(self, amplitude: float) -> float:
        """Of a free swing (K of scipy takes the parameter, the modulus squared)."""
        return 4 * math.sqrt(self.inertia / self.moment) * ellipk(math.sin(amplitude / 2) ** 2)

    def turn_s(self, energy: float) -> float:
        """Of a turn over the top, at an energy over what just reaches it (above 1)."""
        return 2 * math.sqrt(self.inertia / self.moment / energy) * ellipk(1 / energy)


class Pendulum:
    """One hinge: the period grows with the amplitude until a swing becomes a turn."""

    name = "pendulum"
    summary = "a rigid pendulum that swings with any amplitude or turns over the top"
    engines = ("bullet", "mujoco")
    outcomes = ("swings", "turns_over")
    Parameters = Parameters
    words = Words(
        opening=("hangs from a hinge and is set in motion", "moves about a hinge on a stand"),
        outcomes={
            "swings": ("swings to and fro below the top", "swings back without reaching the top"),
            "turns_over": ("goes over the top", "turns all the way around"),
        },
    )

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=3, joints=1)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """A pendulum let go at an amplitude, or pushed as it hangs."""
        p = parameters
        length, radius = float(rng.uniform(*p.length_m)), float(rng.uniform(*p.bob_m))
        gravity, density = float(rng.uniform(*p.gravity_m_s2)), float(rng.uniform(*p.density_kg_m3))
        side = float(rng.choice((-1.0, 1.0)))
        amplitude = math.radians(rng.uniform(*p.amplitude_deg))
        energy, ratio = float(rng.uniform(*p.push_energy)), float(rng.uniform(*p.damping_ratio))
        pushed = rng.uniform() < p.push_share
        height = length + 0.25 + radius + (length if pushed or amplitude > math.pi / 2 else 0) / 2
        arm = hung("pendulum", length, radius, density, colours(1, rng)[0])
        book = Swinging.of(arm, gravity)
        hinge = Joint(
            "hinge", "hinge", (0.0, 1.0, 0.0),
            damping=2 * ratio * math.sqrt(book.inertia * book.moment),
            position=0.0 if pushed else side * amplitude,
            velocity=side * math.sqrt(4 * energy * book.moment / book.inertia) if pushed else 0.0,
        )  # fmt: skip
        arm = Body(
            arm.name, arm.geoms, arm.mass_kg, motion="jointed", joints=(hinge,),
            position=(0.0, 0.0, height), label="pendulum",
        )  # fmt: skip
        return Scene(
            family=self.name,
            bodies=(floor(), stand(height), arm),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=whole_rate(RATE_HZ, frame_rate_hz),
            gravity=(0.0, 0.0, -gravity),
            light=LIGHT,
            parameters={
                "length_m": length, "start": "pushed" if pushed else "let_go",
                "amplitude_deg": 0.0 if pushed else math.degrees(amplitude),
                "damping_ratio": ratio, "gravity_m_s2": gravity,
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """turns_over: it passes the point straight above the hinge; swings: otherwise."""
        angle = motion.joint_position[: scene.frames, 0]
        margins = {
            "largest_angle_deg": float(np.degrees(np.abs(angle).max())),
            "turns": float(np.ptp(angle) / (2 * math.pi)),
        }
        if (period := measured_period_s(scene, motion)) is not None:
            margins["period_s"] = period
        return Outcome("turns_over" if np.abs(angle).max() > math.pi else "swings", margins)

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """The energy, and the period of what is not damped."""
        arm, gravity = scene.bodies[-1], -scene.gravity[2]
        book, hinge = Swinging.of(arm, gravity), arm.joints[0]
        rate = motion.joint_velocity[:, 0]
        energy = book.inertia * rate**2 / 2 - book.moment * np.cos(motion.joint_position[:, 0])
        power = hinge.damping * rate**2
        lost = float(np.sum(power[1:] + power[:-1]) / 2 / scene.frame_rate_hz)
        scale = book.moment + float(energy[0])  # above the lowest point
        laws = [
            Law("energy change / swing energy", float(energy[-1] - energy[0]) / scale,
                -lost / scale, 0.01, "1", "loss = integral of damping x rate^2")
        ]  # fmt: skip
        period = measured_period_s(scene, motion)
        if hinge.damping == 0 and period is not None:
            top = book.inertia * hinge.velocity**2 / (4 * book.moment)
            amplitude = abs(hinge.position) or 2 * math.asin(min(math.sqrt(top), 1.0))
            due = book.turn_s(top) if top > 1 else book.period_s(amplitude)
            laws.append(Law("time of a turn" if top > 1 else "period", period, due, 0.005 * due,
                            "s", ELLIPTIC))  # fmt: skip
        return tuple(laws)

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The whole way of the bob, and the hinge."""
        arm = scene.bodies[-1]
        length, radius = -arm.geoms[0].position[2], arm.geoms[0].size[0]
        angle = motion.joint_position[:, 0]
        turn = np.stack([-np.sin(angle), 0 * angle, -np.cos(angle)], axis=1)
        return framing(np.concatenate([[arm.position], arm.position + length * turn]), radius)


def hung(name: str, length_m: float, radius_m: float, density_kg_m3: float, colour: str) -> Body:
    """A rod with a bob at its lower end, hung by the body's origin."""
    rod = Geom("capsule", (ROD_M, length_m / 2), STEEL, position=(0, 0, -length_m / 2),
               collide=False)  # fmt: skip
    bob = Geom("sphere", (radius_m,), two_tone(colour), position=(0, 0, -length_m), collide=False)
    volume = 4 / 3 * math.pi * radius_m**3 + math.pi * ROD_M**2 * length_m
    return Body(name, (bob, rod), density_kg_m3 * volume)


def stand(height_m: float) -> Body:
    """A post behind the swing with an axle towards it."""
    foot, top = (0.0, BEHIND_M, 0.0), (0.0, BEHIND_M, height_m)
    return post("stand", [(foot, top), (top, (0.0, -0.03, height_m))], 0.025)


def measured_period_s(scene: Scene, motion: Motion) -> float | None:
    """Seconds of one swing to and fro, or of one turn; None if the clip holds too little of it.

    From the last time that the hinge passes its lowest point, counted from the start: a quarter
    of a swing after letting go, or the start itself after a push.
    """
    hinge, times = scene.bodies[-1].joints[0], frame_times(scene)
    angle, rate = motion.joint_position[:, 0], motion.joint_velocity[:, 0]
    if np.abs(angle).max() > math.pi:
        turns = int(np.abs(angle).max() / (2 * math.pi))
        if not turns:
            return None
        way = math.copysign(2 * math.pi * turns, angle[-1])
        return float(crossings(times, angle - way, rate)[0]) / turns
    passes = crossings(times[1:], angle[1:], rate[1:])
    if not len(passes):
        return None
    swings = len(passes) / 2 if hinge.position == 0 else (len(passes) - 0.5) / 2
    return float(passes[-1]) / swings
