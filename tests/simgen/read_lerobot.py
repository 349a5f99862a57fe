"""python -c THIS ROOT...: every frame of a LeRobot dataset through LeRobot's own reader.

LeRobot imports torchvision, which has no CPU build of its own here: what it uses of it stands in.
"""

import importlib.machinery
import json
import sys
import types

import av
import torch


def module(name: str, **members: object) -> types.ModuleType:
    made = types.ModuleType(name)
    made.__spec__ = importlib.machinery.ModuleSpec(name, None)
    vars(made).update(members)
    sys.modules[name] = made
    return made


class VideoReader:
    """torchvision.io.VideoReader over PyAV, as LeRobot's `pyav` backend uses it."""

    def __init__(self, path: str, stream: str):
        self.container = av.open(path)

    def seek(self, seconds: float, keyframes_only: bool) -> None:
        self.container.seek(int(seconds * 1e6), any_frame=False, backward=True)

    def __iter__(self):
        for frame in self.container.decode(video=0):
            data = torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
            yield {"data": data, "pts": float(frame.pts * frame.time_base)}


class Transform:
    """Only its name is used."""


functional = module("torchvision.transforms.v2.functional")
v2 = module("torchvision.transforms.v2", Transform=Transform, functional=functional)
transforms = module("torchvision.transforms", v2=v2, ToTensor=Transform)
io = module("torchvision.io", VideoReader=VideoReader)
module("torchvision", transforms=transforms, io=io, set_video_backend=lambda name: None)

from lerobot.datasets.lerobot_dataset import LeRobotDataset  # noqa: E402

for root in sys.argv[1:]:
    dataset = LeRobotDataset("physreel/test", root=root, video_backend="pyav")
    rows = []
    for number in range(len(dataset)):
        item = dataset[number]
        episode = dataset.meta.episodes[int(item["episode_index"])]
        pixels = (item["observation.images.rgb"] * 255).round().to(torch.uint8)
        rows.append(
            {
                "episode_id": episode["physreel/episode_id"],
                "frame": int(item["frame_index"]),
                "timestamp": item["timestamp"].item(),
                "task": item["task"],
                "rgb": pixels.permute(1, 2, 0).reshape(-1).tolist(),
            }
        )
    print(json.dumps(rows))
