"""The same clips in every peer's format, and a random window of them read the peer's own way.

Each peer is a function of (clips, folder) that writes what is not there yet and gives back a
function (clip, first frame) -> window (time height width channel), and the bytes on disk. One that
is not installed raises ImportError. Peers without random access inside a sample store clips, and
read a clip for a window: storing windows instead would fix where windows begin.
"""

from __future__ import annotations

import io
import sys
import types
from collections.abc import Callable
from functools import lru_cache
from itertools import count
from pathlib import Path

import numpy as np

LENGTH = 16  # frames of a window
CRF, GROUP = 30, 2  # LeRobot's: quality, and frames from one key frame to the next
FRAME_RATE_HZ = 24
VIDEO_CLIPS = 32  # of a video file, as LeRobot v3 puts many episodes into one
Reader = Callable[[int, int], object]


def size_of(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def memory_map(clips: np.ndarray, folder: Path) -> tuple[Reader, int]:
    """One .npy, warm.

    It is mapped anew every 512 windows: of a dataset that is larger than what has been read of
    it, most pages are the process's first sight of them, and the kernel maps them one by one.
    """
    return _mapped(clips, folder, windows=512)


def memory_map_seen(clips: np.ndarray, folder: Path) -> tuple[Reader, int]:
    """The same, mapped once: every page is in place after some rounds. A CPU can do no better."""
    return _mapped(clips, folder, windows=1 << 60)


def _mapped(clips: np.ndarray, folder: Path, *, windows: int) -> tuple[Reader, int]:
    path = folder / "clips.npy"
    if not path.exists():
        np.save(path, clips)
    turn, held = count(), {}

    def read(clip: int, start: int) -> np.ndarray:
        if next(turn) % windows == 0:
            held["clips"] = np.load(path, mmap_mode="r")
        return held["clips"][clip, start : start + LENGTH]

    return read, size_of(folder)


def lerobot_av1(clips: np.ndarray, folder: Path) -> tuple[Reader, int]:
    """LeRobot's AV1 through torchcodec, decoders kept open as its loader does."""
    from torchcodec.decoders import VideoDecoder

    files = -(-len(clips) // VIDEO_CLIPS)
    paths = [folder / f"file-{number:03d}.mp4" for number in range(files)]
    for number, path in enumerate(paths):
        if not path.exists():
            part = clips[number * VIDEO_CLIPS : (number + 1) * VIDEO_CLIPS]
            _encode(part.reshape(-1, *part.shape[2:]), path)

    @lru_cache
    def decoder(number: int) -> VideoDecoder:
        return VideoDecoder(str(paths[number]), seek_mode="approximate", num_ffmpeg_threads=1)

    def read(clip: int, start: int) -> np.ndarray:
        number, inside = divmod(clip, VIDEO_CLIPS)
        first = inside * clips.shape[1] + start
        return (
            decoder(number)
            .get_frames_at(list(range(first, first + LENGTH)))
            .data.permute(0, 2, 3, 1)
            .numpy()
        )

    return read, size_of(folder)


def _encode(frames: np.ndarray, path: Path) -> None:
    import av

    with av.open(str(path), "w") as file:
        options = {"crf": str(CRF), "g": str(GROUP)}
        stream = file.add_stream("libsvtav1", rate=FRAME_RATE_HZ, options=options)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            file.mux(stream.encode(picture))
        file.mux(stream.encode(None))


def webdataset(clips: np.ndarray, folder: Path) -> tuple[Reader, int]:
    """Tar files of .npy, streamed: it chooses the clip, for it has no random access."""
    import webdataset

    paths = []
    for first in range(0, len(clips), 32):
        paths.append(str(folder / f"{first:06d}.tar"))
        if not Path(paths[-1]).exists():
            with webdataset.TarWriter(paths[-1]) as tar:
                for number in range(first, min(first + 32, len(clips))):
                    tar.write({"__key__": f"{number:06d}", "npy": _npy(clips[number])})
    pipeline = webdataset.WebDataset(paths, shardshuffle=False, empty_check=False)
    samples = iter(pipeline.decode().to_tuple("npy").repeat())

    def read(_: int, start: int) -> np.ndarray:
        (clip,) = next(samples)
        return clip[start : start + LENGTH]

    return read, size_of(folder)


def _npy(clip: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, clip)
    return file.getvalue()


def mds(clips: np.ndarray, folder: Path) -> tuple[Reader, int]:
    """MosaicML Streaming, a clip a sample, uncompressed: its quickest."""
    _stand_in("torchvision.datasets", "VisionDataset")
    _stand_in("torchvision.transforms.functional", "to_tensor")
    _stand_in("transformers.feature_extraction_utils", "BatchFeature")
    _stand_in("transformers.tokenization_utils_base", "BatchEncoding")
    _stand_in("transformers.models.auto.tokenization_auto", "AutoTokenizer")
    from streaming import MDSWriter, StreamingDataset

    if not (folder / "index.json").exists():
        shape = ",".join(map(str, clips.shape[1:]))
        with MDSWriter(out=str(folder), columns={"rgb": f"ndarray:uint8:{shape}"}) as writer:
            for clip in clips:
                writer.write({"rgb": clip})
    dataset = StreamingDataset(local=str(folder), shuffle=False, batch_size=1)

    def read(clip: int, start: int) -> np.ndarray:
        return dataset[clip]["rgb"][start : start + LENGTH]

    return read, size_of(folder)


def _stand_in(module: str, name: str) -> None:
    """Streaming imports these for examples of its own; nothing of them is used here."""
    parts = module.split(".")
    for depth in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:depth]), types.ModuleType(parts[depth - 1]))
    if not hasattr(sys.modules[module], name):
        setattr(sys.modules[module], name, type(name, (), {}))


def litdata(clips: np.ndarray, folder: Path) -> tuple[Reader, int]:
    """LitData, a clip a sample, uncompressed: its quickest."""
    from litdata.streaming import StreamingDataset
    from litdata.streaming.writer import BinaryWriter

    if not (folder / "index.json").exists():
        writer = BinaryWriter(str(folder), chunk_bytes="64MB")
        for number, clip in enumerate(clips):
            writer[number] = clip
        writer.done()
        writer.merge()
    dataset = StreamingDataset(str(folder))

    def read(clip: int, start: int) -> np.ndarray:
        return np.asarray(dataset[clip])[start : start + LENGTH]

    return read, size_of(folder)


def zarr_python(array: Path) -> Reader:
    """zarr-python on our array."""
    import zarr

    opened = zarr.open_array(array, mode="r")
    return lambda row, start: opened[row, start : start + LENGTH]


def tensorstore(array: Path) -> Reader:
    """TensorStore on our array, one thread."""
    import tensorstore

    opened = tensorstore.open(
        {
            "driver": "zarr3",
            "kvstore": {"driver": "file", "path": f"{array}/"},
            "context": {
                "data_copy_concurrency": {"limit": 1},
                "file_io_concurrency": {"limit": 1},
                "cache_pool": {"total_bytes_limit": 8 << 20},  # of shard indices
            },
            "recheck_cached_data": False,
        },
        read=True,
    ).result()
    return lambda row, start: opened[row, start : start + LENGTH].read().result()


PEERS = {
    "memory map": memory_map,
    "memory map, all pages seen": memory_map_seen,
    "LeRobot AV1, torchcodec": lerobot_av1,
    "WebDataset npy": webdataset,
    "MDS": mds,
    "LitData": litdata,
}
