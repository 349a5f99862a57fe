"""The camera of a recipe: what it may do, in ranges that every shot draws from."""

from __future__ import annotations

from typing import Annotated, Literal

from simgen.recipe.fields import Range, Strict, within


class CameraRecipe(Strict):
    """A camera move; angles in degrees here (people write recipes), radians everywhere else."""

    kind: Literal["static", "orbit", "dolly"] = "static"
    azimuth_deg: Range = (-90.0, -90.0)  # a range, drawn per shot
    elevation_deg: Annotated[Range, within(-90, 90)] = (15.0, 15.0)
    distance: Annotated[Range, within(0.05, 100)] = (1.0, 1.0)  # times the family's own distance
    field_of_view_deg: Annotated[Range, within(1, 160)] = (45.0, 45.0)  # of the shorter side
    travel: Range = (0.0, 0.0)  # orbit: degrees; dolly: metres, + is in
