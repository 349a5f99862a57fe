"""meta/ of a LeRobotDataset v3.0: info, tasks, episodes and statistics."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from simgen.export.lerobot_stats import together
from simgen.export.staging import write_whole


def write_meta(
    folder: Path, info: dict, tasks: Mapping[str, int], episodes: Sequence[dict]
) -> None:
    """Everything under meta/.

    Args:
        episodes: Rows of meta/episodes, statistics as `stats/<feature>/<name>`.
    """
    meta = folder / "meta"
    write_whole(meta / "info.json", json.dumps(info, indent=4) + "\n")
    write_whole(meta / "tasks.parquet", _parquet(_tasks(tasks)))
    table = pa.Table.from_pylist(list(episodes))
    write_whole(meta / "episodes/chunk-000/file-000.parquet", _parquet(table))
    stats = {key: together([_stats(row, key) for row in episodes]) for key in info["features"]}
    write_whole(meta / "stats.json", json.dumps(stats, indent=4) + "\n")


def _stats(row: dict, key: str) -> dict[str, list]:
    start = f"stats/{key}/"
    return {name.removeprefix(start): row[name] for name in row if name.startswith(start)}


def _tasks(tasks: Mapping[str, int]) -> pa.Table:
    """The text is the index of a pandas table: LeRobot looks tasks up by it."""
    described = {
        "index_columns": ["__index_level_0__"],
        "column_indexes": [
            {"name": None, "field_name": None, "pandas_type": "unicode", "numpy_type": "object",
             "metadata": {"encoding": "UTF-8"}}
        ],
        "columns": [
            {"name": "task_index", "field_name": "task_index", "pandas_type": "int64",
             "numpy_type": "int64", "metadata": None},
            {"name": None, "field_name": "__index_level_0__", "pandas_type": "unicode",
             "numpy_type": "object", "metadata": None},
        ],
        "pandas_version": "2.2.0",
    }  # fmt: skip
    table = pa.table(
        {
            "task_index": pa.array(tasks.values(), pa.int64()),
            "__index_level_0__": pa.array(tasks.keys(), pa.string()),
        }
    )
    return table.replace_schema_metadata({"pandas": json.dumps(described)})


def _parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    return file.getvalue()
