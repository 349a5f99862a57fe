"""LeRobotDataset v3.0: Parquet rows a frame, several episodes in each MP4, metadata in Parquet.

Layout: https://huggingface.co/docs/lerobot/lerobot-dataset-v3, and the reader of lerobot 0.4.4.
Names of files, columns and statistics are that reader's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from simgen.export.clips import Clip
from simgen.export.lerobot_columns import Group, groups
from simgen.export.lerobot_meta import write_meta
from simgen.export.lerobot_stats import number_stats, picture_stats
from simgen.export.staging import Piece
from simgen.export.video import VideoWriter

if TYPE_CHECKING:
    from simgen.export import Options

LIBRARIES = ("av",)
LOSES = (
    "exact pixels unless lossless; depth and the like become colours; restorable states; "
    "absent bodies are 0"
)
# Readers compare times as float32, which at 512 s is off by 3e-5 s of the 1e-4 s they allow
FILE_SECONDS = 500
FILE_FRAMES = 20_000
FILES_PER_CHUNK = 1000
KEYFRAME_EVERY = 2  # as LeRobot encodes: any frame is read by decoding at most two


def pieces(clips: Sequence[Clip], options: Options) -> list[Piece]:
    """One a file: a Parquet file and the MP4s of the same episodes."""
    made = []
    for group in groups(clips):
        size = group.clips[0].frames
        held = max(1, min(FILE_FRAMES, int(FILE_SECONDS * group.rate)) // size)
        for number, start in enumerate(range(0, len(group.clips), held)):
            block = group.clips[start : start + held]

            def write(folder: Path, group=group, number=number, start=start, block=block) -> dict:
                return _write(folder / group.folder, group, number, start, block, options)

            made.append(Piece(f"{group.folder or 'all'}-{number:06d}", len(block), write))
    return made


def file_path(number: int) -> str:
    """Chunk and file of the number-th file, without its ending."""
    return f"chunk-{number // FILES_PER_CHUNK:03d}/file-{number % FILES_PER_CHUNK:03d}"


def _write(
    folder: Path, group: Group, number: int, start: int, block: Sequence[Clip], options: Options
) -> dict:
    tasks = task_numbers(group)
    schema = pa.schema([(f.key, f.arrow) for f in group.features.values()] + _OWN)
    path = folder / f"data/{file_path(number)}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    stats = []
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        for episode, clip in enumerate(block, start):
            values = group.values(clip)
            own = _own_columns(clip, group, episode, tasks)
            columns = [group.features[key].column(array) for key, array in values.items()]
            file.write_table(pa.table([*columns, *map(pa.array, own.values())], schema=schema))
            told = values | {key: array[:, None] for key, array in own.items()}
            stats.append({key: number_stats(array) for key, array in told.items()})
    for channel in options.channels:
        for found, told in zip(
            stats, _write_video(folder, number, channel, block, options), strict=True
        ):
            found[f"observation.images.{channel}"] = told
    return {"folder": group.folder, "file": number, "stats": stats}


def _write_video(
    folder: Path, number: int, channel: str, block: Sequence[Clip], options: Options
) -> Iterator[dict]:
    """All clips in one MP4, one after the other; the statistics of each."""
    path = folder / f"videos/observation.images.{channel}/{file_path(number)}.mp4"
    path.parent.mkdir(parents=True, exist_ok=True)
    first = block[0]
    with VideoWriter(
        path, frame_rate=first.frame_rate, height=first.height, width=first.width,
        crf=options.crf, keyframe_every=KEYFRAME_EVERY,
    ) as video:  # fmt: skip
        for clip in block:
            frames = clip.pictures(channel)
            video.add(frames)
            yield picture_stats(frames)


_OWN = [("timestamp", pa.float32())] + [
    (key, pa.int64()) for key in ("frame_index", "episode_index", "index", "task_index")
]


def _own_columns(
    clip: Clip, group: Group, episode: int, tasks: dict[str, int]
) -> dict[str, np.ndarray]:
    """LeRobot's own columns; every clip of a group has as many frames."""
    frame = np.arange(clip.frames)
    return {
        "timestamp": (frame / float(group.rate)).astype(np.float32),
        "frame_index": frame,
        "episode_index": np.full(clip.frames, episode),
        "index": frame + episode * clip.frames,
        "task_index": np.full(clip.frames, tasks[clip.row["caption_short"]]),
    }


