"""The look of a scene in a recipe: what light, sky and surfaces episodes draw from."""

from __future__ import annotations

from typing import Annotated, Literal

from simgen.recipe.fields import Range, Strict, within

SkyName = Literal["family", "day", "overcast", "dusk", "studio", "night"]
SurfaceName = Literal["family", "checker", "plain", "wood", "stone", "sand", "grass"]
FinishName = Literal["family", "matte", "satin", "polished"]


class LookRecipe(Strict):
    """What to randomise; where nothing is said, a scene looks as its family made it.

    A list is drawn from once an episode, each name as likely (one written twice is twice as
    likely); "family" leaves that part as it is. Angles in degrees. A sky brings its own light,
    which the ranges of sun and light replace.
    """

    sky: tuple[SkyName, ...] = ()
    sun_azimuth_deg: Range | None = None  # where the light comes from; 0: +x, 90: +y
    sun_elevation_deg: Annotated[Range, within(5, 90)] | None = None
    light: Annotated[Range, within(0, 2)] | None = None  # intensity of the sun
    ambient: Annotated[Range, within(0, 1)] | None = None
    floor: tuple[SurfaceName, ...] = ()
    wall: tuple[SurfaceName, ...] = ()
    finish: tuple[FinishName, ...] = ()  # of things that move, drawn for each; never their colour
