"""One ball on its way through two to four settings, each with something in its way.

The settings are rooms of one world, far apart, and each has its own copy of the traveller: bodies
of one object, alike in colour, size and mass, that roll in just when their setting is shown.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from simgen.captions.words import Words
from simgen.families import Limits, Outcome, Setting
from simgen.families.journey_sets import (
    OBSTACLES,
    PLACES,
    Obstacle,
    moved,
    painted,
    room,
)
from simgen.families.objects import (
    PHYSICS_RATE_HZ,
    Amount,
    Share,
    Size,
    ball,
    build,
    colours,
    direction,
    turn_about,
    two_tone,
)
from simgen.motion import Motion
from simgen.scene import Body, Scene, Vector3

# Rooms' origins, m: 60 apart, none beside another, so that a camera has them before or behind it
ORIGINS = ((40.0, 14.5), (-14.5, 40.0), (-40.0, -14.5), (14.5, -40.0))
MOST_BODIES = 4 + 2 * 4 + 2 + 1 + 1 + 3  # travellers, rooms, step and tray, hill, step, blocks
REST_M = 5e-4  # above what it rolls on at the start: less than a frame of falling
LEAD = 0.22  # of its shot, after which the traveller meets what is in its way
JITTER = 0.15  # of an equal share, by which a cut is early or late
NEAR_M = 3.7  # from the camera to what is in the way


def two_to_four(bounds: tuple[int, int]) -> tuple[int, int]:
    if not 2 <= bounds[0] <= bounds[1] <= len(ORIGINS):
        raise ValueError(f"[low, high] within 2 to {len(ORIGINS)}, not {list(bounds)}")
    return bounds


class Parameters(BaseModel):
    """Ranges [low, high] that every journey draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: Annotated[tuple[int, int], AfterValidator(two_to_four)] = (2, 4)
    radius_m: Size = (0.16, 0.24)
    density_kg_m3: Size = (300.0, 900.0)
    restitution: Share = (0.4, 0.75)
    speed_m_s: Size = (1.6, 2.4)  # at which it rolls into every setting
    block_mass: Size = (0.08, 0.5)  # of one block, times the traveller's
    friction: Amount = (0.5, 0.9)
    gravity_m_s2: float = Field(default=9.81, gt=0, le=30)


