"""Free throws with backspin: made or missed in every way that a basket allows.

Sizes of ball, ring and board: FIBA Official Basketball Rules 2022, equipment.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict

from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.objects import PHYSICS_RATE_HZ, Share, Size, build, two_tone
from simgen.families.objects import ball as ball_form
from simgen.motion import Motion
from simgen.recipe.fields import Range, within
from simgen.scene import Body, Geom, Light, Material, Quaternion, Scene, Vector3

RIM_M, RING_M, TUBE_M = 3.05, 0.225, 0.009  # height, inner radius, half thickness of the bar
BOARD_M = 0.375  # from the ring's centre to the board's face
BALL_M, BALL_KG = 0.1195, 0.61
LINE_M = 4.225  # from the free-throw line to the ring's centre, on the floor
SEGMENTS = 32  # of the ring
GRAVITY_M_S2 = 9.81
IN_RING_S = 0.1  # the ball's upper half is still in the ring when its centre is through
LOW_M = 1.0  # a ball this far below the ring does not come back

LIGHT = Light(direction=(0.42, 0.50, -0.76))  # onto the board's face
COURT = Material("beige", (0.52, 0.36, 0.20), rgb2=(0.46, 0.31, 0.17), pattern="stripes",
                 scale_m=0.25)  # fmt: skip
BOARD = Material("white", (0.78, 0.80, 0.82))
MARK = Material("black", (0.05, 0.05, 0.06))
STEEL = Material("grey", (0.25, 0.26, 0.28))
RED = Material("red", (0.70, 0.06, 0.03))
NET = Material("white", (0.85, 0.85, 0.85))

MADE = ("swish", "rim_in", "bank_in")
MISSED = ("front_rim_miss", "back_rim_miss", "backboard_miss", "airball")


class Parameters(BaseModel):
    """Ranges [low, high] that every throw draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    angle_deg: Annotated[Range, within(40, 70)] = (51.0, 62.0)  # of the throw above level
    release_m: Size = (1.95, 2.35)  # height of the ball when it leaves the hand
    backspin_rad_s: Size = (10.0, 20.0)
    restitution: Share = (0.75, 0.85)


