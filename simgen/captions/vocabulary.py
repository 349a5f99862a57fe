"""The words that the captions of a recipe can have, frozen with the dataset.

Words of the templates, the palette, the families' own words, and the names and colours of what is
in their scenes. Numbers are digits, one token each. No physics runs here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np

from simgen.captions.camera_phrases import MOVES
from simgen.captions.deeds import COUNTED, TEMPLATES
from simgen.captions.falsehoods import FLIPPED, TOLD_PARTS
from simgen.captions.phrases import NUMBERS, PARTS, plural
from simgen.captions.things import BOUNCY, LEADS
from simgen.captions.words import Words
from simgen.families import family
from simgen.families.palette import PALETTE
from simgen.looks import SURFACES
from simgen.recipe import Recipe
from simgen.scene import Scene

TOKEN = re.compile(r"[a-z]+|\d|[^\sa-z\d]")
DRAWS = 8  # scenes drawn from each set of parameters, for the names of what is in them
MARKS = ".,:;-/"
# What the writers put between the words of the tables below
GLUE = """
    a again all an and another are at be besides bounce bounces by camera clip collide collides
    collision collisions cut degrees down end fall falls filmed first floor focal follows for from
    ends go gravity handheld has hidden in is it kg left lets looking m more motion move moves no
    nothing of on once one other out picture place rest right room s scene share shots shows
    slightly stay stays steeply straight the them then there ahead times to touch touches twice up
    view walled while with
"""


def tokens(text: str) -> list[str]:
    """Words in lower case, digits and marks, in order.

    >>> tokens("At 0.4 s it hits.")
    ['at', '0', '.', '4', 's', 'it', 'hits', '.']
    """
    return TOKEN.findall(text.lower())


def vocabulary(recipe: Recipe) -> tuple[str, ...]:
    """Every token that a caption of the recipe can have, sorted.

    Names and colours are those of DRAWS scenes for each set of parameters, as a family says them
    nowhere but in its scenes.
    """
    texts = [*template_texts()]
    for index, table in enumerate(recipe.scene):
        texts += family_texts(getattr(family(table.family), "words", Words()))
        every = {repr(p): p for p in (recipe.parameters_of(index, s) for s in recipe.splits)}
        for parameters in every.values():
            for scene in scenes(recipe, index, parameters):
                texts += scene_texts(scene, family(table.family))
    return tuple(sorted({token for text in texts for token in tokens(text)}))


def template_texts() -> Iterator[str]:
    """Everything that any recipe's captions can say."""
    yield from ("0123456789", MARKS, "m/s2", GLUE)
    yield from (*NUMBERS, *map(bare, LEADS), *BOUNCY, *FLIPPED, *PALETTE)
    yield from (*TOLD_PARTS, *PARTS.values())
    for wordings in (*MOVES.values(), *TEMPLATES.values()):
        for wording in wordings:
            yield bare(wording)
    for word in COUNTED.values():
        yield from (word, plural(word))
    for materials in SURFACES.values():
        yield from (material.colour for material in materials)


def family_texts(words: Words) -> Iterator[str]:
    """The family's phrases without their margins."""
    for phrases in (words.opening, *words.outcomes.values(), *words.events.values()):
        for phrase in phrases:
            yield bare(phrase)


def bare(template: str) -> str:
    """
    >>> bare("turns {somersaults:.1f} somersaults[ on {other}]")
    'turns   somersaults  on   '
    """
    return re.sub(r"\{[^}]*\}|[\[\]]", " ", template)


def scenes(recipe: Recipe, index: int, parameters: object) -> Iterator[Scene]:
    """Scenes of those parameters; draws that give none are passed over."""
    kind, video = family(recipe.scene[index].family), recipe.video_of(index)
    for number in range(DRAWS):
        rng = np.random.default_rng(np.random.SeedSequence(recipe.seed, spawn_key=(number,)))
        try:
            yield kind.sample(
                parameters, rng, frames=video.frames, frame_rate_hz=video.frame_rate_hz
            )
        except ValueError:
            continue


def scene_texts(scene: Scene, kind: object) -> Iterable[str]:
    """Names, their plurals and colours of what is in a scene, and of its settings."""
    for body in scene.bodies:
        name = body.label or body.name.replace("_", " ")
        yield from (name, plural(name), *(geom.material.colour for geom in body.geoms))
        yield body.geoms[0].kind
    if hasattr(kind, "settings"):
        yield from (setting.name.replace("_", " ") for setting in kind.settings(scene))
