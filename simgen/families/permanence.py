"""Things that go behind a screen: out of sight they go on existing, and obey the same laws."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.objects import (
    PHYSICS_RATE_HZ,
    Form,
    Share,
    Size,
    ball,
    build,
    colours,
    two_tone,
)
from simgen.motion import Motion
from simgen.recipe.fields import within
from simgen.scene import Body, Geom, Material, Scene, Vector3

FLOOR = Material("beige", (0.50, 0.43, 0.34), rgb2=(0.44, 0.37, 0.29), pattern="checker")
SCREEN = Material("white", (0.72, 0.72, 0.70), rgb2=(0.60, 0.61, 0.62), pattern="checker",
                  scale_m=0.12)  # fmt: skip
WALL = Material("black", (0.05, 0.05, 0.06))
THIN_M = 0.02  # half thickness of screens and the hidden wall
LANE_M = 0.5  # behind the screens; the second lane of a swap is as far behind the first
VIEW_M = 3.5  # from where the default camera looks
OVER_M = 0.35  # screens above the largest thing: a camera looks a little down
WALL_OVER_M = 0.28  # the wall's top shows above the screen, so that passing it can be judged
ROUGH, SLIPPERY = 0.6, 4e-4  # friction of floor and balls; of what slides without slowing
SETTLED_M_S = 0.03


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    act: Literal["emerge", "stop", "reverse", "swap"] = "emerge"
    screens: int = Field(default=1, ge=1, le=2)  # two: only for emerge
    radius_m: Size = (0.14, 0.20)
    screen_widths: Annotated[Size, within(1.2, 4.0)] = (1.8, 3.0)  # of the object's width
    hidden_s: Annotated[Size, within(0.2, 3.0)] = (0.4, 0.9)  # behind each screen
    enters_s: Size = (0.35, 0.6)  # when the thing is first wholly hidden
    friction: Share = (0.10, 0.18)  # of what stops
    density_kg_m3: Size = (300.0, 900.0)


class Permanence:
    """Emerging, stopping behind, coming back off a hidden wall, and two that swap sides."""

    name = "permanence"
    summary = "things that pass, stop or turn back behind screens"
    engines = ("bullet", "mujoco")
    outcomes = ("emerged", "stopped_hidden", "reversed", "swapped", "unfinished")
    words = Words(
        opening=("moves behind a screen", "goes behind a screen"),
        outcomes={
            "emerged": ("comes out on the other side", "appears again on the far side"),
            "stopped_hidden": ("stays behind it", "stops out of sight"),
            "reversed": ("comes back out on the side where it went in",),
            "swapped": ("comes out on the other side, as does the other one",),
        },
    )
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=1 + parameters.screens + 1 + 2)

    def sample(
        self, parameters: Parameters, rng: np.random.Generator, *, frames: int, frame_rate_hz: float
    ) -> Scene:
        """One act behind one screen, or an emergence behind two."""
        p = parameters
        radius = float(rng.uniform(*p.radius_m))
        half_m = float(rng.uniform(*p.screen_widths)) * radius  # half a screen
        hidden_s, enters_s = (float(rng.uniform(*r)) for r in (p.hidden_s, p.enters_s))
        side = float(rng.choice((-1.0, 1.0)))  # that the first thing comes from
        density = float(rng.uniform(*p.density_kg_m3))
        friction = float(rng.uniform(*p.friction))
        names = colours(2, rng)
        screens = p.screens if p.act == "emerge" else 1
        gap_m = 2.6 * radius
        places = [0.0] if screens == 1 else [-half_m - gap_m / 2, half_m + gap_m / 2]
        reach = half_m * (VIEW_M + LANE_M) / VIEW_M  # half of what a screen hides in the lane
        speed = 2 * max(reach - radius, 0.5 * radius) / hidden_s
        edge = max(places) + reach - radius  # where the thing is first wholly hidden
        start = edge + speed * enters_s
        if p.act == "stop":  # so that it comes to rest in the middle of what the screen hides
            speed = math.sqrt(2 * friction * 9.81 * start)
        things = [self._thing(p.act, 0, radius, names[0], side * start, -side * speed,
                              friction, density)]  # fmt: skip
        if p.act == "swap":
            things.append(self._thing(p.act, 1, radius, names[1], -side * start, side * speed,
                                      friction, density))  # fmt: skip
        tall = 2 * radius + OVER_M
        walls = [_upright(f"screen_{i}", "screen", SCREEN, (x, 0.0), (half_m, THIN_M), tall)
                 for i, x in enumerate(places)]  # fmt: skip
        if p.act == "reverse":
            walls.append(
                _upright("hidden_wall", "wall", WALL, (-side * (radius + THIN_M), LANE_M),
                         (THIN_M, 1.3 * radius), tall + WALL_OVER_M)
            )  # fmt: skip
        ground = Geom("plane", (), FLOOR, friction=ROUGH, restitution=0.0)
        return Scene(
            family=self.name,
            bodies=(Body("floor", (ground,), motion="static", label="floor"), *walls, *things),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / 2 / frame_rate_hz),
            parameters={
                "act": p.act, "screens": screens, "radius_m": radius, "screen_half_m": half_m,
                "speed_m_s": speed, "hidden_s": hidden_s, "enters_s": enters_s, "from_x": side,
            },
        )  # fmt: skip

    @staticmethod
    def _thing(
        act: str, lane: int, radius: float, colour: str, x: float, speed: float,
        friction: float, density: float,
    ) -> Body:  # fmt: skip
        """A ball that rolls without slip, or a box that slides to rest, or to the wall and back."""
        rolls = act in ("emerge", "swap")
        side = 0.85 * radius
        form = ball(radius) if rolls else Form("box", (side, side, side), "box")
        surface = {"stop": friction**2 / ROUGH, "reverse": SLIPPERY}.get(act, ROUGH)
        return build(
            f"{form.label}_{lane}", form, two_tone(colour),
            density_kg_m3=density, restitution=0.0 if rolls or act == "stop" else 0.95,
            friction=surface, position=(x, LANE_M * (1 + lane), form.size[-1]),
            velocity=(speed, 0.0, 0.0),
            angular_velocity=(0.0, speed / radius if rolls else 0.0, 0.0),
        )  # fmt: skip

    def pass_through(self, scene: Scene) -> Scene:
        """The scene in which the hidden wall stops nothing."""
        bodies = tuple(
            Body(**{**vars(b), "geoms": tuple(Geom(**{**vars(g), "collide": False})
                                              for g in b.geoms)})
            if b.name == "hidden_wall" else b
            for b in scene.bodies
        )  # fmt: skip
        return Scene(**{**vars(scene), "bodies": bodies})

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """Where the first thing is at the end, by the edges of the screens as seen from the front.

        emerged, reversed: beyond an edge, on the other side or its own; stopped_hidden: between
        them and still; swapped: two things, both on the other side; unfinished: anything else.
        """
        rows = [i for i, b in enumerate(scene.bodies) if b.motion == "free"]
        screens = [b for b in scene.bodies if b.label == "screen"]
        reach = max(abs(b.position[0]) + b.geoms[0].size[0] for b in screens)
        reach *= (VIEW_M + LANE_M) / VIEW_M
        start, end = motion.position[0, rows, 0], motion.position[scene.frames - 1, rows, 0]
        out = end * -np.sign(start)  # how far on the other side
        speed = float(np.linalg.norm(motion.velocity[scene.frames - 1, rows], axis=1).max())
        margins = {"beyond_m": float(np.abs(end).min() - reach), "speed_at_end_m_s": speed}
        if len(rows) == 2:
            return Outcome("swapped" if (out > reach).all() else "unfinished", margins)
        if out[0] > reach:
            return Outcome("emerged", margins)
        if out[0] < -reach:
            return Outcome("reversed", margins)
        return Outcome("stopped_hidden" if speed < SETTLED_M_S else "unfinished", margins)

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The screens, from far enough that things start and end in the picture."""
        return (0.0, 0.25, 0.32), VIEW_M


def _upright(
    name: str, label: str, material: Material, at: tuple[float, float],
    half: tuple[float, float], tall_m: float,
) -> Body:  # fmt: skip
    """A static board that stands on the floor."""
    geom = Geom("box", (*half, tall_m / 2), material, friction=0.0, restitution=1.0)
    return Body(name, (geom,), motion="static", position=(*at, tall_m / 2), label=label)
