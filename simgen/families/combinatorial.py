"""A red ball dropped among four of eight parts: PhyWorld's combinatorial test."""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.objects import Amount, Size, colours
from simgen.families.plane_parts import BLACK, DEPTH_M, FLOOR_M, FRICTION, PARTS, Plan
from simgen.families.plane_world import WORLD_M, look_at, off_plane_m, world
from simgen.motion import Motion, SimulationError
from simgen.scene import Body, Geom, Scene, Vector3

PHYSICS_RATE_HZ = 600.0
GRAVITY_M_S2 = 2.5
CHOSEN = 4
GAP_M = 0.06  # between parts at the start
ROUNDS, TRIES = 40, 60
OFF_PLANE_M = 0.1  # a hundredth of the world; MuJoCo keeps to 1e-5 m
PLAY_M = 0.0005  # between a box and the panes that guide it
MOST_BODIES = 18  # four standing bars, six pegs and two more, red ball, room, guides, backdrop

TEMPLATES = tuple(combinations(PARTS, CHOSEN))  # 70, in the order of PARTS
# Every seventh template is held out: ten, of which each part is in four or more
HELD_OUT = tuple(range(1, len(TEMPLATES), 7))
TRAINING = tuple(t for t in range(len(TEMPLATES)) if t not in HELD_OUT)
PAIRS = (("ball_1", "ball_2"), ("pegs", "bar"), ("standing_bars", "beam"), ("jar", "stick"))
# The smallest set in which every part meets some others: PhyWorld's six, two pairs of parts each
SIX = tuple(TEMPLATES.index(a + b) for a, b in combinations(PAIRS, 2))
THIRTY = tuple(sorted({*SIX, *[t for t in TRAINING if t not in SIX][::2][:24]}))
SETS = {"6": SIX, "30": THIRTY, "60": TRAINING, "held_out": HELD_OUT}


class Parameters(BaseModel):
    """What is drawn from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    templates: Literal["6", "30", "60", "held_out"] = "60"
    radius_m: Size = (0.35, 0.6)  # of the red ball
    start_m: Amount = (8.0, 9.2)  # its height


class Combinatorial:
    """Parts that are all known, in company that is not."""

    name = "combinatorial"
    summary = "a red ball dropped among balls, bars, a jar or a stick"
    engines = ("bullet", "mujoco")
    outcomes = ("held_up", "reaches_floor")
    words = Words(
        outcomes={
            "reaches_floor": ("with the red ball down on the floor",),
            "held_up": ("with the red ball kept off the floor",),
        },
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
        """One template's parts, drawn anew, and the red ball above them.

        Raises:
            ValueError: The parts found no room.
        """
        choice = SETS[parameters.templates]
        template = choice[int(rng.integers(len(choice)))]
        red = self._red(parameters, rng)
        plans = self._arranged(TEMPLATES[template], red, rng)
        moving = sum(not plan.fixed for plan in plans)
        names = iter([name for name in colours(8, rng) if name != "red"][:moving])
        bodies = [plan.body("black" if plan.fixed else next(names)) for plan in plans]
        return world(
            self.name, "2d", (*room(), guides(), red.body("red"), *bodies), gravity=GRAVITY_M_S2,
            physics_rate_hz=PHYSICS_RATE_HZ, frames=frames, frame_rate_hz=frame_rate_hz,
            parameters={
                "template": template, "parts": " ".join(TEMPLATES[template]),
                "held_out": int(template in HELD_OUT),
            },
        )  # fmt: skip

    @staticmethod
    def _red(p: Parameters, rng: np.random.Generator) -> Plan:
        place = (float(rng.uniform(1.5, 8.5)), float(rng.uniform(*p.start_m)))
        return Plan("red_ball", "ball", place, radius_m=float(rng.uniform(*p.radius_m)))

    @staticmethod
    def _arranged(parts: tuple[str, ...], red: Plan, rng: np.random.Generator) -> list[Plan]:
        """The parts clear of each other, the largest drawn first.

        Raises:
            ValueError: There is no room.
        """
        order = sorted(parts, key=("standing_bars", "jar", "stick", "beam", "bar").__contains__)
        for _ in range(ROUNDS):
            placed = [red]
            for part in reversed(order):
                for _ in range(TRIES):
                    drawn = PARTS[part](rng)
                    if all(plan.inside(FLOOR_M, WORLD_M - FLOOR_M) for plan in drawn) and all(
                        plan.clear_of(placed, GAP_M) for plan in drawn
                    ):
                        placed += drawn
                        break
                else:
                    break
            else:
                return placed[1:]
        raise ValueError(f"the parts {', '.join(parts)} found no room")

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """reaches_floor: the red ball touches the floor within the clip; held_up: it does not.

        Raises:
            SimulationError: A body left the plane.
        """
        off_m = off_plane_m(scene, motion)
        if off_m > OFF_PLANE_M:
            raise SimulationError(f"a body is {off_m:.2f} m off its plane; at most {OFF_PLANE_M:g}")
        red, ground = scene.body_index("red_ball"), scene.body_index("floor")
        touches = motion.contacts
        down = (touches["body_a"] == ground) & (touches["body_b"] == red)
        radius_m = scene.bodies[red].geoms[0].size[0]
        end_m = motion.position[scene.frames - 1, red, 2] - radius_m - FLOOR_M
        margins = {"height_at_end_m": float(end_m), "touches": float(len(touches))}
        return Outcome("reaches_floor" if down.any() else "held_up", margins)

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The middle of the world, 10 m across."""
        return look_at(scene, motion)


def guides() -> Body:
    """Smooth panes that nobody sees, just off the boxes' faces: Bullet's solver, which takes the
    corners of a face one after the other, would turn boxes out of their plane."""
    size, off = (WORLD_M, 0.5, WORLD_M), DEPTH_M + PLAY_M + 0.5
    panes = tuple(
        Geom("box", size, BLACK, position=(0.0, y, 0.0), friction=0.0, visible=False)
        for y in (-off, off)
    )
    middle = (WORLD_M / 2, 0.0, WORLD_M / 2)
    return Body("guides", panes, motion="static", position=middle)


def room() -> tuple[Body, ...]:
    """The floor and two walls, which fill the rim of the picture."""
    half, thick = WORLD_M / 2, FLOOR_M / 2
    plan = (
        ("floor", (half, DEPTH_M, thick), (half, 0.0, thick)),
        ("left_wall", (thick, DEPTH_M, half), (thick, 0.0, half)),
        ("right_wall", (thick, DEPTH_M, half), (WORLD_M - thick, 0.0, half)),
    )
    return tuple(
        Body(
            name,
            (Geom("box", size, BLACK, friction=FRICTION, restitution=1.0),),
            motion="static",
            position=place,
            label=name.split("_")[-1],
        )
        for name, size, place in plan
    )
