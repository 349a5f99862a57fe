"""A top with its tip in a socket: its spin holds it up and makes it precess, or it falls."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simgen.cameras import rotation_matrix
from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.laboratory import LIGHT, STEEL, WOOD, floor, framing, post, whole_rate
from simgen.families.objects import Size, colours, turn_about, two_tone
from simgen.laws import angular_momentum, frame_times, slope, touches_of
from simgen.masses import mass_properties
from simgen.motion import Motion, centre_velocity
from simgen.scene import ORIGIN, Body, Connect, Geom, Scene, Vector3

RATE_HZ = 2400.0
SOCKET_M = 0.05  # height of the tip
STEM_M = 0.014
SOURCE = "steady precession: I1 cos(tilt) W^2 - I3 w3 W + m g l = 0, the slow root"


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    disc_m: Size = (0.16, 0.24)  # radius
    height_m: Size = (0.13, 0.18)  # of the disc's middle above the tip
    thickness_m: Size = (0.04, 0.07)
    stand_share: float = Field(default=0.6, ge=0, le=1)  # chance of spin enough to stand
    standing_spin: Size = (1.2, 1.9)  # over the least that holds a top up
    falling_spin: Size = (0.2, 0.7)
    standing_tilt_deg: Size = (3.0, 22.0)
    falling_tilt_deg: Size = (3.0, 8.0)
    density_kg_m3: Size = (400.0, 1500.0)
    gravity_m_s2: Size = (9.8, 9.8)

    @model_validator(mode="after")
    def clear_of_the_limit(self) -> Parameters:
        if self.standing_spin[0] < 1.05 or self.falling_spin[1] > 0.9:
            raise ValueError(
                "standing_spin must begin at 1.05 or more and falling_spin end at 0.9 or less: "
                "between them the least push decides"
            )
        if self.standing_tilt_deg[1] > 30:
            raise ValueError(
                f"standing_tilt_deg up to {self.standing_tilt_deg[1]:g}; at most 30, or discs "
                "touch the floor"
            )
        return self


@dataclass(frozen=True)
class Top:
    """What a symmetric top turning about its tip needs to go by the book."""

    spinning: float  # moment of inertia about its axis, kg m2
    tipping: float  # about its tip, across the axis
    pull: float  # weight times distance of the centre of mass from the tip, N m

    @classmethod
    def of(cls, body: Body, gravity: float) -> Top:
        """Of a body whose axis is its local z and whose tip is its origin."""
        centre, tensor = mass_properties(body)
        across = float(tensor[0, 0]) + body.mass_kg * centre[2] ** 2
        return cls(float(tensor[2, 2]), across, body.mass_kg * gravity * float(centre[2]))

    def least_spin(self, tilt: float) -> float:
        """Spin below which no steady precession holds it at a tilt, rad/s."""
        return math.sqrt(4 * self.tipping * self.pull * math.cos(tilt)) / self.spinning

    def precession(self, spin: float, tilt: float) -> float:
        """Rate of the slow steady precession, rad/s."""
        turned = self.spinning * spin
        root = math.sqrt(turned**2 - 4 * self.tipping * self.pull * math.cos(tilt))
        return 2 * self.pull / (turned + root)


class SpinningTop:
    """Gyroscopes: a fast top leans without falling and walks around the vertical."""

    name = "spinning_top"
    summary = "a top that stands by its spin and precesses, or falls for the want of it"
    engines = ("bullet", "mujoco")
    outcomes = ("falls", "stays_up")
    Parameters = Parameters
    words = Words(
        opening=("spins on its tip", "is set spinning in a socket"),
        outcomes={
            "stays_up": ("stays up", "is kept up by its spin"),
            "falls": ("tips over to the floor", "falls over until its rim hits the floor"),
        },
    )

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=3, actions=1)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """A top that spins: with the precession that suits its tilt, or too slowly for any."""
        p = parameters
        body = shaped(
            float(rng.uniform(*p.disc_m)), float(rng.uniform(*p.height_m)),
            float(rng.uniform(*p.thickness_m)), float(rng.uniform(*p.density_kg_m3)),
            colours(1, rng)[0],
        )  # fmt: skip
        gravity, stands = float(rng.uniform(*p.gravity_m_s2)), rng.uniform() < p.stand_share
        tilt = math.radians(rng.uniform(*(p.standing_tilt_deg if stands else p.falling_tilt_deg)))
        way, sense = rng.uniform(0, 2 * math.pi), float(rng.choice((-1.0, 1.0)))
        ratio = float(rng.uniform(*(p.standing_spin if stands else p.falling_spin)))
        book, height = Top.of(body, gravity), float(mass_properties(body)[0][2])
        spin = ratio * book.least_spin(tilt)
        lean = np.array([-math.sin(way), math.cos(way), 0.0])
        axis = np.array([*(math.sin(tilt) * np.array([math.cos(way), math.sin(way)])),
                         math.cos(tilt)])  # fmt: skip
        turning = spin * axis
        if stands:
            around = book.precession(spin, tilt)
            turning = (spin - around * math.cos(tilt)) * axis + np.array([0.0, 0.0, around])
        top = Body(
            "top", body.geoms, body.mass_kg, label="top", position=(0.0, 0.0, SOCKET_M),
            quaternion=turn_about(lean, tilt),
            velocity=tuple(np.cross(sense * turning, height * axis).tolist()),
            angular_velocity=tuple((sense * turning).tolist()),
        )  # fmt: skip
        foot = post("socket", [(ORIGIN, (0.0, 0.0, SOCKET_M))], 0.03, material=WOOD, label="socket")
        return Scene(
            family=self.name,
            bodies=(floor(friction=0.3), foot, top),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=whole_rate(RATE_HZ, frame_rate_hz),
            gravity=(0.0, 0.0, -gravity),
            connects=(Connect("tip", "socket", (0.0, 0.0, SOCKET_M), "top", ORIGIN),),
            light=LIGHT,
            parameters={
                "spin_rad_s": sense * spin, "spin_ratio": ratio, "tilt_deg": math.degrees(tilt),
                "gravity_m_s2": gravity,
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """falls: it touches the floor; stays_up: nothing but its socket touches it."""
        axis = rotation_matrix(motion.quaternion[: scene.frames, -1])[..., 2]
        margins = {
            "largest_tilt_deg": float(np.degrees(np.arccos(axis[:, 2].clip(-1, 1)).max())),
            "spin_turns_s": float(abs(motion.angular_velocity[0, -1] @ axis[0]) / (2 * math.pi)),
            "precessed_turns": float(np.ptp(around(axis)) / (2 * math.pi)),
        }
        touches = touches_of(motion, 2)
        if not len(touches):
            return Outcome("stays_up", margins)
        return Outcome("falls", {**margins, "fell_s": float(touches["start_s"][0])})

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """Whether it stands, what turning about the tip keeps, and its steady precession."""
        touches, times = touches_of(motion, 2), frame_times(scene)
        up = times < (touches["start_s"][0] if len(touches) else times[-1] + 1)
        axis = rotation_matrix(motion.quaternion[:, -1])[..., 2]
        ratio, tilt = scene.parameters["spin_ratio"], math.radians(scene.parameters["tilt_deg"])
        arm = motion.centre_of_mass[:, -1] - (0.0, 0.0, SOCKET_M)
        push = scene.bodies[-1].mass_kg * centre_velocity(motion)[:, -1]
        whole = angular_momentum(scene, motion, 2) + np.cross(arm, push)
        size = float(np.linalg.norm(whole[0]))
        laws = [
            Law("stands (1) or falls (0)", float(not len(touches)), float(ratio > 1), 0.5, "1",
                "stands if (I3 w3)^2 > 4 I1 m g l cos(tilt)"),
            Law("change of vertical angular momentum", float(np.ptp(whole[up, 2])) / size, 0.0,
                0.02, "1", "no torque about the vertical through the tip"),
        ]  # fmt: skip
        if ratio > 1 and not len(touches):
            book = Top.of(scene.bodies[-1], -scene.gravity[2])
            due = math.copysign(book.precession(abs(scene.parameters["spin_rad_s"]), tilt),
                                scene.parameters["spin_rad_s"])  # fmt: skip
            lean = np.arccos(axis[:, 2].clip(-1, 1))
            laws += [
                Law("precession", slope(times, around(axis)), due, 0.01 * abs(due), "rad/s",
                    SOURCE),
                Law("change of tilt", float(np.abs(lean - lean[0]).max()), 0.0, 0.05, "rad",
                    "steady precession"),
            ]  # fmt: skip
        return tuple(laws)

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The top and the floor around it."""
        disc = scene.bodies[-1].geoms[0]
        top = np.array([0.0, 0.0, SOCKET_M + 2 * disc.position[2]])
        rim = np.array([[s * disc.size[0] * 1.3, 0.0, 0.0] for s in (-1, 1)])
        return framing(np.concatenate([[top], rim]), 0.02)


def around(axis: Float64[np.ndarray, "time 3"]) -> Float64[np.ndarray, " time"]:
    """The direction towards which an axis leans, followed over whole turns, rad."""
    return np.unwrap(np.arctan2(axis[:, 1], axis[:, 0]))


def shaped(
    disc_m: float, height_m: float, thickness_m: float, density_kg_m3: float, colour: str
) -> Body:
    """A disc on a stem that ends in a tip; the origin is the tip's end."""
    disc = Geom("cylinder", (disc_m, thickness_m / 2), two_tone(colour),
                position=(0.0, 0.0, height_m), friction=0.3, restitution=0.2)  # fmt: skip
    stem = Geom("cylinder", (STEM_M, height_m), STEEL, position=(0.0, 0.0, height_m + 0.01),
                collide=False)  # fmt: skip
    tip = Geom("sphere", (STEM_M,), STEEL, position=(0.0, 0.0, STEM_M), collide=False)
    volume = math.pi * (disc_m**2 * thickness_m + STEM_M**2 * 2 * height_m)
    return Body("top", (disc, stem, tip), density_kg_m3 * volume)
