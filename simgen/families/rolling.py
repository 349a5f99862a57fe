"""A ball or a cylinder launched with slip on a rough floor, until it rolls."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.laboratory import LIGHT, floor, framing, whole_rate
from simgen.families.objects import (
    PHYSICS_RATE_HZ,
    Amount,
    Form,
    Size,
    ball,
    build,
    colours,
    turn_about,
    two_tone,
)
from simgen.laws import frame_times, slope
from simgen.motion import Motion
from simgen.scene import IDENTITY, Scene, Vector3

INERTIA = {"sphere": 2 / 5, "cylinder": 1 / 2}  # over m r^2
STANDSTILL = 5 / 2  # r w / v of the backspin that stops a ball for good
CLEAR_OF_IT = 0.25  # draws keep this far from it
LEAN = 0.5  # rad that the way may lean from the x axis
SPINS = ("backspin", "none", "topspin")
SOURCE = "friction mu m g acts until v = r w"


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_m: Size = (0.15, 0.25)
    cylinder_share: float = Field(default=0.5, ge=0, le=1)  # without backspin, lying cylinders
    speed_m_s: Size = (0.6, 1.2)
    friction: Size = (0.10, 0.30)  # of the thing with the floor
    backspin: Amount = (1.0, 4.5)  # r w / v at the start, against the way it goes
    topspin: Amount = (1.6, 2.6)
    spin_weights: tuple[float, float, float] = (0.6, 0.2, 0.2)  # of SPINS
    density_kg_m3: Size = (60.0, 300.0)
    gravity_m_s2: Size = (9.8, 9.8)

    @model_validator(mode="after")
    def leaves_a_choice(self) -> Parameters:
        if max(abs(bound - STANDSTILL) for bound in self.backspin) <= CLEAR_OF_IT:
            raise ValueError(f"backspin only near {STANDSTILL:g}, where a ball comes to a stop")
        if min(self.spin_weights) < 0 or not sum(self.spin_weights):
            raise ValueError(f"spin_weights {list(self.spin_weights)}: none below 0, one above")
        return self


class Rolling:
    """Friction trades spin for speed: enough backspin brings a ball back."""

    name = "rolling"
    summary = "a ball or cylinder that slips on a floor until it rolls, or backspin brings it back"
    engines = ("bullet", "mujoco")
    outcomes = ("comes_back", "rolls_on")
    Parameters = Parameters
    words = Words(
        opening=(
            "is launched along a floor and slips",
            "skids across a floor",
            "is set off along the floor with slip",
        ),
        outcomes={
            "rolls_on": ("rolls on the way it was sent", "keeps its direction and rolls on"),
            "comes_back": ("turns around and rolls back", "comes back by its own backspin"),
        },
    )

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=2)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """One thing that touches the floor and slips on it."""
        p = parameters
        radius = float(rng.uniform(*p.radius_m))
        weights = np.array(p.spin_weights) / sum(p.spin_weights)
        spin = SPINS[rng.choice(len(SPINS), p=weights)]
        # the least turn aside grows in a cylinder that slips against its way
        rolls = spin != "backspin" and rng.uniform() < p.cylinder_share
        form = Form("cylinder", (radius, 0.9 * radius), "cylinder") if rolls else ball(radius)
        ratio = 0.0 if spin == "none" else rng.uniform(*getattr(p, spin))
        while spin == "backspin" and abs(ratio - STANDSTILL) < CLEAR_OF_IT:
            ratio = rng.uniform(*p.backspin)
        ratio = -ratio if spin == "backspin" else ratio
        speed = float(rng.uniform(*p.speed_m_s))
        way = rng.choice((0.0, math.pi)) + rng.uniform(-LEAN, LEAN)
        friction = float(rng.uniform(*p.friction))
        forth = np.array([math.cos(way), math.sin(way), 0.0])
        axis = np.cross((0.0, 0.0, 1.0), forth)  # the thing turns about it as it rolls
        pose = _lying(axis) if rolls else _seam_up(axis, rng)
        thing = build(
            form.label,
            form,
            two_tone(colours(1, rng)[0]),
            density_kg_m3=float(rng.uniform(*p.density_kg_m3)),
            restitution=0.0,
            friction=friction**2,  # a pair takes the root of the product, and the floor has 1
            position=(0.0, 0.0, radius),
            velocity=speed * forth,
            angular_velocity=ratio * speed / radius * axis,
            quaternion=pose,
        )
        return Scene(
            family=self.name,
            bodies=(floor(friction=1.0), thing),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=whole_rate(PHYSICS_RATE_HZ, frame_rate_hz),
            gravity=(0.0, 0.0, -float(rng.uniform(*p.gravity_m_s2))),
            light=LIGHT,
            parameters={
                "spin": spin, "speed_m_s": speed, "friction": friction, "way_rad": float(way),
                "spin_over_speed": ratio,
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """comes_back: at the end it moves against the way it was sent; rolls_on: along it."""
        along, surface, _ = self._speeds(scene, motion)
        last = scene.frames - 1
        rolling = np.flatnonzero(np.abs(along - surface) < 0.02 * abs(along[0]))
        slip_s = rolling[0] / scene.frame_rate_hz if len(rolling) else frame_times(scene)[-1]
        margins = {
            "end_speed_m_s": float(along[last]),
            "slipping_s": float(slip_s),
            "way_m": float(np.linalg.norm(motion.position[last, 1] - motion.position[0, 1])),
        }
        return Outcome("rolls_on" if along[last] > 0 else "comes_back", margins)

    @staticmethod
    def _speeds(scene: Scene, motion: Motion) -> tuple[np.ndarray, np.ndarray, float]:
        """Speed along the launch, speed of rolling r w (both by frame, m/s), and the radius, m."""
        way = scene.parameters["way_rad"]
        forth = np.array([math.cos(way), math.sin(way), 0.0])
        radius = scene.bodies[1].geoms[0].size[0]
        axis = np.cross((0.0, 0.0, 1.0), forth)
        return motion.velocity[:, 1] @ forth, motion.angular_velocity[:, 1] @ axis * radius, radius

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """Deceleration while it slips, when that ends, and the speed at which it then rolls."""
        along, surface, _ = self._speeds(scene, motion)
        gravity, friction = -scene.gravity[2], scene.parameters["friction"]
        share = INERTIA[scene.bodies[1].geoms[0].kind]
        rolled = (along[0] + share * surface[0]) / (1 + share)
        slips_s = abs(along[0] - surface[0]) * share / (1 + share) / (friction * gravity)
        times = frame_times(scene)
        laws, during = [], times < slips_s - 0.01
        if during.sum() >= 3:
            brake = -math.copysign(friction * gravity, along[0] - surface[0])
            laws.append(Law("acceleration in slip", slope(times[during], along[during]), brake,
                            0.04 * abs(brake), "m/s2", "mu g"))  # fmt: skip
        after = times > slips_s + 0.05
        if after.sum() >= 3:
            scale = max(abs(along[0]), abs(surface[0]))
            laws.append(Law("speed of rolling", float(along[after].mean()), rolled, 0.02 * scale,
                            "m/s", "(v0 + k r w0) / (1 + k), k = I / (m r^2)"))  # fmt: skip
        if during.sum() >= 3 and after.sum() >= 3:
            ended = (along[after].mean() - along[0]) / slope(times[during], along[during])
            laws.append(Law("end of slip", float(ended), slips_s, 0.03 * slips_s + 0.004, "s",
                            "k |v0 - r w0| / ((1 + k) mu g)"))  # fmt: skip
        return tuple(laws)

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The whole way from a little above."""
        return framing(motion.position[:, 1], 1.6 * scene.bodies[1].geoms[0].size[0])


def _lying(axis: np.ndarray) -> tuple[float, float, float, float]:
    """The pose of a cylinder whose local z points along a level axis."""
    about = np.cross((0.0, 0.0, 1.0), axis)
    return turn_about(about, math.pi / 2) if np.linalg.norm(about) > 0 else IDENTITY


def _seam_up(axis: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A pose in which the seam between the two tones turns over as the ball rolls."""
    return turn_about(axis, rng.uniform(0, 2 * math.pi))
