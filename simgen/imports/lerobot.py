"""LeRobotDataset v3.0: frames of one of its cameras, actions and states, the task as caption."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Float32

from simgen.exchange import ExchangeError
from simgen.export.video import exact_rate
from simgen.imports.sources import Series, Source

OURS = "physreel/"  # columns of meta/episodes that our export adds


def sources(folder: Path, camera: str = "") -> list[Source]:
    """Every episode, in order.

    Raises:
        ExchangeError: Another version of the format, no such camera, or files are missing.
    """
    info = _info(folder)
    key = _camera(folder, info, camera)
    rate = exact_rate(info["fps"])
    numbers = _Numbers(folder, info)
    return [
        _source(folder, info, key, rate, numbers, row)
        for row in sorted(_episodes(folder), key=lambda row: row["episode_index"])
    ]


def _info(folder: Path) -> dict:
    try:
        info = json.loads((folder / "meta/info.json").read_text())
        version = info["codebase_version"]
    except (FileNotFoundError, ValueError, KeyError):
        raise ExchangeError(
            f"{folder} is no LeRobot dataset (no meta/info.json); give the folder that holds meta/"
        ) from None
    if not version.startswith("v3."):
        raise ExchangeError(
            f"{folder} is LeRobot {version}, and v3.x is read here; convert it with lerobot's "
            "lerobot.datasets.v30.convert_dataset_v21_to_v30"
        )
    return info


def _camera(folder: Path, info: dict, camera: str) -> str:
    """Key of the camera's feature; the first if none is named."""
    keys = [key for key, told in info["features"].items() if told["dtype"] == "video"]
    for key in keys:
        if camera in ("", key, key.rpartition(".")[2]):
            return key
    known = ", ".join(keys) or "none that is stored as video"
    raise ExchangeError(f"{folder} has no camera {camera!r}; it has {known}")


def _tables(folder: Path, below: str) -> Iterator[pa.Table]:
    paths = sorted((folder / below).glob("*/*.parquet"))
    if not paths:
        raise ExchangeError(f"{folder} lacks {below}/; it is not whole")
    return (pq.read_table(path, use_threads=False) for path in paths)


def _episodes(folder: Path) -> Iterator[dict]:
    for table in _tables(folder, "meta/episodes"):
        names = [name for name in table.column_names if not name.startswith("stats/")]
        yield from table.select(names).to_pylist()


class _Numbers:
    """Actions and states of all episodes."""

    def __init__(self, folder: Path, info: dict):
        self.features = info["features"]
        held = [key for key in ("action", "observation.state") if key in self.features]
        columns = ["index", "timestamp", *held]
        parts = [table.select(columns) for table in _tables(folder, "data")]
        table = pa.concat_tables(parts).sort_by("index")
        self.columns = {key: _matrix(table[key], table.num_rows) for key in held}
        self.rows = table.num_rows

    def series(self, key: str, start: int, stop: int) -> Series | None:
        """Of the rows start to stop."""
        if key not in self.columns:
            return None
        values = self.columns[key][start:stop]
        given = self.features[key].get("names")
        if isinstance(given, dict):
            given = next(iter(given.values()))
        names = given if given and len(given) == values.shape[1] else range(values.shape[1])
        return Series(values, tuple(map(str, names)))


def _matrix(column: pa.ChunkedArray, rows: int) -> Float32[np.ndarray, "row column"]:
    array = column.combine_chunks()
    if not pa.types.is_primitive(array.type):
        array = array.flatten()
    return array.to_numpy(zero_copy_only=False).astype(np.float32).reshape(rows, -1)


def _source(
    folder: Path,
    info: dict,
    key: str,
    rate: Fraction,
    numbers: _Numbers,
    row: dict,
) -> Source:
    chunk, file = row[f"videos/{key}/chunk_index"], row[f"videos/{key}/file_index"]
    path = folder / info["video_path"].format(video_key=key, chunk_index=chunk, file_index=file)
    if not path.is_file():
        raise ExchangeError(f"episode {row['episode_index']} of {folder}: {path} is not there")
    start, stop = row["dataset_from_index"], row["dataset_to_index"]
    if not stop - start == row["length"] or stop > numbers.rows:
        raise ExchangeError(
            f"episode {row['episode_index']} of {folder} says {row['length']} frames and has the "
            f"rows {start}..{stop} of {numbers.rows}"
        )
    sides = dict(zip(info["features"][key]["names"], info["features"][key]["shape"], strict=True))
    return Source(
        source_id=row.get(f"{OURS}episode_id") or f"episode_{row['episode_index']:06d}",
        path=path,
        first=round(row[f"videos/{key}/from_timestamp"] * rate),
        frames=row["length"],
        frame_rate=rate,
        height=sides["height"],
        width=sides["width"],
        caption=" ".join(row["tasks"]),
        split=row.get(f"{OURS}split") or _split(info, row["episode_index"]),
        facts={"camera": key, "robot": info.get("robot_type")},
        action=numbers.series("action", start, stop),
        observation=numbers.series("observation.state", start, stop),
    )


def _split(info: dict, number: int) -> str:
    """The only split of most datasets, train, says nothing."""
    spans = {name: span.split(":") for name, span in info.get("splits", {}).items()}
    held = [n for n, (first, stop) in spans.items() if int(first) <= number < int(stop)]
    return held[0] if held and len(spans) > 1 else ""
