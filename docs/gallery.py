"""Draws docs/gallery: a contact sheet of every dataset, and the page that shows them.

    python docs/gallery.py [NAME ...]

A sheet has a row for each outcome that the first episodes show, the more common first.
"""

from __future__ import annotations

import argparse
import sys
import tomllib
from pathlib import Path

from simgen.episode import make_episode
from simgen.preview import contact_sheet
from simgen.recipe import Recipe, load

ROWS, COLUMNS = 4, 7
LOOKED_AT = 12  # episodes among which the outcomes are found
DOCS = Path(__file__).parent
DATASETS = DOCS.parent / "datasets"
SKIPPED = ("demo", "smoke")


def chosen(recipe: Recipe) -> list[int]:
    """Indices of episodes that show different outcomes, or scenes of the recipe, first."""
    first: dict[tuple, int] = {}
    others = []
    for index in range(min(LOOKED_AT, recipe.episodes)):
        episode = make_episode(recipe, index)
        if episode.reasons:
            continue
        at = recipe.assign(index)
        change = episode.change.kind if episode.change else ""
        key = (at.scene_index, episode.outcome.label, change)
        if key in first:
            others.append(index)
        first.setdefault(key, index)
    return sorted((*first.values(), *others)[:ROWS])


def draw(name: str) -> None:
    """The sheet of one dataset, as docs/gallery/NAME.webp."""
    recipe = load(DATASETS / name / "recipe.toml")
    sheet = contact_sheet(recipe, chosen(recipe), columns=COLUMNS)
    width = 1200
    sheet = sheet.resize((width, round(sheet.height * width / sheet.width)))
    sheet.save(DOCS / "gallery" / f"{name}.webp", quality=78, method=6)
    print(f"docs/gallery/{name}.webp")


def page(names: list[str]) -> str:
    """The Markdown page of all sheets."""
    lines = [
        "# Gallery",
        "",
        "The first clips of every dataset, seven frames each, as `python docs/gallery.py` draws",
        "them. Build one with `simgen build datasets/NAME/recipe.toml OUT.zarr`.",
    ]
    for name in names:
        told = tomllib.loads((DATASETS / name / "recipe.toml").read_text())["description"]
        lines += ["", f"## [{name}](../../datasets/{name}/README.md)", "", told, ""]
        lines += [f"![{name}: frames of some of its clips]({name}.webp)"]
    return "\n".join(lines) + "\n"


def main() -> int:
    names = sorted(p.parent.name for p in DATASETS.glob("*/recipe.toml"))
    names = [name for name in names if name not in SKIPPED]
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("names", nargs="*", metavar="NAME", help="folders of datasets/")
    given = arguments.parse_args()
    (DOCS / "gallery").mkdir(exist_ok=True)
    for name in given.names or names:
        draw(name)
    (DOCS / "gallery" / "README.md").write_text(page(names))
    return 0


if __name__ == "__main__":
    sys.exit(main())
