"""Newton's cradle: steel balls in a row, and as many leave on one side as arrive on the other."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator
from scipy.special import ellipk

from simgen.cameras import rotation_matrix
from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.laboratory import LIGHT, STEEL, bar, floor, framing, post, whole_rate
from simgen.families.objects import PALETTE, Size, colours, countable
from simgen.laws import crossings, frame_times
from simgen.masses import mass_properties, volume_m3
from simgen.motion import Motion, SimulationError
from simgen.scene import Body, Geom, Joint, Material, Scene, Vector3

PHYSICS_RATE_HZ = 2400.0
DENSITY_KG_M3 = 7800.0
STRING = Material("white", (0.75, 0.75, 0.72))
STRING_M = 0.004  # radius
SPREAD = 0.4  # of a string's length: how far apart its two ends are fixed, to either side
CLEARANCE_M = 0.12  # under the lowest ball
# MuJoCo's touch lasts 10 ms. A ball that is struck must be through its gap only after that, or
# three balls touch at once and share the impulse
TOUCH_S = 0.010
FAR = 0.5  # of the lift: a ball that swings out farther has left
SOURCE = "elastic collisions of equal masses, one pair after the other"
PENDULUM = "period of a physical pendulum, 4 sqrt(I / (m g d)) K(sin^2(amplitude / 2))"


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    balls: tuple[int, int] = (3, 7)
    lifted: tuple[int, int] = (1, 2)
    lift_deg: Size = (16.0, 30.0)
    radius_m: Size = (0.07, 0.09)
    length_m: Size = (0.55, 0.7)  # from the pivot to the ball's centre
    gravity_m_s2: Size = (9.81, 9.81)
    restitution: float = Field(1.0, ge=0.9, le=1.0)

    @model_validator(mode="after")
    def room_to_swing(self) -> Parameters:
        countable(self.balls)
        if not 1 <= self.lifted[0] <= self.lifted[1] < self.balls[0]:
            raise ValueError(f"lifted {list(self.lifted)} must be 1 or more and less than balls")
        if self.lift_deg[1] > 60 or self.radius_m[1] > 0.3 * self.length_m[0]:
            raise ValueError("lift_deg goes up to 60, radius_m up to 0.3 of length_m")
        return self


class NewtonsCradle:
    """Momentum and energy again, for a row: only one number of balls keeps both."""

    name = "newtons_cradle"
    summary = "balls that hang in a row, one or two of them lifted and let go"
    engines = ("bullet", "mujoco")
    outcomes = ("one_leaves", "two_leave")
    words = Words(
        opening=("hang in a row as Newton's cradle", "swing as Newton's cradle"),
        outcomes={
            "one_leaves": ("with one ball thrown out on the far side",),
            "two_leave": ("with two balls thrown out on the far side",),
        },
        together=("ball",),
    )
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=parameters.balls[1] + 2, joints=parameters.balls[1])

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """A row at rest, with the first balls of one side lifted together."""
        p = parameters
        count = int(rng.integers(p.balls[0], p.balls[1] + 1))
        lifted = int(rng.integers(p.lifted[0], p.lifted[1] + 1))
        lift = math.radians(rng.uniform(*p.lift_deg))
        radius_m, length_m = float(rng.uniform(*p.radius_m)), float(rng.uniform(*p.length_m))
        gravity = float(rng.uniform(*p.gravity_m_s2))
        side = 1 if rng.uniform() < 0.5 else -1  # the side that is lifted: +1 is towards -x
        speed = math.sqrt(2 * gravity * length_m * (1 - math.cos(lift)))
        pitch = 2 * radius_m + 0.6 * speed * TOUCH_S
        places = side * pitch * (np.arange(count) - (count - 1) / 2)
        height = length_m + radius_m + CLEARANCE_M
        names = colours(count, rng)
        balls = [
            self._ball(
                f"ball_{i + 1}", float(x), height, radius_m, length_m, names[i],
                side * lift if i < lifted else 0.0, p.restitution,
            )
            for i, x in enumerate(places)
        ]  # fmt: skip
        return Scene(
            family=self.name,
            bodies=(floor(), self._frame(places, height, length_m, radius_m), *balls),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=whole_rate(PHYSICS_RATE_HZ, frame_rate_hz),
            gravity=(0.0, 0.0, -gravity),
            light=LIGHT,
            parameters={
                "balls": count, "lifted": lifted, "lift_rad": lift, "side": side,
                "radius_m": radius_m, "length_m": length_m, "gap_m": pitch - 2 * radius_m,
                "gravity_m_s2": gravity,
            },
        )  # fmt: skip

    @staticmethod
    def _ball(
        name: str, x: float, height: float, radius_m: float, length_m: float, colour: str,
        angle: float, restitution: float,
    ) -> Body:  # fmt: skip
        """A ball and its two strings, turning together about the line through their upper ends."""
        down = (0.0, 0.0, -length_m)
        ball = Geom(
            "sphere", (radius_m,), Material(colour, PALETTE[colour], gloss=0.6), position=down,
            friction=0.0, restitution=math.sqrt(restitution),
        )  # fmt: skip
        half = SPREAD * length_m / 2
        strings = [bar((0.0, y, 0.0), down, STRING_M, STRING) for y in (-half, half)]
        mass_kg = DENSITY_KG_M3 * volume_m3("sphere", (radius_m,))
        return Body(
            name,
            (ball, *strings),
            mass_kg,
            motion="jointed",
            joints=(Joint(f"{name}_swing", "hinge", (0.0, 1.0, 0.0), position=angle),),
            position=(x, 0.0, height),
            label="ball",
        )

    @staticmethod
    def _frame(places: np.ndarray, height: float, length_m: float, radius_m: float) -> Body:
        """Two rails that the strings hang from, on four legs."""
        x, y = float(np.abs(places).max()) + 1.6 * radius_m, SPREAD * length_m / 2
        ends = [((-x, s * y, height), (x, s * y, height)) for s in (-1, 1)]
        ends += [((r * x, s * y, 0.0), (r * x, s * y, height)) for s in (-1, 1) for r in (-1, 1)]
        return post("frame", ends, 0.012, material=STEEL, label="frame")

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """How many balls swing out on the far side, the first time that any does.

        Raises:
            SimulationError: Another number than one or two.
        """
        swing = self._outward(scene, motion)
        far, _ = self._first_swing(scene, motion)
        left = int((swing[far] > FAR).sum())
        if left not in (1, 2):
            raise SimulationError(f"{left} balls left on the far side")
        highest = float(swing[far, -1])
        return Outcome(
            ("one_leaves", "two_leave")[left - 1], {"balls_left": float(left), "lift_kept": highest}
        )

    @staticmethod
    def _outward(scene: Scene, motion: Motion) -> np.ndarray:
        """(time1, ball) swing towards the far side, as a share of the lift."""
        p = scene.parameters
        return -p["side"] * motion.joint_position / p["lift_rad"]

    def _first_swing(self, scene: Scene, motion: Motion) -> tuple[int, np.ndarray]:
        """Frame at which the farthest ball is highest first, and the seconds of its swing: when it
        passes FAR of the lift outwards and back.

        Raises:
            SimulationError: It never swings out.
        """
        out = self._outward(scene, motion)[:, -1]
        rate = -scene.parameters["side"] * motion.joint_velocity[:, -1]
        passed = crossings(frame_times(scene), out - FAR, rate / scene.parameters["lift_rad"])
        if len(passed) < 2:
            raise SimulationError("the far ball does not swing out and back within the clip")
        first, last = (int(at * scene.frame_rate_hz) for at in passed[:2])
        return first + 1 + int(np.argmax(out[first + 1 : last + 1])), passed[:2]

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """As many leave as arrive, as high, and the far ball swings as a pendulum does."""
        p = scene.parameters
        far, passed = self._first_swing(scene, motion)
        swing = self._outward(scene, motion)
        left = float((swing[far] > FAR).sum())
        amplitude = float(swing[far, -1]) * p["lift_rad"]
        # above a share s of a harmonic swing for acos(s) / pi of its period
        period_s = pendulum_period_s(scene.bodies[-1], amplitude, p["gravity_m_s2"])
        share = math.acos(min(FAR * p["lift_rad"] / amplitude, 1.0)) / math.pi
        angle, above_s = float(swing[far, -1]), float(passed[1] - passed[0])
        half_s, slack_s = share * period_s, 0.005 * period_s
        return (
            Law("balls that leave", left, float(p["lifted"]), 0.5, "1", SOURCE),
            Law("angle of the far ball, of the lift", angle, 1.0, 0.02, "1", SOURCE),
            Law("far ball's time above half the lift", above_s, half_s, slack_s, "s", PENDULUM),
        )

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The frame with the swings to its sides."""
        rows = [i for i, body in enumerate(scene.bodies) if body.motion == "jointed"]
        frame = [g.position for g in scene.bodies[1].geoms]
        turned = rotation_matrix(motion.quaternion[:, rows])
        down = np.array([0.0, 0.0, -scene.parameters["length_m"]])
        bobs = motion.position[:, rows] + turned @ down
        return framing(np.concatenate([bobs.reshape(-1, 3), frame]), scene.parameters["radius_m"])


def pendulum_period_s(body: Body, amplitude: float, gravity: float) -> float:
    """Period of a body that swings about its frame's origin, s."""
    centre, inertia = mass_properties(body)
    arm = float(np.linalg.norm(centre))
    about = inertia[1, 1] + body.mass_kg * arm**2
    small = math.sqrt(about / (body.mass_kg * gravity * arm))
    return 4 * small * float(ellipk(math.sin(amplitude / 2) ** 2))
