"""The viewer as one folder: the same page, its data in files, for a disk or any static host.

Browsers let a page from a disk load scripts and pictures but not fetch files, so the data are
scripts that hand over one JSON value each.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from simgen.store.reader import Dataset
from simgen.view import episode, pages, pictures
from simgen.view.index import Index
from simgen.view.query import find, parse


@dataclass(frozen=True)
class Site:
    """What was written."""

    page: Path
    episodes: int
    bytes: int


def write(dataset: Dataset, out: Path, *, episodes: int, select: str = "") -> Site:
    """Write the page and the first episodes of a query to a new folder.

    Args:
        select: A query as in the page's address; "" takes the catalog's order.
    Raises:
        ValueError: The folder has something in it, or the query is malformed or finds nothing.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ValueError(f"{out} exists already; give a new or empty folder")
    index = Index(dataset)
    query = replace(parse(select, index.fields), offset=0, limit=episodes)
    places = find(index, query)[:episodes].to_pylist()
    if not places:
        raise ValueError(f"no episode is like {select!r}; look for it with `simgen view` first")
    (out / "static").mkdir(parents=True, exist_ok=True)
    (out / "index.html").write_bytes(pages.index_html(data="data/dataset.js"))
    for name in pages.STATIC:
        (out / "static" / name).write_bytes(pages.static(name))
    chosen = {index.ids[place].as_py(): number for number, place in enumerate(places)}
    _deliver(out / "data/dataset.js", "dataset", _table(dataset, index, places))
    for episode_id, number in chosen.items():
        _write_episode(dataset, index, episode_id, out / f"data/{number:06d}", chosen)
    total = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    return Site(out / "index.html", len(places), total)


def _table(dataset: Dataset, index: Index, places: list[int]) -> dict:
    """Facts of the dataset, and all that filters and sorts need of the chosen episodes."""
    texts = [text.take(places).to_pylist() for text in index.texts]
    return pages.dataset_facts(dataset, index) | {
        "rows": index.rows(places),
        "texts": [" ".join(told) for told in zip(*texts, strict=True)],
        "columns": {key: column.take(places).to_pylist() for key, column in index.columns.items()},
    }


def _write_episode(
    dataset: Dataset, index: Index, episode_id: str, folder: Path, chosen: dict[str, int]
) -> None:
    folder.mkdir(parents=True)
    told = episode.told(dataset, index, episode_id)
    told["twins"] = [twin for twin in told["twins"] if twin["id"] in chosen]
    _deliver(folder / "episode.js", f"{folder.name}/episode", told)
    curves = episode.curves(dataset, episode_id)
    _deliver(folder / "curves.js", f"{folder.name}/curves", curves)
    if "rgb" in told["channels"]:
        (folder / "thumb.webp").write_bytes(pictures.thumbnail(dataset, episode_id))
    for channel in told["channels"]:
        for part, sheet in enumerate(pictures.sheets(dataset, episode_id, channel)):
            (folder / f"{channel}.{part}.webp").write_bytes(sheet)


def _deliver(path: Path, name: str, value: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"physreel.deliver(%s,%s);\n" % (json.dumps(name).encode(), pages.as_json(value))
    )
