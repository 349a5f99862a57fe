"""Billiards on a small table: the cue ball sends an object ball towards a pocket, or past it."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.laboratory import floor, framing, whole_rate
from simgen.families.objects import PALETTE, Size, colours, two_tone
from simgen.laws import frame_times
from simgen.motion import Motion, SimulationError
from simgen.recipe.fields import Range
from simgen.scene import Body, Geom, Light, Material, Scene, Vector3

PHYSICS_RATE_HZ = 1200.0
RADIUS_M = 0.04
MASS_KG = 0.4
HALF_M = (0.62, 0.36)  # of the cloth, between the cushions
TOP_M = 0.5  # height of the cloth
POCKET_M = 0.15  # length of the gap in each cushion at a corner, and width of the pockets
SIDE_POCKET_M = 0.085  # half the gap in the middle of a long cushion
CUSHION_M = (0.025, 0.03)  # half width and half height
SPACE_M = 0.01  # between balls at the start
BALL_FRICTION, CLOTH_FRICTION = 0.04, 1.0  # with each other 0.04, ball on cloth 0.2
BALL_RESTITUTION, CUSHION_RESTITUTION = 0.97, 0.85
IN_POCKET_M = TOP_M  # a ball whose centre is lower than the cloth is in a pocket
SOURCE = "elastic collision: what a smooth ball gets is along the line of centres"

FELT = Material("green", (0.03, 0.22, 0.09))
RAIL = Material("brown", (0.26, 0.12, 0.05), gloss=0.3)
RUBBER = Material("green", (0.02, 0.15, 0.06))
HOLE = Material("black", (0.015, 0.015, 0.015))
WHITE = Material("white", (0.85, 0.85, 0.80), rgb2=(0.55, 0.55, 0.52), pattern="two_tone")
LIGHT = Light(direction=(0.15, 0.25, -0.95), ambient=0.45)
X, Y = HALF_M
POCKETS = np.array([(i * X, j * Y) for i in (-1, 1) for j in (-1, 1)] + [(0, -Y), (0, Y)])


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    balls: tuple[int, int] = (3, 7)  # beside the cue ball
    speed_m_s: Size = (1.0, 2.2)  # of the cue ball
    aim_error_deg: Range = (-7.0, 7.0)  # off the line that would pocket the object ball
    gravity_m_s2: Size = (9.81, 9.81)

    @model_validator(mode="after")
    def one_colour_each(self) -> Parameters:
        most = len(PALETTE) - 1
        if not 1 <= self.balls[0] <= self.balls[1] <= most:
            raise ValueError(f"balls {list(self.balls)} must lie within 1 to {most}")
        return self


class Billiards:
    """Collisions with a goal: the angle decides."""

    name = "billiards"
    summary = "a cue ball that sends a ball into a pocket or misses it"
    engines = ("bullet", "mujoco")
    outcomes = ("pocketed", "missed")
    words = Words(
        opening=("is shot across a billiard table", "is set rolling on a billiard table"),
        outcomes={
            "pocketed": ("with the ball that it is aimed at falling into a pocket",),
            "missed": ("with the ball that it is aimed at staying on the table",),
        },
    )
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=parameters.balls[1] + 6)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """A table with a cue ball on its way to the object ball, which is ball 1.

        Raises:
            ValueError: The balls found no room.
        """
        p = parameters
        count = int(rng.integers(p.balls[0], p.balls[1] + 1))
        speed, gravity = float(rng.uniform(*p.speed_m_s)), float(rng.uniform(*p.gravity_m_s2))
        error = math.radians(rng.uniform(*p.aim_error_deg))
        cue, target, way, pocket = shot(error, rng)
        others = scattered(count - 1, cue, target, POCKETS[pocket], rng)
        names = [name for name in colours(len(PALETTE), rng) if name != "green"]  # as the cloth is
        balls = [self._ball("cue_ball", cue, WHITE, speed * way)]
        for number, place in enumerate((target, *others)):
            look = two_tone(names[number])
            balls.append(self._ball(f"ball_{number + 1}", place, look, np.zeros(2)))
        return Scene(
            family=self.name,
            bodies=(floor(friction=0.5), *table(), *balls),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=whole_rate(PHYSICS_RATE_HZ, frame_rate_hz),
            gravity=(0.0, 0.0, -gravity),
            light=LIGHT,
            parameters={
                "balls": count, "speed_m_s": speed, "aim_error_rad": error, "pocket": pocket,
                "gravity_m_s2": gravity,
            },
        )  # fmt: skip

    @staticmethod
    def _ball(name: str, place: np.ndarray, look: Material, velocity: np.ndarray) -> Body:
        """A ball on the cloth that slides at first, as one struck in its middle does."""
        geom = Geom(
            "sphere", (RADIUS_M,), look, friction=BALL_FRICTION, restitution=BALL_RESTITUTION
        )
        return Body(
            name,
            (geom,),
            MASS_KG,
            position=(float(place[0]), float(place[1]), TOP_M + RADIUS_M),
            velocity=(float(velocity[0]), float(velocity[1]), 0.0),
            label="ball",
        )

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """pocketed: the object ball is in a pocket by the clip's end; missed: it is not.

        Raises:
            SimulationError: A ball left the table elsewhere than through a pocket.
        """
        rows = [i for i, body in enumerate(scene.bodies) if body.motion == "free"]
        place = motion.position[: scene.frames, rows]
        if (np.abs(place[..., :2]) > np.array(HALF_M) + POCKET_M).any():
            raise SimulationError("a ball jumped off the table")
        low = place[-1, :, 2] < IN_POCKET_M
        nearest = np.linalg.norm(place[:, 1, None, :2] - POCKETS, axis=-1).min()
        margins = {
            "balls_pocketed": float(low.sum()),
            "cue_ball_pocketed": float(low[0]),
            "nearest_pocket_m": float(nearest),
        }
        return Outcome("pocketed" if low[1] else "missed", margins)

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """What the first hit gave the object ball; none if another ball had a part in it."""
        cue, ball = scene.body_index("cue_ball"), scene.body_index("ball_1")
        ever = motion.contacts
        hits = ever[(ever["body_a"] >= cue) | (ever["body_a"] == scene.body_index("cushions"))]
        if not len(hits) or (hits[0]["body_a"], hits[0]["body_b"]) != (cue, ball):
            return ()
        clear = frame_times(scene) > hits[0]["end_s"]
        again = hits["start_s"][1:2]
        row = int(np.argmax(clear))
        if not clear.any() or (len(again) and again[0] < frame_times(scene)[row]):
            return ()
        normal = hits[0]["normal"][:2] / np.linalg.norm(hits[0]["normal"][:2])
        given = hits[0]["impulse_ns"] / MASS_KG
        start = np.array(scene.bodies[cue].velocity)
        drag = math.sqrt(BALL_FRICTION * CLOTH_FRICTION) * -scene.gravity[2]
        # it slides and slows down until it rolls, at 5/7 of its speed
        kept = max(1 - drag * hits[0]["start_s"] / np.linalg.norm(start), 5 / 7)
        before = kept * start[:2]
        expected = (1 + BALL_RESTITUTION**2) / 2 * float(before @ normal)
        slack = 0.05 + 0.03 * expected
        way = motion.velocity[row, ball, :2]
        turn = math.atan2(normal[0] * way[1] - normal[1] * way[0], normal @ way)
        return (
            Law("speed given to the object ball", float(given), expected, slack, "m/s", SOURCE),
            Law("angle between its way and the line of centres", turn, 0.0, 0.06, "rad", SOURCE),
        )  # fmt: skip

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The whole table."""
        corner = np.array([X, Y, 0.0]) + 0.1
        top = np.array([0.0, 0.0, TOP_M])
        return framing(np.stack([top - corner * (1, 1, 0), top + corner * (1, 1, 0)]))


