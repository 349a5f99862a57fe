"""The cameras of a recipe: what they may do, in ranges that every shot draws from.

    camera = { kind = "pan", travel = [20, 60], elevation_deg = [10, 30] }
    camera = { moves = [{ kind = "truck", travel = [0.5, 1] }, { kind = "zoom" }] }

Units of `travel`, whose sign is the way:
    pan       degrees, + to the right
    tilt      degrees, + up
    roll      degrees, + clockwise, as whoever stands behind the camera sees it turn
    orbit     degrees around the point looked at, + to the camera's right
    dolly     metres along the line of sight, + in
    truck     metres sideways, + to the right
    pedestal  metres, + up
    zoom      focal length at the end over that at the start, above 1 in
static, handheld and tracking have none: a tracking camera travels along with the centre of mass of
what moves, at a fixed offset and without turning. Pans, tilts, trucks, pedestals and zooms have the
point that is looked at in the middle of their way; dollies, orbits and rolls start from it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, FiniteFloat, model_validator

from simgen.recipe.fields import Range, Strict, within

MoveKind = Literal[
    "static", "pan", "tilt", "roll", "zoom", "dolly", "truck", "pedestal", "orbit", "tracking",
]  # fmt: skip
CameraKind = Literal[MoveKind, "handheld"]
Ease = Literal["in_out", "in", "out", "linear"]

# kind -> what it draws from without a `travel` of its own: the field's usual ranges, on the small
# side so that they suit scenes of a few metres
USUAL: dict[str, tuple[float, float]] = {
    "pan": (10.0, 45.0),
    "tilt": (10.0, 25.0),
    "roll": (10.0, 40.0),
    "zoom": (1.3, 2.0),
    "dolly": (0.5, 1.0),
    "truck": (0.5, 1.5),
    "pedestal": (0.5, 1.0),
    "orbit": (30.0, 120.0),
}
TILT_MOST_DEG, TURN_MOST_DEG, ZOOM_MOST = 170.0, 1080.0, 20.0
HAND_DEG, HAND_M = (0.2, 2.0), (0.005, 0.04)  # how much a hand shakes, at most in a shot


def check_travel(kind: str, travel: Range | None) -> None:
    """
    Raises:
        ValueError: A travel that such a move cannot have.
    """
    if travel is None or (travel == (0.0, 0.0) and kind not in USUAL):
        return
    low, high = travel
    if kind not in USUAL:
        raise ValueError(
            f"travel {list(travel)} given for kind {kind!r}, which has none; remove it, or use one "
            f"of: {', '.join(USUAL)}"
        )
    if kind == "zoom" and not 1 / ZOOM_MOST <= low <= high <= ZOOM_MOST:
        raise ValueError(
            f"travel {list(travel)} given for kind 'zoom', whose travel is a ratio of focal "
            f"lengths between {1 / ZOOM_MOST:g} and {ZOOM_MOST:g}, such as [1.3, 2.0] to zoom in "
            "and [0.5, 0.8] to zoom out"
        )
    most = {"tilt": TILT_MOST_DEG}.get(kind, TURN_MOST_DEG)
    if kind in ("pan", "tilt", "roll", "orbit") and max(-low, high) > most:
        raise ValueError(
            f"travel {list(travel)} given for kind {kind!r}, which turns by {-most:g} to {most:g} "
            "degrees"
        )


class MoveRecipe(Strict):
    """One move of a sequence."""

    kind: MoveKind
    travel: Range | None = None  # units by kind, as in this module's head; None: the usual range
    share: Annotated[FiniteFloat, Field(gt=0, le=1000)] = 1.0  # of the shot's time, with the others
    ease: Ease = "in_out"

    @model_validator(mode="after")
    def travels(self) -> MoveRecipe:
        check_travel(self.kind, self.travel)
        return self

    @property
    def bounds(self) -> tuple[float, float]:
        """What travel is drawn from."""
        return self.travel if self.travel is not None else USUAL.get(self.kind, (0.0, 0.0))


class CameraRecipe(Strict):
    """A camera; angles in degrees here (people write recipes), radians everywhere else."""

    kind: CameraKind = "static"
    azimuth_deg: Range = (-90.0, -90.0)  # a range, drawn per shot
    elevation_deg: Annotated[Range, within(-90, 90)] = (15.0, 15.0)
    distance: Annotated[Range, within(0.05, 100)] = (1.0, 1.0)  # times the family's own distance
    # of the shorter side; a zoom's halfway
    field_of_view_deg: Annotated[Range, within(1, 160)] = (45.0, 45.0)
    travel: Range | None = None  # units by kind, as in this module's head; None: the usual range
    ease: Ease = "in_out"  # setting off and stopping softly, or only one of them
    moves: tuple[MoveRecipe, ...] = ()  # one after the other, instead of `kind` and `travel`
    # on top of any move, noise of 0.5-8 Hz: the most that it turns and displaces in a shot;
    # None: none, or a hand's with kind handheld
    shake_deg: Annotated[Range, within(0, 10)] | None = None
    shake_m: Annotated[Range, within(0, 0.5)] | None = None

    @model_validator(mode="after")
    def one_way_to_say_it(self) -> CameraRecipe:
        if self.moves and (self.kind, self.travel, self.ease) != ("static", None, "in_out"):
            raise ValueError(
                f"kind {self.kind!r}, travel or ease given beside moves, which say it each for "
                "themselves; keep one of the two (a handheld sequence: moves and shake_deg)"
            )
        check_travel(self.kind, self.travel)
        if self.shake_m is not None and self.shake_deg is None and self.kind != "handheld":
            raise ValueError(
                f"shake_m {list(self.shake_m)} given without shake_deg; a hand turns a camera too: "
                "give shake_deg, such as [0.2, 2.0]"
            )
        return self

    @property
    def sequence(self) -> tuple[MoveRecipe, ...]:
        """The moves, one or more."""
        if self.moves:
            return self.moves
        kind = "static" if self.kind == "handheld" else self.kind
        return (MoveRecipe(kind=kind, travel=self.travel, ease=self.ease),)

    @property
    def name(self) -> str:
        """What it does, in one word or joined by plus signs: truck+zoom."""
        return "+".join(move.kind for move in self.moves) if self.moves else self.kind

    @property
    def shakes(self) -> tuple[Range, Range] | None:
        """Ranges of the shake's largest angle, degrees, and displacement, metres."""
        hand = self.kind == "handheld"
        if self.shake_deg is None and not hand:
            return None
        metres = HAND_M if hand else (0.0, 0.0)
        return (
            HAND_DEG if self.shake_deg is None else self.shake_deg,
            metres if self.shake_m is None else self.shake_m,
        )
