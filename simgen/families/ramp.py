"""A block pushed on a rough incline that slides on or sticks, or a ball that rolls down it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.laboratory import LIGHT, STEEL, WOOD, floor, framing, post, whole_rate
from simgen.families.objects import Form, Range, Size, ball, build, colours, turn_about, two_tone
from simgen.laws import frame_times, slope
from simgen.motion import Motion, SimulationError
from simgen.scene import Body, Geom, Scene, Vector3

RATE_HZ = 2400.0
LENGTH_M, WIDTH_M, THICK_M = 2.4, 0.7, 0.05  # of the plank
FOOT_M = 0.06  # height of the plank's lower end
BOARD_M = 0.05  # thickness of the board that stops things at the lower end
STILL_M_S = 0.02
SLOPE_SOURCE = "g (sin a - mu cos a) downhill, g (sin a + mu cos a) against the way uphill"


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    angle_deg: Size = (12.0, 28.0)
    ball_share: float = Field(default=0.28, ge=0, le=1)  # chance of a ball instead of a block
    stick_share: float = Field(default=0.5, ge=0, le=1)  # of blocks, with mu above tan(angle)
    slippery: Size = (0.35, 0.85)  # mu / tan(angle) of those that slide
    rough: Size = (1.2, 1.7)  # and of those that stick
    half_side_m: Size = (0.14, 0.20)
    push_m_s: Range = (-1.5, 1.3)  # downhill at the start
    least_push_m_s: float = Field(default=0.4, gt=0)  # in either direction
    density_kg_m3: Size = (200.0, 900.0)
    gravity_m_s2: Size = (9.8, 9.8)

    @model_validator(mode="after")
    def holds_together(self) -> Parameters:
        if self.angle_deg[1] >= 60:
            raise ValueError(f"angle_deg up to {self.angle_deg[1]:g}; below 60, or blocks topple")
        if self.slippery[1] >= 1 or self.rough[0] <= 1:
            raise ValueError(
                "slippery must be below 1 and rough above 1: mu = tan(angle) is neither"
            )
        if max(map(abs, self.push_m_s)) < self.least_push_m_s:
            raise ValueError("push_m_s holds no push as strong as least_push_m_s")
        return self


@dataclass(frozen=True)
class Plank:
    """The incline: its lower end is above the origin, it rises towards -x."""

    angle: float

    @property
    def downhill(self) -> np.ndarray:
        return np.array([math.cos(self.angle), 0.0, -math.sin(self.angle)])

    @property
    def normal(self) -> np.ndarray:
        return np.array([math.sin(self.angle), 0.0, math.cos(self.angle)])

    def point(self, up_m: float, above_m: float = 0.0, side_m: float = 0.0) -> np.ndarray:
        """A point so far up the plank from its lower end, above its face and to the side."""
        foot = np.array([0.0, side_m, FOOT_M])
        return foot - up_m * self.downhill + above_m * self.normal

    def bodies(self) -> tuple[Body, ...]:
        """The plank with its end board, and the legs under it."""
        half = LENGTH_M / 2
        face = {"friction": 1.0, "restitution": 1.0}
        plank = Geom("box", (half, WIDTH_M / 2, THICK_M / 2), WOOD, **face)
        board = Geom(
            "box", (BOARD_M / 2, WIDTH_M / 2, 0.10), STEEL,
            position=(half + BOARD_M / 2, 0.0, 0.10 - THICK_M / 2), **face,
        )  # fmt: skip
        ramp = Body(
            "ramp", (plank, board), motion="static", label="ramp",
            position=tuple(self.point(half, -THICK_M / 2).tolist()),
            quaternion=turn_about((0.0, 1.0, 0.0), self.angle),
        )  # fmt: skip
        tops = [self.point(0.93 * LENGTH_M, -THICK_M, side) for side in (-0.28, 0.28)]
        legs = [((x, y, 0.0), (x, y, z)) for x, y, z in (top.tolist() for top in tops)]
        return ramp, post("legs", legs, 0.03, label="legs")


class Ramp:
    """Galileo's incline and Coulomb's friction: whether mu beats the slope decides."""

    name = "ramp"
    summary = "a block that slides or sticks on an incline, or a ball that rolls down it"
    engines = ("bullet", "mujoco")
    outcomes = ("rolls", "slides", "sticks")
    Parameters = Parameters
    words = Words(
        opening=("is pushed on a ramp", "gets a push on an inclined plank"),
        outcomes={
            "slides": ("slides down the slope", "slides downhill"),
            "sticks": ("is stopped by friction and stays", "slows down and sticks to the slope"),
            "rolls": ("rolls down", "rolls downhill"),
        },
    )

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=4)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """One thing on the incline, moving along it."""
        p = parameters
        plank = Plank(math.radians(rng.uniform(*p.angle_deg)))
        is_ball, sticks = rng.uniform() < p.ball_share, rng.uniform() < p.stick_share
        ratio = 1.0 if is_ball else rng.uniform(*(p.rough if sticks else p.slippery))
        friction = ratio * math.tan(plank.angle)
        half = rng.uniform(*p.half_side_m)
        sides = half * rng.uniform((1.0, 0.8, 0.6), (1.3, 1.0, 0.8))
        form = ball(float(half)) if is_ball else Form("box", tuple(sides.tolist()), "block")
        push = 0.0
        while abs(push) < p.least_push_m_s:
            push = float(rng.uniform(*p.push_m_s))
        up = rng.uniform(0.78, 0.85) if push > 0 else rng.uniform(0.45, 0.55)
        rise = form.size[0] if is_ball else form.size[2]
        thing = build(
            form.label,
            form,
            two_tone(colours(1, rng)[0]),
            density_kg_m3=float(rng.uniform(*p.density_kg_m3)),
            restitution=0.2 if is_ball else 0.0,
            friction=friction**2,  # a pair takes the root of the product, and the plank has 1
            position=plank.point(up * LENGTH_M, rise),
            velocity=push * plank.downhill,
            angular_velocity=(0.0, push / rise if is_ball else 0.0, 0.0),
            quaternion=turn_about((0.0, 1.0, 0.0), plank.angle),
        )
        return Scene(
            family=self.name,
            bodies=(floor(), *plank.bodies(), thing),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=whole_rate(RATE_HZ, frame_rate_hz),
            gravity=(0.0, 0.0, -float(rng.uniform(*p.gravity_m_s2))),
            light=LIGHT,
            parameters={
                "angle_rad": plank.angle, "friction": friction, "push_m_s": push,
                "friction_over_slope": ratio,
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """sticks: at rest on the slope, clear of the end board; slides or rolls: it came down.

        Raises:
            SimulationError: It left the plank.
        """
        along, speed, free = self._along(scene, motion)
        last = scene.frames - 1
        plank = Plank(scene.parameters["angle_rad"])
        above = (motion.centre_of_mass[:, -1] - plank.point(0.0)) @ plank.normal
        if np.abs(motion.centre_of_mass[:, -1, 1]).max() > WIDTH_M / 2 or above.min() < 0:
            raise SimulationError("the thing left the plank")
        at_rest = abs(speed[last]) < STILL_M_S and free[last]
        margins = {
            "end_speed_m_s": float(speed[last]),
            "way_m": float(np.abs(np.diff(along[: scene.frames])).sum()),
            "friction_over_slope": float(scene.parameters["friction_over_slope"]),
        }
        if scene.bodies[-1].label == "ball":
            return Outcome("rolls", margins)
        return Outcome("sticks" if at_rest else "slides", margins)

    @staticmethod
    def _along(scene: Scene, motion: Motion) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Way and speed downhill by frame, and whether the end board has not been touched yet."""
        plank = Plank(scene.parameters["angle_rad"])
        form = scene.bodies[-1].geoms[0]
        way = (motion.centre_of_mass[:, -1] - plank.point(0.0)) @ plank.downhill
        speed = motion.velocity[:, -1] @ plank.downhill
        reach = form.size[0] + 1.2 * np.maximum(speed, 0.0) / scene.frame_rate_hz
        board = np.flatnonzero(way > -reach - 0.005)
        free = np.arange(len(way)) < (board[0] + 1 if len(board) else len(way))
        return way, speed, free

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """Acceleration uphill and downhill, and that what sticks does not creep."""
        _, speed, free = self._along(scene, motion)
        gravity, angle = -scene.gravity[2], scene.parameters["angle_rad"]
        pull, times = gravity * math.sin(angle), frame_times(scene)
        laws = []
        if scene.bodies[-1].label == "ball":
            rows = free & (times > 0.05)
            if rows.sum() >= 4:
                laws.append(Law("acceleration of a rolling ball", slope(times[rows], speed[rows]),
                                5 / 7 * pull, 0.01 * pull, "m/s2", "5/7 g sin a"))  # fmt: skip
            return tuple(laws)
        drag = scene.parameters["friction"] * gravity * math.cos(angle)
        for way, sign in (("downhill", 1), ("uphill", -1)):
            rows = self._stretch(speed * sign > 0.1, free & (times > 0.02))
            if rows.sum() >= 3:
                laws.append(Law(f"acceleration {way}", slope(times[rows], speed[rows]),
                                pull - sign * drag, 0.02 * (pull + drag), "m/s2",
                                SLOPE_SOURCE))  # fmt: skip
        still = np.flatnonzero(np.abs(speed) >= STILL_M_S)[-1] + 3
        if self.outcome(scene, motion).label == "sticks" and len(times) - still >= 4:
            creep = motion.centre_of_mass[still:, -1]
            creep_m_s = float(np.linalg.norm(creep[-1] - creep[0])) / (times[-1] - times[still])
            laws.append(Law("creep of what sticks", creep_m_s, 0.0, 0.005, "m/s",
                            "mu > tan a holds"))  # fmt: skip
        return tuple(laws)

    @staticmethod
    def _stretch(fast: np.ndarray, free: np.ndarray) -> np.ndarray:
        """The frames of the first unbroken run of both flags, without its two ends."""
        rows = np.flatnonzero(fast & free)
        if not len(rows):
            return fast & free
        first = rows[: 1 + int(np.argmin(np.diff(rows) == 1) if (np.diff(rows) > 1).any()
                               else len(rows) - 1)]  # fmt: skip
        flags = np.zeros(len(fast), dtype=bool)
        flags[first[1:-1]] = True
        return flags

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The whole plank and what is on it."""
        plank = Plank(scene.parameters["angle_rad"])
        ends = np.array([plank.point(0.0), plank.point(LENGTH_M, 0.25), (0.0, 0.0, 0.0)])
        return framing(np.concatenate([ends, motion.position[:, -1]]), 0.12)