def task_numbers(group: Group) -> dict[str, int]:
    """Short captions in order of appearance."""
    return {text: n for n, text in enumerate(dict.fromkeys(
        clip.row["caption_short"] for clip in group.clips
    ))}  # fmt: skip


def finish(folder: Path, clips: Sequence[Clip], options: Options, facts: list[dict]) -> None:
    """meta/ of every group."""
    for group in groups(clips):
        files = [told for told in facts if told["folder"] == group.folder]
        sizes = [len(told["stats"]) for told in files]
        rows, start = [], 0
        for told, size in zip(files, sizes, strict=True):
            for place, stats in enumerate(told["stats"]):
                clip = group.clips[start + place]
                rows.append(_episode(clip, start + place, told["file"], place, options, stats))
            start += size
        write_meta(folder / group.folder, _info(group, options), task_numbers(group), rows)


def _episode(clip: Clip, number: int, file: int, place: int, options: Options, stats: dict) -> dict:
    """A row of meta/episodes; `place` is the episode's number in its file."""
    chunk, inside = divmod(file, FILES_PER_CHUNK)
    at = {"chunk_index": chunk, "file_index": inside}
    seconds = clip.frames / clip.frame_rate
    row = {
        "episode_index": number,
        "tasks": [clip.row["caption_short"]],
        "length": clip.frames,
        **{f"data/{key}": value for key, value in at.items()},
        "dataset_from_index": number * clip.frames,
        "dataset_to_index": (number + 1) * clip.frames,
    }
    for channel in options.channels:
        video = at | {
            "from_timestamp": float(place * seconds), "to_timestamp": float((place + 1) * seconds)
        }  # fmt: skip
        row |= {f"videos/observation.images.{channel}/{k}": v for k, v in video.items()}
    row |= {f"stats/{key}/{name}": v for key, told in stats.items() for name, v in told.items()}
    return row | {
        "meta/episodes/chunk_index": 0,
        "meta/episodes/file_index": 0,
        "physreel/episode_id": clip.episode_id,
        "physreel/split": clip.split,
        "physreel/facts": json.dumps(clip.facts(), sort_keys=True),
    }


def _info(group: Group, options: Options) -> dict:
    """meta/info.json."""
    first, clips = group.clips[0], group.clips
    rate = int(group.rate) if group.rate.denominator == 1 else float(group.rate)
    picture = {
        "dtype": "video",
        "shape": [first.height, first.width, 3],
        "names": ["height", "width", "channels"],
        "info": {
            "video.height": first.height, "video.width": first.width, "video.codec": "h264",
            "video.pix_fmt": "gbrp" if options.lossless else "yuv420p",
            "video.is_depth_map": False, "video.fps": rate, "video.channels": 3,
            "has_audio": False,
        },
    }  # fmt: skip
    columns = {
        feature.key: {
            "dtype": feature.dtype, "shape": [len(feature.names)], "names": list(feature.names)
        }
        for feature in group.features.values()
    }  # fmt: skip
    own = {key: {"dtype": str(kind), "shape": [1], "names": None} for key, kind in _OWN}
    own["timestamp"]["dtype"] = "float32"
    splits, start = {}, 0
    for name in dict.fromkeys(clip.split for clip in clips):
        stop = start + sum(clip.split == name for clip in clips)
        splits[name], start = f"{start}:{stop}", stop
    families = sorted({clip.row["family"] for clip in clips})
    return {
        "codebase_version": "v3.0",
        "robot_type": families[0] if len(families) == 1 else None,
        "total_episodes": len(clips),
        "total_frames": sum(clip.frames for clip in clips),
        "total_tasks": len(task_numbers(group)),
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": rate,
        "splits": splits,
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": ("videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"),
        "features": {f"observation.images.{c}": picture for c in options.channels} | columns | own,
    }