class Journey:
    """The same character here and there, so that a model has to keep it across cuts."""

    name = "journey"
    summary = "one ball on its way through several settings"
    engines = ("bullet", "mujoco")
    outcomes = ("got_past", "held_up")
    words = Words(
        opening=("rolls from one setting to the next", "travels through several settings"),
        outcomes={
            "got_past": (
                "gets past what is in its way in the last one",
                "leaves the last obstacle {beyond_m:.1f} m behind",
            ),
            "held_up": (
                "does not get past what is in its way in the last one",
                "is not past the last obstacle at the end",
            ),
        },
        apparatus=("block",),
    )
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=MOST_BODIES)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """Rooms with what is in the way, and a traveller for each.

        Raises:
            ValueError: A clip too short for its settings.
        """
        p = parameters
        count = int(rng.integers(p.settings[0], p.settings[1] + 1))
        if frames < 2 * count:
            raise ValueError(f"{count} settings in {frames} frames; give each two frames at least")
        cuts = [0, *(round((i + rng.uniform(-JITTER, JITTER)) * frames / count)
                     for i in range(1, count))]  # fmt: skip
        names = list(colours(4, rng))
        speed, radius = float(rng.uniform(*p.speed_m_s)), float(rng.uniform(*p.radius_m))
        hero = self._hero(names[0], radius, speed, p, rng)
        places = [str(name) for name in rng.permutation(list(PLACES))[:count]]
        obstacles = [str(name) for name in rng.permutation(list(OBSTACLES))[:count]]
        bodies, far = [], []
        for i, (place, kind) in enumerate(zip(places, obstacles, strict=True)):
            end = cuts[i + 1] if i + 1 < count else frames
            meets_s = (cuts[i] + LEAD * (end - cuts[i])) / frame_rate_hz
            way_m = speed * meets_s + radius
            made = OBSTACLES[kind](speed, radius, way_m, p.gravity_m_s2, rng)
            mass = hero.mass_kg * float(rng.uniform(*p.block_mass))
            bodies += self._setting(i, PLACES[place], made, hero, way_m, names[1:], mass)
            far.append(made.far_m)
        return Scene(
            family=self.name,
            bodies=tuple(bodies),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            gravity=(0.0, 0.0, -p.gravity_m_s2),
            parameters={
                "settings": count,
                "speed_m_s": speed,
                "radius_m": radius,
                "far_m": far[-1],
                **{f"place_{i}": name for i, name in enumerate(places)},
                **{f"obstacle_{i}": name for i, name in enumerate(obstacles)},
                **{f"cut_{i}": cut for i, cut in enumerate(cuts)},
            },
        )

    @staticmethod
    def _hero(
        colour: str, radius: float, speed: float, p: Parameters, rng: np.random.Generator
    ) -> Body:
        """The traveller at its setting's origin, rolling along +x."""
        return build(
            "character", ball(radius), two_tone(colour),
            density_kg_m3=float(rng.uniform(*p.density_kg_m3)),
            restitution=float(rng.uniform(*p.restitution)),
            friction=float(rng.uniform(*p.friction)),
            position=(0.0, 0.0, radius + REST_M),
            velocity=(speed, 0.0, 0.0),
            angular_velocity=(0.0, speed / radius, 0.0),
            quaternion=turn_about(direction(rng), float(rng.uniform(0, math.pi))),
        )  # fmt: skip

    @staticmethod
    def _setting(
        number: int, place, made: Obstacle, hero: Body, way_m: float, spare: list[str], mass: float
    ) -> list[Body]:
        """The bodies of one setting, in the world."""
        origin = (*ORIGINS[number], 0.0)
        blocks = [b for b in made.bodies if b.motion == "free"]
        things = [b for b in made.bodies if b.motion == "static"]
        things += [painted(b, c, mass) for b, c in zip(blocks, spare[: len(blocks)], strict=True)]
        start = (origin[0] + made.near_m - way_m, origin[1], hero.position[2] + made.lane_m)
        traveller = Body(
            f"character_{number}", hero.geoms, hero.mass_kg, position=start,
            quaternion=hero.quaternion, velocity=hero.velocity,
            angular_velocity=hero.angular_velocity, object="hero", label=hero.label,
        )  # fmt: skip
        around = [
            moved(body, origin, number) for body in (*room(place, way_m, made.far_m), *things)
        ]
        return [*around, traveller]

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """Whether the traveller has got past what is in its way in the last setting."""
        last = int(scene.parameters["settings"]) - 1
        row, end = scene.body_index(f"character_{last}"), scene.frames - 1
        x = float(motion.position[end, row, 0]) - ORIGINS[last][0]
        beyond = x - float(scene.parameters["far_m"])
        return Outcome(
            "got_past" if beyond > 0 else "held_up",
            {
                "beyond_m": beyond,
                "speed_at_end_m_s": float(np.linalg.norm(motion.velocity[end, row])),
            },
        )

    def settings(self, scene: Scene) -> tuple[Setting, ...]:
        """The rooms in the order of the journey."""
        found = []
        for i in range(int(scene.parameters["settings"])):
            place = PLACES[str(scene.parameters[f"place_{i}"])]
            x, y = ORIGINS[i]
            found.append(
                Setting(
                    place.name, (x + 0.7, y, 0.4), NEAR_M, int(scene.parameters[f"cut_{i}"]),
                    place.light, place.sky,
                )
            )  # fmt: skip
        return tuple(found)

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The first setting, for whoever shows only one."""
        first = self.settings(scene)[0]
        return first.point, first.distance_m
