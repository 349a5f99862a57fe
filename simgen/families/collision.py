"""Two balls that meet and part without loss: PhyWorld's collision, in the plane or in space."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.objects import Amount, Share, Size, colours
from simgen.families.plane_world import (
    EDGE_M,
    WORLD_M,
    Colour,
    Space,
    check_hole,
    look_at,
    parting,
    speeds,
    thing,
    world,
)
from simgen.motion import Motion, SimulationError
from simgen.scene import Scene, Vector3

PHYSICS_RATE_HZ = 1200.0  # MuJoCo then gives back the energy of a touch within 0.7%
CLEAR_FRAMES = 8  # at least this many before the touch and after it, as in PhyWorld
CLOSING_M_S = 0.1  # slower approaches are drawn again: Bullet does not bounce under 0.05 m/s
PLACINGS = 60  # drawn starts, of which the one that stays in view longest is taken
MID_HEIGHT_M = 5.0
SOURCE = "elastic collision along the line of centres; momentum and energy are kept"


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from; the defaults are PhyWorld's own.

    Ball 1 comes from the left, ball 2 from the right.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    radius_1_m: Size = (0.5, 1.5)
    radius_2_m: Size = (0.5, 1.5)
    speed_1_m_s: Amount = (1.0, 4.0)
    speed_2_m_s: Amount = (1.0, 4.0)
    hole: Amount = (0.0, 0.0)  # speeds that the two never have both; without width: none
    offset: Share = (0.0, 0.0)  # how far beside the centre they meet, of the sum of radii
    space: Space = "2d"
    colours: tuple[Colour, Colour] = ("red", "blue")
    restitution: float = Field(1.0, ge=0.0, le=1.0)

    @model_validator(mode="after")
    def speeds_possible(self) -> Parameters:
        check_hole(self.hole, self.speed_1_m_s, self.speed_2_m_s)
        if self.speed_1_m_s[1] + self.speed_2_m_s[1] < CLOSING_M_S:
            raise ValueError(f"the balls must be able to close in at {CLOSING_M_S:g} m/s or more")
        if self.offset[1] > 0.95:
            raise ValueError(f"offset {list(self.offset)} must stay under 0.95, or they miss")
        return self


class Collision:
    """Momentum and energy are kept, and two equations leave one answer."""

    name = "collision"
    summary = "an elastic collision of two balls, in PhyWorld's ranges"
    engines = ("bullet", "mujoco")
    outcomes = ("pushed_on", "rebound")
    words = Words(
        opening=("move towards each other and collide", "meet in an elastic collision"),
        outcomes={
            "rebound": ("are both sent back", "go back, both of them"),
            "pushed_on": ("part, at most one of them sent back",),
        },
        together=("ball", "box"),
    )
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=3)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """Two balls set to touch with CLEAR_FRAMES frames to either side.

        Raises:
            ValueError: The speeds are too low to close in.
        """
        p = parameters
        radius = float(rng.uniform(*p.radius_1_m)), float(rng.uniform(*p.radius_2_m))
        speed = self._closing(p, rng)
        names = colours(3, rng)
        names = [given or drawn for given, drawn in zip(p.colours, names, strict=False)]
        side_m = float(rng.uniform(*p.offset)) * sum(radius)
        seconds = frames / frame_rate_hz
        clear_s = min(CLEAR_FRAMES / frame_rate_hz, 0.3 * seconds)
        gap, first_m = self._placed(radius, speed, side_m, clear_s, seconds, rng)
        forward, beside, middle = self._directions(p.space, max(radius), rng)
        along = first_m - WORLD_M / 2, first_m + gap - WORLD_M / 2
        shift = -side_m / 2, side_m / 2
        balls = [
            thing(
                f"ball_{i + 1}", "ball", radius[i], names[i], space=p.space,
                position=middle + along[i] * forward + shift[i] * beside,
                velocity=(speed[0], -speed[1])[i] * forward,
                restitution=math.sqrt(p.restitution),
            )
            for i in range(2)
        ]  # fmt: skip
        return world(
            self.name, p.space, balls, gravity=0.0, physics_rate_hz=PHYSICS_RATE_HZ,
            frames=frames, frame_rate_hz=frame_rate_hz,
            parameters={
                "radius_1_m": radius[0], "radius_2_m": radius[1],
                "speed_1_m_s": speed[0], "speed_2_m_s": speed[1], "offset_m": side_m,
                "restitution": p.restitution,
            },
        )  # fmt: skip

    @staticmethod
    def _closing(p: Parameters, rng: np.random.Generator) -> tuple[float, ...]:
        """Speeds of the two that bring them together.

        Raises:
            ValueError: None was drawn.
        """
        for _ in range(100):
            drawn = speeds([p.speed_1_m_s, p.speed_2_m_s], p.hole, rng)
            if sum(drawn) >= CLOSING_M_S:
                return drawn
        raise ValueError(f"the speeds hardly ever close in at {CLOSING_M_S:g} m/s")

    @staticmethod
    def _placed(radius, speed, side_m, clear_s, seconds, rng) -> tuple[float, float]:
        """Distance of the centres along the way, and where ball 1 starts on it, m.

        Both balls start wholly in the world where it has room for their approach, and of many
        starts the one is taken whose balls are still in it CLEAR_FRAMES after the touch.
        """
        closing = speed[0] + speed[1]
        reach = math.sqrt(sum(radius) ** 2 - side_m**2)  # along the way, as they touch
        least, most = reach + clear_s * closing, reach + (seconds - 2 * clear_s) * closing
        room = WORLD_M - sum(radius)
        most = max(min(most, room), least)
        mass = radius[0] ** 2, radius[1] ** 2
        after = [
            (way * speed[i] - 2 * mass[1 - i] / sum(mass) * way * closing)
            for i, way in enumerate((1.0, -1.0))
        ]
        best = (-math.inf, least, radius[0])
        for _ in range(PLACINGS):
            gap = float(rng.uniform(least, most))
            start = float(rng.uniform(radius[0], max(WORLD_M - radius[1] - gap, radius[0])))
            if gap > room:  # too fast for the world: they come in from outside
                start = (WORLD_M - gap + radius[0] - radius[1]) / 2
            wait_s = (gap - reach) / closing
            end_1 = start + speed[0] * wait_s + after[0] * clear_s
            end_2 = start + gap - speed[1] * wait_s + after[1] * clear_s
            inside = min(end_1, WORLD_M - end_1, end_2, WORLD_M - end_2, 0.0)
            if inside > best[0]:
                best = (inside, gap, start)
            if inside == 0.0:
                break
        return best[1], best[2]

    @staticmethod
    def _directions(
        space: Space, radius_m: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unit vectors along the way and beside it, and the middle of the way."""
        if space == "2d":
            room = (radius_m + EDGE_M, WORLD_M - EDGE_M - radius_m)
            middle = np.array([WORLD_M / 2, 0.0, rng.uniform(*room)])
            return np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]), middle
        side, slope = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(-25, 25))
        level = np.array([math.cos(side), math.sin(side), 0.0])
        up = np.array([0.0, 0.0, 1.0])
        forward = math.cos(slope) * level + math.sin(slope) * up
        over = math.cos(slope) * up - math.sin(slope) * level
        roll = rng.uniform(0, 2 * math.pi)
        beside = math.cos(roll) * np.cross(over, forward) + math.sin(roll) * over
        return forward, beside, np.array([WORLD_M / 2, 0.0, MID_HEIGHT_M])

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """rebound: both balls go back against their first ways; pushed_on: at most one does.

        Raises:
            SimulationError: They never touched.
        """
        touch, after = self._parted(scene, motion)
        before = motion.velocity[0, 1:]
        onward = np.einsum("bi,bi->b", before, after)
        rate = scene.frame_rate_hz
        margins = {
            "frames_before": float(touch["start_s"] * rate),
            "frames_after": float(scene.frames - 1 - touch["end_s"] * rate),
            "speed_1_after_m_s": float(np.linalg.norm(after[0])),
            "speed_2_after_m_s": float(np.linalg.norm(after[1])),
        }
        return Outcome("rebound" if (onward < 0).all() else "pushed_on", margins)

    @staticmethod
    def _parted(scene: Scene, motion: Motion) -> tuple[np.void, np.ndarray]:
        """The touch of the two, and their velocities (2, 3) at the first frame after it, m/s.

        Raises:
            SimulationError: They never touched.
        """
        met = motion.contacts[motion.contacts["body_a"] == 1]
        if not len(met):
            raise SimulationError("the two balls never touched")
        row = min(math.ceil(met["end_s"][0] * scene.frame_rate_hz), scene.frames)
        return met[0], motion.velocity[row, 1:]

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """Both velocities after the touch, momentum and energy; none if the floor had a part."""
        balls = scene.bodies[1:]
        mass = np.array([ball.mass_kg for ball in balls])
        aside = scene.parameters["offset_m"] / sum(ball.geoms[0].size[0] for ball in balls)
        # The line of centres turns while MuJoCo's sprung touch lasts, the more the more aside
        tolerance = 0.006 + 0.03 * aside
        before = np.array([ball.velocity for ball in balls])
        expected = parting(balls, scene.parameters["restitution"])
        touch, after = self._parted(scene, motion)
        if motion.contacts["start_s"][0] < touch["start_s"]:
            return ()
        closing = float(np.linalg.norm(before[0] - before[1]))
        momentum = float(np.linalg.norm(mass @ (after - before)) / (mass.sum() * closing))
        energy = (mass * (after**2).sum(1)).sum() / (mass * (expected**2).sum(1)).sum()
        error = np.linalg.norm(after - expected, axis=1) / closing
        said = "velocity error of ball {} after, of the closing speed"
        return (
            *(
                Law(said.format(i + 1), float(error[i]), 0.0, tolerance, "1", SOURCE)
                for i in range(2)
            ),
            Law("momentum gained, of all mass at the closing speed", momentum, 0.0, 1e-6, "1",
                SOURCE),
            Law("energy after, of what it should be", float(energy), 1.0, 0.015, "1", SOURCE),
        )  # fmt: skip

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The middle of the world, 10 m across."""
        return look_at(scene, motion)