def shot(error: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Places of the cue ball and the object ball, the way of the shot, and the pocket's number.

    Without error the cue ball meets the object ball on the line from the pocket through it.
    """
    pocket = int(rng.integers(len(POCKETS)))
    while True:
        target = rng.uniform(-0.7, 0.7, 2) * HALF_M
        to_pocket = POCKETS[pocket] - target
        away = float(np.linalg.norm(to_pocket))
        line = to_pocket / away
        # a side pocket takes only what comes steeply, and cuts beyond 45 degrees give little
        straight = pocket < 4 or abs(line[1]) > 0.8
        contact = target - 2 * RADIUS_M * line
        cut = rng.uniform(-0.75, 0.75)
        turn = np.array([[math.cos(cut), -math.sin(cut)], [math.sin(cut), math.cos(cut)]])
        cue = contact - turn @ line * rng.uniform(0.25, 0.55)
        inside = (np.abs(cue) < np.array(HALF_M) - 2 * RADIUS_M).all()
        if straight and inside and away < 0.75:
            break
    way = (contact - cue) / np.linalg.norm(contact - cue)
    swing = np.array([[math.cos(error), -math.sin(error)], [math.sin(error), math.cos(error)]])
    return cue, target, swing @ way, pocket


def scattered(
    count: int, cue: np.ndarray, target: np.ndarray, pocket: np.ndarray, rng: np.random.Generator
) -> list[np.ndarray]:
    """Places of more balls, off the lines from cue ball to object ball to pocket.

    Raises:
        ValueError: There is no room.
    """
    lines = [(cue, target), (target, pocket)]
    places: list[np.ndarray] = []
    for _ in range(2000):
        if len(places) == count:
            return places
        place = rng.uniform(-1, 1, 2) * (np.array(HALF_M) - 2 * RADIUS_M)
        apart = [np.linalg.norm(place - other) for other in (cue, target, *places)]
        beside = [off_line_m(place, *line) for line in lines]
        if min(apart) > 2 * RADIUS_M + SPACE_M and min(beside) > 2.5 * RADIUS_M:
            places.append(place)
    raise ValueError(f"{count} more balls found no room on the table; ask for fewer")


def off_line_m(place: np.ndarray, start: np.ndarray, end: np.ndarray) -> float:
    """Distance of a point from the stretch between two others, m.

    >>> off_line_m(np.array([1.0, 2.0]), np.array([0.0, 0.0]), np.array([4.0, 0.0]))
    2.0
    """
    along = end - start
    share = np.clip((place - start) @ along / (along @ along), 0, 1)
    return float(np.linalg.norm(place - start - share * along))


def table() -> tuple[Body, ...]:
    """Cloth, cushions with gaps for six pockets, the rails around them and the pockets' floors."""
    wide, tall = CUSHION_M
    middle = TOP_M + tall
    long_half = (X - POCKET_M - SIDE_POCKET_M) / 2
    at = SIDE_POCKET_M + long_half
    cushions = [
        ((long_half, wide, tall), (i * at, j * (Y + wide), middle))
        for i in (-1, 1)
        for j in (-1, 1)
    ] + [((wide, Y - POCKET_M, tall), (i * (X + wide), 0.0, middle)) for i in (-1, 1)]
    out = 2 * wide + POCKET_M / 2  # where the rails begin
    rails = []
    for i in (-1, 1):
        rails.append(((X + out + 0.03, 0.03, 0.08), (0.0, i * (Y + out + 0.03), TOP_M)))
        rails.append(((0.03, Y + out, 0.08), (i * (X + out + 0.03), 0.0, TOP_M)))
    shelf = ((X + out, Y + out, 0.01), (0.0, 0.0, TOP_M - 3 * RADIUS_M))
    cloth = ((X, Y, 0.02), (0.0, 0.0, TOP_M - 0.02))
    return (
        boxes("cloth", [cloth], FELT, "cloth", friction=CLOTH_FRICTION, restitution=0.0),
        boxes("cushions", cushions, RUBBER, "cushion", friction=0.2,
              restitution=CUSHION_RESTITUTION / BALL_RESTITUTION),
        boxes("rails", rails, RAIL, "rail", friction=0.4, restitution=0.3),
        boxes("pockets", [shelf], HOLE, "pocket", friction=1.0, restitution=0.0),
    )  # fmt: skip


def boxes(
    name: str,
    plan: list[tuple[Vector3, Vector3]],
    material: Material,
    label: str,
    *,
    friction: float,
    restitution: float,
) -> Body:
    """A static body of boxes, each by its half extents and its middle."""
    geoms = tuple(
        Geom("box", size, material, position=place, friction=friction, restitution=restitution)
        for size, place in plan
    )
    return Body(name, geoms, motion="static", label=label)
