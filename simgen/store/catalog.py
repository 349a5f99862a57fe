"""Catalog, events and quarantine: a row an episode, a row an event, a row a rejection."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Collection, Iterable
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simgen import __version__
from simgen.cameras import Shot
from simgen.captions.records import body_record
from simgen.episode import Episode
from simgen.recipe import Recipe
from simgen.store.tables import NAMES

ROW_GROUP = 4096
CATALOG_SCHEMA = pa.schema(
    [
        ("episode_id", pa.string()),
        ("index", pa.int64()),
        ("seed", pa.int64()),
        ("family", pa.string()),
        ("engine", pa.string()),
        ("split", pa.string()),
        ("bucket", pa.string()),
        ("row", pa.int64()),
        ("group", pa.int64()),
        ("twin", pa.string()),
        ("possible", pa.bool_()),
        ("shots", pa.string()),
        ("frame_rate_hz", pa.float64()),
        ("caption_short", pa.string()),
        ("caption_dense", pa.string()),
        ("caption_timeline", pa.string()),
        ("caption_false", pa.string()),
        ("clauses", pa.string()),
        ("parameters", pa.string()),
        ("outcome", pa.string()),
        ("margins", pa.string()),
        ("gravity_m_s2", pa.list_(pa.float64())),
        ("bodies", pa.string()),
        ("actions", pa.string()),
        ("state_frames", pa.list_(pa.int32())),
        ("state_size", pa.int32()),
        ("visible_fraction", pa.float64()),
        ("quality", pa.string()),
        ("views", pa.string()),
        ("wordings", pa.string()),
        ("hashes", pa.string()),
        ("channels", pa.string()),
        ("content_hash", pa.string()),
        ("simgen_version", pa.string()),
        ("engine_version", pa.string()),
        ("cpu", pa.string()),
    ]
)
EVENTS_SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("episode_id", pa.string()),
        ("event_id", pa.string()),
        ("kind", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("body_a", pa.string()),
        ("body_b", pa.string()),
        ("impulse_ns", pa.float64()),
        ("point_x", pa.float64()),
        ("point_y", pa.float64()),
        ("point_z", pa.float64()),
        ("value", pa.string()),
    ]
)
QUARANTINE_SCHEMA = pa.schema(
    [
        ("index", pa.int64()),
        ("episode_id", pa.string()),
        ("family", pa.string()),
        ("engine", pa.string()),
        ("split", pa.string()),
        ("bucket", pa.string()),
        ("reasons", pa.list_(pa.string())),
    ]
)


def episode_seed(recipe: Recipe, index: int) -> int:
    """Name of the episode's random stream: equal in two datasets only for the same draws.

    Twins have their original's.
    """
    sequence = np.random.SeedSequence(recipe.seed, spawn_key=(recipe.assign(index).group,))
    return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))


def catalog_row(
    episode: Episode, recipe: Recipe, *, row: int, hashes: dict[str, str], cpu: str
) -> dict:
    """The episode's row, plain JSON values, by CATALOG_SCHEMA.

    Args:
        row: Row in the bucket's arrays.
        hashes: Array name -> xxh3 of the episode's uncompressed bytes.
    """
    assignment = recipe.assign(episode.index)
    video = recipe.video_of(assignment.scene_index)
    scene, motion = episode.scene, episode.motion
    return {
        "episode_id": episode.episode_id,
        "index": episode.index,
        "seed": episode_seed(recipe, episode.index),
        "family": episode.family,
        "engine": episode.engine,
        "split": episode.split,
        "bucket": assignment.bucket,
        "row": row,
        "group": assignment.group,
        "twin": plain_json(vars(episode.change)) if episode.change else "",
        "possible": episode.change is None or episode.change.possible,
        "shots": plain_json([shot_record(shot) for shot in episode.shots]),
        "frame_rate_hz": float(video.frame_rate_hz),
        "caption_short": episode.captions["short"],
        "caption_dense": episode.captions["dense"],
        "caption_timeline": episode.captions.get("timeline", ""),
        "caption_false": episode.captions.get("false", ""),
        "clauses": plain_json(list(episode.clauses)),
        "parameters": plain_json(dict(scene.parameters)),
        "outcome": episode.outcome.label,
        "margins": plain_json(episode.outcome.margins),
        "gravity_m_s2": [float(g) for g in scene.gravity],
        "bodies": plain_json([body_record(body) for body in scene.bodies]),
        "actions": plain_json(list(scene.action_names)),
        "state_frames": [int(frame) for frame in motion.state_frames],
        "state_size": int(motion.state.shape[1]),
        "visible_fraction": visible_fraction(episode),
        "quality": plain_json(episode.quality),
        "views": "",  # backfills fill these two
        "wordings": "",
        "hashes": plain_json(hashes),
        "content_hash": recipe.content_hash,
        "simgen_version": __version__,
        "engine_version": motion.engine_version,
        "cpu": cpu,
    }


def event_rows(episode: Episode) -> list[dict]:
    """The episode's events by EVENTS_SCHEMA; numbers that an event lacks are None."""
    names = episode.scene.body_names
    rows = []
    for event in episode.truth.events:
        point = event.point or (math.nan,) * 3
        rows.append(
            {
                "episode_id": episode.episode_id,
                "event_id": event.event_id,
                "kind": event.kind,
                "start_s": _number(event.start_s),
                "end_s": _number(event.end_s),
                "body_a": names[event.body_a] if event.body_a >= 0 else "",
                "body_b": names[event.body_b] if event.body_b >= 0 else "",
                "impulse_ns": _number(event.impulse_ns),
                **{f"point_{axis}": _number(x) for axis, x in zip("xyz", point, strict=True)},
                "value": str(event.value),
            }
        )
    return rows