class Basketball:
    """Seven ways for a free throw to end, aimed at equally often; the simulation decides."""

    name = "basketball"
    summary = "free throws: swishes, banks, rattles in, rims out, airballs"
    engines = ("bullet", "mujoco")
    outcomes = (*MADE, *MISSED, "unfinished")
    words = Words(
        opening=("flies towards the basket", "is thrown at the basket"),
        outcomes={
            "swish": ("drops through the ring without touching it",),
            "rim_in": ("hits the rim and goes in", "touches the rim and drops through"),
            "bank_in": ("comes off the backboard and goes in",),
            "front_rim_miss": ("hits the front of the rim and misses",),
            "back_rim_miss": ("hits the back of the rim and misses",),
            "backboard_miss": ("comes off the backboard and misses",),
            "airball": ("misses rim and backboard", "touches neither rim nor backboard"),
        },
    )
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=6)

    def sample(
        self, parameters: Parameters, rng: np.random.Generator, *, frames: int, frame_rate_hz: float
    ) -> Scene:
        """One throw at the place that one of the seven endings, drawn, needs."""
        p = parameters
        aim = str(rng.choice([*MADE, *MISSED]))
        angle = math.radians(rng.uniform(*p.angle_deg))
        height = float(rng.uniform(*p.release_m))
        bounce = float(rng.uniform(*p.restitution))
        long_m, wide_m = landing(aim, rng, bounce, clean_room(angle, height))
        start = np.array([-LINE_M + 0.1, 0.0, height])
        speed = speed_to(long_m - start[0], RIM_M - height, angle)
        flight_s = (long_m - start[0]) / (speed * math.cos(angle))
        velocity = (speed * math.cos(angle), wide_m / flight_s, speed * math.sin(angle))
        spin = float(rng.uniform(*p.backspin_rad_s))
        ball = build(
            "ball", ball_form(BALL_M), two_tone("orange"), density_kg_m3=1.0,
            restitution=bounce, friction=0.5, position=start, velocity=velocity,
            angular_velocity=(0.0, -spin, 0.0),
        )  # fmt: skip
        shell = 2 / 3 * BALL_KG * BALL_M**2
        ball = Body(**{**vars(ball), "mass_kg": BALL_KG, "inertia_kgm2": (shell,) * 3})
        return Scene(
            family=self.name,
            bodies=(*court(), ball),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            light=LIGHT,
            parameters={
                "aimed_at": aim, "angle_deg": math.degrees(angle), "speed_m_s": speed,
                "release_m": height, "backspin_rad_s": spin, "long_m": long_m, "wide_m": wide_m,
            },
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """swish, rim_in, bank_in: went down through the ring, having touched nothing, the rim
        first, the board first; *_miss: did not, by what was touched first; airball: nothing was.

        Margins: miss_m, from the ring's centre where the ball's centre first comes down to the
        ring's height in free flight; entry_deg, its angle below level there.
        """
        ball = scene.body_index("ball")
        touch = motion.contacts[motion.contacts["body_b"] == ball]
        rim, board, floor = (scene.body_index(n) for n in ("rim", "backboard", "floor"))
        hits = touch[np.isin(touch["body_a"], (rim, board))]
        through_s = passes(scene, motion, ball)
        velocity, start = motion.velocity[0, ball], motion.position[0, ball]
        down = velocity[2] ** 2 - 2 * GRAVITY_M_S2 * (RIM_M - start[2])
        margins = {"speed_m_s": float(np.linalg.norm(velocity))}
        if down > 0:
            fall_s = (velocity[2] + math.sqrt(down)) / GRAVITY_M_S2
            spot = (start + velocity * fall_s)[:2]
            level = float(np.hypot(*velocity[:2]))
            margins["miss_m"] = float(np.hypot(*spot))
            margins["entry_deg"] = math.degrees(math.atan2(math.sqrt(down), level))
        if through_s is not None:
            before = hits[hits["start_s"] < through_s + IN_RING_S]
            before = before[(before["start_s"] < through_s) | (before["body_a"] == rim)]
            first = before["body_a"][0] if len(before) else None
            label = {None: "swish", rim: "rim_in", board: "bank_in"}[first]
            events = ({"kind": "basket", "start_s": through_s, "body_a": "ball", "body_b": "rim",
                       "value": label},)  # fmt: skip
            return Outcome(label, margins, events)
        floors = touch["start_s"][touch["body_a"] == floor]
        height = motion.position[: scene.frames, ball, 2]
        past = len(floors) or height[-1] < RIM_M - LOW_M
        if not past:
            return Outcome("unfinished", margins)
        if len(floors):
            hits = hits[hits["start_s"] < floors[0]]
        if not len(hits):
            return Outcome("airball", margins)
        if hits["body_a"][0] == board:
            return Outcome("backboard_miss", margins)
        return Outcome("front_rim_miss" if hits["point"][0, 0] < 0 else "back_rim_miss", margins)

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """Throw and basket from the side."""
        return (-1.85, 0.0, 2.1), 5.7


def passes(scene: Scene, motion: Motion, ball: int) -> float | None:
    """Seconds at which the ball's centre falls through the ring's plane within the ring, or None.

    The last such time before the ball is far below, so that a ball that pops out again is none.
    """
    at = motion.position[: scene.frames, ball]
    for t in range(scene.frames - 1):
        if not at[t, 2] > RIM_M >= at[t + 1, 2]:
            continue
        share = (at[t, 2] - RIM_M) / (at[t, 2] - at[t + 1, 2])
        spot = at[t, :2] + share * (at[t + 1, :2] - at[t, :2])
        if np.hypot(*spot) < RING_M and (at[t + 1 : t + 5, 2] < RIM_M).all():
            return float((t + share) / scene.frame_rate_hz)
    return None


def speed_to(way_m: float, up_m: float, angle: float) -> float:
    """Launch speed of the throw that passes a point that far and that high, m/s."""
    return math.sqrt(
        GRAVITY_M_S2 * way_m**2 / (2 * math.cos(angle) ** 2 * (way_m * math.tan(angle) - up_m))
    )


def clean_room(angle: float, height_m: float) -> float:
    """How far from the ring's centre a throw can come down, along its way, and touch nothing, m."""
    start = -LINE_M + 0.1
    speed = speed_to(-start, RIM_M - height_m, angle)
    down = math.sqrt((speed * math.sin(angle)) ** 2 - 2 * GRAVITY_M_S2 * (RIM_M - height_m))
    entry = math.atan2(down, speed * math.cos(angle))
    return max((RING_M + TUBE_M) - (BALL_M + TUBE_M) / math.sin(entry), 0.0)


def landing(
    aim: str, rng: np.random.Generator, bounce: float, clean_m: float
) -> tuple[float, float]:
    """Where the throw would come down through the ring's plane, past its centre and aside, m.

    The ranges are where throws end in that way, found by trying; a bank is aimed at the ring's
    image behind the board, as much farther as the board takes of the speed.
    """
    room = RING_M - BALL_M
    wide = float(rng.normal(0.0, 0.02))
    if aim == "swish":
        return float(rng.uniform(-0.7, 0.7)) * clean_m, float(rng.uniform(-0.02, 0.02))
    if aim == "rim_in":
        return float(rng.uniform(0.75, 1.35)) * room, float(rng.uniform(-0.05, 0.05))
    if aim == "front_rim_miss":
        return -float(rng.uniform(0.21, 0.33)), wide
    if aim == "back_rim_miss":
        return float(rng.uniform(0.20, 0.30)), wide
    face = BOARD_M - BALL_M
    if aim == "bank_in":
        return face + face / bounce * float(rng.uniform(0.85, 1.15)), wide
    if aim == "backboard_miss":
        return face + face / bounce * float(rng.uniform(2.0, 3.4)), float(rng.normal(0, 0.12))
    side = float(rng.choice((-1.0, 1.0)))
    if rng.uniform() < 0.5:
        return -float(rng.uniform(0.42, 0.8)), wide
    return float(rng.uniform(-0.6, -0.2)), side * float(rng.uniform(0.42, 0.7))


def court() -> tuple[Body, ...]:
    """Floor, post, board, ring with its bracket, and a net that the ball does not feel."""
    hard = {"friction": 0.5, "restitution": 1.0}
    floor = Geom("plane", (), COURT, **hard)
    behind = BOARD_M + 0.03
    post = (
        Geom("cylinder", (0.07, 1.35), STEEL, (behind + 0.75, 0.0, 1.35), collide=False),
        Geom("box", (0.40, 0.05, 0.05), STEEL, (behind + 0.38, 0.0, 2.72), collide=False),
    )
    board = (
        Geom("box", (0.015, 0.90, 0.525), BOARD, (BOARD_M + 0.015, 0.0, 3.425), **hard),
        *(
            Geom("box", (0.002, *half), MARK, (BOARD_M - 0.001, y, z), collide=False)
            for half, y, z in (
                ((0.295, 0.025), 0.0, 3.525), ((0.295, 0.025), 0.0, 3.075),
                ((0.025, 0.225), 0.27, 3.30), ((0.025, 0.225), -0.27, 3.30),
            )
        ),
    )  # fmt: skip
    return (
        Body("floor", (floor,), motion="static", label="floor"),
        Body("post", post, motion="static", label="post", object="stand"),
        Body("backboard", board, motion="static", label="backboard"),
        Body("rim", tuple(ring(hard)), motion="static", position=(0.0, 0.0, RIM_M), label="rim"),
        Body("net", tuple(net()), motion="static", position=(0.0, 0.0, RIM_M), label="net"),
    )


def ring(surface: dict) -> list[Geom]:
    """The ring of short bars about its centre, and the bracket to the board."""
    radius = RING_M + TUBE_M
    half = radius * math.tan(math.pi / SEGMENTS)
    bars = []
    for k in range(SEGMENTS):
        angle = 2 * math.pi * (k + 0.5) / SEGMENTS
        at = (radius * math.cos(angle), radius * math.sin(angle), 0.0)
        along = (-math.sin(angle), math.cos(angle), 0.0)
        bars.append(Geom("capsule", (TUBE_M, half), RED, at, from_z(along), **surface))
    gap = (BOARD_M - radius) / 2
    bracket = Geom("box", (gap, 0.05, 0.008), RED, (BOARD_M - gap, 0.0, -0.02), **surface)
    return [*bars, bracket]


def net(strings: int = 12) -> list[Geom]:
    """A funnel of crossing strings."""
    cords = []
    for k in range(strings):
        for twist in (-1, 1):
            top = 2 * math.pi * k / strings
            low = top + twist * 2 * math.pi / strings
            a = np.array([RING_M * math.cos(top), RING_M * math.sin(top), -0.01])
            b = np.array([0.14 * math.cos(low), 0.14 * math.sin(low), -0.42])
            way = b - a
            length = float(np.linalg.norm(way))
            cords.append(
                Geom("capsule", (0.004, length / 2), NET, tuple((a + b) / 2),
                     from_z(tuple(way / length)), collide=False)
            )  # fmt: skip
    return cords


def from_z(direction: Vector3) -> Quaternion:
    """The shortest turn from +z to a unit vector."""
    x, y, z = direction
    if z < -1 + 1e-9:
        return (0.0, 1.0, 0.0, 0.0)
    turn = np.array([1 + z, -y, x, 0.0])
    return tuple(float(v) for v in turn / np.linalg.norm(turn))
