"""Bytes a frame by channel and family, beside other ways to store the same pictures. JSON lines.

    python benchmarks/size.py [NAME ...] [--clips 2] [--all]

Clips of the datasets' recipes at 128 x 128 x 64 with every channel, as `simgen` stores them. The
peers get the numbers that we store, so rounding is not counted as our compression:

    raw       the array itself
    zstd3     Zarr v3 with zstd level 3 and the same inner chunks, no shuffle, no transpose
    png       a PNG a frame (rgb, segmentation, normals; depth as its 16 bits)
    h264      libx264rgb -qp 0, lossless, one group of pictures a clip (rgb)
    av1       libsvtav1 -crf 30 -g 2 yuv420p, as LeRobot stores video: lossy (rgb), with its PSNR

`ours` is chunks and their index entries. `states` are all arrays without pixels. The line of
channel "all" is the whole clip: of it, zstd3 is the only peer that holds every channel.
"""

from __future__ import annotations

import argparse
import io
import json
from collections import defaultdict
from itertools import islice

import numpy as np
import zarr
from PIL import Image
from scenes import FRAMES, ROOT, SKIPPED, plain
from zarr.codecs import ZstdCodec
from zarr.storage import MemoryStore

from simgen.episode import make_episode
from simgen.renderers import CHANNELS
from simgen.store.arrays import stored_arrays
from simgen.store.layout import array_specs
from simgen.store.shard import encode_episode
from simgen.store.specs import ArraySpec

DEFAULT = ("bouncing_balls", "camera_orbit", "camera_moves", "high_bar", "journey")
INDEX_ENTRY = 16  # bytes of a chunk's place in its shard
AV1 = {"crf": "30", "g": "2", "svtav1-params": "lp=1:rc=0"}
H264 = {"qp": "0", "preset": "medium", "threads": "1"}


def clips(name: str, count: int) -> list[tuple[str, dict[str, ArraySpec], dict[str, np.ndarray]]]:
    """Family, layout and stored arrays of the recipe's first sound clips."""
    recipe = plain(name, 8 * count, CHANNELS)
    made = (make_episode(recipe, index) for index in range(recipe.episodes))
    sound = islice((episode for episode in made if not episode.reasons), count)
    return [
        (episode.family, specs, dict(stored_arrays(episode, specs)))
        for episode in sound
        for specs in [array_specs(recipe, recipe.assign(episode.index).bucket)]
    ]


def ours(spec: ArraySpec, array: np.ndarray) -> int:
    return sum(len(chunk) + INDEX_ENTRY for chunk in encode_episode(spec, array))


def zstd3(spec: ArraySpec, array: np.ndarray) -> int:
    store = MemoryStore()
    zarr.create_array(
        store, shape=array.shape, dtype=array.dtype, chunks=spec.chunk, fill_value=None,
        compressors=[ZstdCodec(level=3)],
    )[...] = array  # fmt: skip
    return sum(len(value) for key, value in store._store_dict.items() if key != "zarr.json")


def png(array: np.ndarray) -> int:
    return sum(len(_png(frame)) for frame in array)


def _png(frame: np.ndarray) -> bytes:
    if frame.dtype.itemsize == 2:
        frame = frame.view(np.uint16)
    elif frame.dtype == np.int8:
        frame = (frame.view(np.uint8) + np.uint8(128)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame).save(file, "png")
    return file.getvalue()


def video(array: np.ndarray, codec: str, pixels: str, options: dict[str, str]) -> bytes:
    """An MP4 of the frames."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(codec, rate=24, options=options)
        stream.height, stream.width, stream.pix_fmt = *array.shape[1:3], pixels
        for frame in array:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    import av

    with av.open(io.BytesIO(data)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)])


def rgb_peers(array: np.ndarray) -> dict[str, float]:
    """Bytes as video. Raises where lossless H.264 gives other pixels: it would not be a peer."""
    lossless = video(array, "libx264rgb", "rgb24", H264)
    if not np.array_equal(decoded(lossless), array):
        raise RuntimeError("libx264rgb -qp 0 did not give the same pixels back")
    lossy = video(array, "libsvtav1", "yuv420p", AV1)
    error = np.square(decoded(lossy).astype(np.float64) - array).mean()
    return {"h264": len(lossless), "av1": len(lossy), "av1_psnr_db": 10 * np.log10(255**2 / error)}


def measure(spec: ArraySpec, array: np.ndarray) -> dict[str, float]:
    """Bytes of one array of a clip by way of storing it."""
    found = {"raw": array.nbytes, "ours": ours(spec, array), "zstd3": zstd3(spec, array)}
    if spec.is_video and array.shape[-1] != 2:  # PNG has no pairs
        found["png"] = png(array)
    if spec.name == "rgb":
        try:
            found |= rgb_peers(array)
        except ImportError:
            found["not_measured"] = "h264, av1: pip install av"
    return found


def lines(name: str, count: int) -> list[dict]:
    """The JSON lines of one recipe: means over its clips, bytes a frame."""
    sums: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    made = clips(name, count)
    for _, specs, arrays in made:
        whole: dict[str, float] = defaultdict(float)
        states: dict[str, float] = defaultdict(float)
        for key, array in arrays.items():
            found = measure(specs[key], array)
            for way in ("raw", "ours", "zstd3"):
                whole[way] += found[way] * (key != "backward_flow")
                states[way] += 0 if key in CHANNELS else found[way]
            if key in CHANNELS:
                _append(sums[key], found, len(array))
        frames = len(arrays["rgb"])
        _append(sums["states"], states, frames)
        _append(sums["all"], whole, frames)
    families = sorted({family for family, *_ in made})
    head = {"benchmark": "size", "recipe": name, "families": families, "clips": len(made)}
    return [head | {"channel": channel} | {way: _mean(way, values) for way, values in by.items()}
            for channel, by in sums.items()]  # fmt: skip


def _append(sums: dict[str, list], found: dict, frames: int) -> None:
    for way, value in found.items():
        shared = way in ("av1_psnr_db", "not_measured")
        sums[way].append(value if shared else value / frames)


def _mean(way: str, values: list) -> float | int | str:
    if way == "not_measured":
        return values[0]
    mean = sum(values) / len(values)
    return round(mean, 1) if way == "av1_psnr_db" else round(mean)


def main() -> None:
    names = sorted(p.parent.name for p in ROOT.glob("*/recipe.toml"))
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("names", nargs="*", metavar="NAME", help="folders of datasets/")
    arguments.add_argument("--clips", type=int, default=2)
    arguments.add_argument("--all", action="store_true", help="every dataset")
    given = arguments.parse_args()
    chosen = given.names or ([n for n in names if n not in SKIPPED] if given.all else DEFAULT)
    if unknown := sorted(set(chosen) - set(names)):
        arguments.error(f"no datasets {', '.join(unknown)}; there are: {', '.join(names)}")
    for name in chosen:
        for line in lines(name, given.clips):
            print(json.dumps(line | {"size": "128x128", "frames_at_least": FRAMES}), flush=True)


if __name__ == "__main__":
    main()
