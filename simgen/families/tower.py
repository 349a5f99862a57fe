"""A tower of blocks, set askew or struck by a ball: it stands or it topples."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simgen.cameras import rotation_matrix
from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.laboratory import LIGHT, WOOD, floor, framing, whole_rate
from simgen.families.objects import Count, Form, Share, Size, ball, build, colours, two_tone
from simgen.motion import Motion
from simgen.scene import Body, Geom, Scene, Vector3

PHYSICS_RATE_HZ = 480.0  # balance is told right down to a margin of 6%, on both engines
DENSITY_KG_M3 = 600.0  # of wood
FRICTION = 0.8
BOARD_M = 0.55  # radius of the board that it stands on
TABLE_M = 0.05  # and half its thickness
BALL_M = 0.11
FALLEN = 0.7  # of its first height: a block that sinks lower than this has come down
TILTED = math.radians(45.0)  # and so has one that leans more than this
WIDEST = 0.9  # of a block's half width: the largest step between neighbours
TRIES = 3000
SOURCE = "centre of mass of all that lies above, over the face that carries it"


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    blocks: Count = (3, 7)
    half_width_m: Size = (0.13, 0.18)
    half_height_m: Size = (0.07, 0.11)
    margin: Share = (0.08, 0.5)  # to either side of the edge of balance, of the half width
    unstable: float = Field(0.5, ge=0, le=1)  # share of the towers that cannot stand
    struck: float = Field(0.35, ge=0, le=1)  # share of those that could that a ball strikes
    speed_m_s: Size = (1.5, 5.0)  # of that ball
    gravity_m_s2: Size = (9.81, 9.81)

    @model_validator(mode="after")
    def one_colour_each(self) -> Parameters:
        if self.blocks[0] < 2 or self.blocks[1] > 7:
            raise ValueError(f"blocks {list(self.blocks)} must lie within 2 to 7, and a ball")
        return self


class Tower:
    """Statics, told by what happens next."""

    name = "tower"
    summary = "a tower of blocks that stands, topples or is knocked over"
    engines = ("bullet", "mujoco")
    outcomes = ("stands", "topples")
    words = Words(
        opening=("make a tower", "are stacked into a tower"),
        outcomes={
            "stands": ("with the whole tower still standing at the end",),
            "topples": ("with part of the tower falling",),
        },
        together=("block",),
    )
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=parameters.blocks[1] + 3)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """Blocks on a board, each a little beside the one below, and perhaps a ball in flight.

        Raises:
            ValueError: No such tower was found.
        """
        p = parameters
        count = int(rng.integers(p.blocks[0], p.blocks[1] + 1))
        half = np.stack(
            [
                rng.uniform(*p.half_width_m, count),
                rng.uniform(*p.half_width_m, count),
                rng.uniform(*p.half_height_m, count),
            ],
            axis=1,
        )
        unstable = bool(rng.uniform() < p.unstable)
        struck = bool(rng.uniform() < p.struck) and not unstable
        places, margin = self._stacked(half, unstable, p, rng)
        gravity, speed = float(rng.uniform(*p.gravity_m_s2)), float(rng.uniform(*p.speed_m_s))
        names = colours(count + 1, rng)
        bodies = [
            build(
                f"block_{i + 1}", Form("box", tuple(half[i].tolist()), "block"),
                two_tone(names[i]), density_kg_m3=DENSITY_KG_M3, restitution=0.0,
                friction=FRICTION, position=places[i], velocity=np.zeros(3),
                angular_velocity=np.zeros(3),
            )
            for i in range(count)
        ]  # fmt: skip
        aim, side = int(rng.integers(count // 2, count)), rng.uniform(0, 2 * math.pi)
        if struck:
            bodies.append(self._ball(places[aim], half[aim], side, speed, gravity, names[count]))
        return Scene(
            family=self.name,
            bodies=(floor(), self._board(), *bodies),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=whole_rate(PHYSICS_RATE_HZ, frame_rate_hz),
            gravity=(0.0, 0.0, -gravity),
            light=LIGHT,
            parameters={
                "blocks": count, "balance_margin": margin, "struck": int(struck),
                "speed_m_s": speed if struck else 0.0, "gravity_m_s2": gravity,
            },
        )  # fmt: skip

    @staticmethod
    def _stacked(
        half: np.ndarray, unstable: bool, p: Parameters, rng: np.random.Generator
    ) -> tuple[np.ndarray, float]:
        """Centres (block, 3) of a tower with a margin in the wished range and sign.

        Raises:
            ValueError: None was found.
        """
        low, high = p.margin
        wished = (-high, -low) if unstable else (low, high)
        heights = 2 * TABLE_M + np.cumsum(2 * half[:, 2]) - half[:, 2]
        for _ in range(TRIES):
            steps = rng.uniform(-WIDEST, WIDEST, (len(half), 2)) * rng.uniform(0.2, 1.0)
            if rng.uniform() < 0.5:  # one that leans, as few blocks must to be out of balance
                steps = np.abs(steps) * rng.choice([-1.0, 1.0], 2)
            steps *= np.minimum(half[:, :2], np.roll(half[:, :2], 1, axis=0))
            steps[0] = 0.0
            places = np.column_stack([np.cumsum(steps, axis=0), heights])
            margin = balance_margin(places, half)
            if wished[0] <= margin <= wished[1]:
                return places, margin
        raise ValueError(f"no tower of {len(half)} blocks has a margin in {list(wished)}")

    @staticmethod
    def _board() -> Body:
        geom = Geom("cylinder", (BOARD_M, TABLE_M), WOOD, friction=FRICTION)
        place = (0.0, 0.0, TABLE_M)
        return Body("board", (geom,), motion="static", position=place, label="board")

    @staticmethod
    def _ball(
        place: np.ndarray, half: np.ndarray, side: float, speed: float, gravity: float, colour: str
    ) -> Body:
        """A ball thrown so that it comes down to the block's height as it reaches it."""
        way = np.array([math.cos(side), math.sin(side), 0.0])
        away = 1.0 + float(half[:2].max())
        wait_s = away / speed
        start = place - away * way
        velocity = speed * way + np.array([0.0, 0.0, gravity * wait_s / 2])
        return build(
            "ball", ball(BALL_M), two_tone(colour), density_kg_m3=DENSITY_KG_M3, restitution=0.3,
            friction=0.5, position=start, velocity=velocity, angular_velocity=np.zeros(3),
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """topples: some block has come down, or leans as one that will."""
        rows = [i for i, body in enumerate(scene.bodies) if body.label == "block"]
        height = motion.position[: scene.frames, rows, 2]
        sunk = float((height[-1] / height[0])[1:].min())
        tilt = rotation_matrix(motion.quaternion[scene.frames - 1, rows])[:, 2, 2]
        way = motion.position[scene.frames - 1, rows] - motion.position[0, rows]
        moved = np.linalg.norm(way, axis=1)
        fallen = sunk < FALLEN or float(tilt.min()) < math.cos(TILTED)
        margins = {
            "balance_margin": float(scene.parameters["balance_margin"]),
            "lowest_of_its_height": sunk,
            "farthest_moved_m": float(moved.max()),
        }
        return Outcome("topples" if fallen else "stands", margins)

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """It stands if and only if it is balanced; none when a ball strikes it."""
        if scene.parameters["struck"]:
            return ()
        stands = float(self.outcome(scene, motion).label == "stands")
        balanced = float(scene.parameters["balance_margin"] > 0)
        return (Law("stands as its balance says", stands, balanced, 0.5, "1", SOURCE),)

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The tower with the room that its fall takes."""
        rows = [i for i, body in enumerate(scene.bodies) if body.label == "block"]
        high = motion.position[0, rows[-1], 2] + 0.25
        reach = BOARD_M
        return framing(np.array([[-reach, -reach, 0.0], [reach, reach, 0.0], [0, 0, high]]))


def balance_margin(places: np.ndarray, half: np.ndarray) -> float:
    """How far the tower is from the edge of balance, of its narrowest half width; negative: over.

    For each block the centre of mass of what lies above it must be over the face in which it
    carries the next one: the overlap of the two. The smallest distance to that face's edge counts.

    Args:
        places: Centres (block, 3), from below, m.
        half: Half extents (block, 3), m; equal densities.
    """
    mass = np.prod(half, axis=1)
    margins = []
    for i in range(len(half) - 1):
        above = mass[i + 1 :] @ places[i + 1 :, :2] / mass[i + 1 :].sum()
        low = np.maximum(places[i, :2] - half[i, :2], places[i + 1, :2] - half[i + 1, :2])
        high = np.minimum(places[i, :2] + half[i, :2], places[i + 1, :2] + half[i + 1, :2])
        margins.append(min((above - low).min(), (high - above).min()))
    return float(min(margins) / half[:, :2].min())