def quarantine_row(recipe: Recipe, index: int, reasons: Iterable[str]) -> dict:
    """Why the episode of that index is not in the catalog, by QUARANTINE_SCHEMA."""
    assignment = recipe.assign(index)
    scene = recipe.scene[assignment.scene_index]
    return {
        "index": index,
        "episode_id": recipe.episode_id(index),
        "family": scene.family,
        "engine": scene.engine,
        "split": assignment.split,
        "bucket": assignment.bucket,
        "reasons": list(reasons),
    }


def tables(markers: Iterable[dict], *, without: Collection[str] = ()) -> dict[str, pa.Table]:
    """Catalog, events and quarantine of those markers, by episode index whatever their order.

    Args:
        without: Episodes that were removed.
    """
    gone = set(without)
    episodes, events, rejected = [], {}, []
    for marker in markers:
        episodes += [row for row in marker["episodes"] if row["episode_id"] not in gone]
        rejected += marker["quarantined"]
        for event in marker["events"]:
            events.setdefault(event["episode_id"], []).append(event)
    episodes.sort(key=lambda row: row["index"])
    rejected.sort(key=lambda row: row["index"])
    in_order = [
        event | {"index": row["index"]}
        for row in episodes
        for event in events.get(row["episode_id"], ())
    ]
    # what queries ask for, spelled out: a loader cannot parse a million rows of JSON
    told = [row | {"channels": " ".join(json.loads(row["hashes"]))} for row in episodes]
    return {
        "catalog": pa.Table.from_pylist(told, CATALOG_SCHEMA),
        "events": pa.Table.from_pylist(in_order, EVENTS_SCHEMA),
        "quarantine": pa.Table.from_pylist(rejected, QUARANTINE_SCHEMA),
    }


def parquet(table: pa.Table | Iterable[pa.Table]) -> bytes:
    """A table, or its pieces in order, as a Parquet file to be read in pieces, each checked."""
    pieces = iter([table] if isinstance(table, pa.Table) else table)
    first = next(pieces)
    names, file = first.schema.names, io.BytesIO()
    with pq.ParquetWriter(
        file,
        first.schema,
        compression="zstd",
        use_dictionary=[name for name in NAMES if name in names],
        column_encoding={n: "DELTA_BINARY_PACKED" for n in ("index", "row") if n in names},
        write_statistics=["index"],  # by which look-ups find the row group; others swell the footer
        write_page_checksum=True,
    ) as writer:
        for piece in chain([first], pieces):
            writer.write_table(piece, ROW_GROUP)
    return file.getvalue()


def shot_record(shot: Shot) -> dict:
    """A shot as the column `shots` has it."""
    return {
        "first_frame": shot.first_frame,
        "frames": shot.frames,
        "move": shot.move,
        "setting": shot.setting,
    }


def visible_fraction(episode: Episode) -> float:
    """Mean visible share of what moves, over the frames in which it is in the picture."""
    moving = [i for i, body in enumerate(episode.scene.bodies) if body.motion != "static"]
    seen = episode.truth.visibility[:, moving]
    known = seen[np.isfinite(seen)]
    return float(known.mean(dtype=np.float64)) if known.size else 0.0


def _number(x: float) -> float | None:
    return float(x) if math.isfinite(x) else None


def plain_json(value: object) -> str:
    """A column of JSON text: one value, one text."""
    return json.dumps(_plain(value), sort_keys=True, allow_nan=False)


def _plain(value: object) -> object:
    """The value as JSON has it: numpy numbers unwrapped, NaN and infinity as null."""
    if isinstance(value, dict):
        return {str(key): _plain(v) for key, v in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    return _number(value) if isinstance(value, float) else value
