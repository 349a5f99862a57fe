"""CPU time a frame of the ray caster beside MuJoCo's OpenGL renderer, as one JSON line.

Both draw the same poses of six objects on a checkered plane at the same size, with shadows. The GL
renderer runs without multisampling; `gl_shadow` 4096 is MuJoCo 4's default shadow map, smaller ones
are the tuned settings that people use for speed. Its times leave out every conversion in
Python: posing, mjr_render and mjr_readPixels only, one pass for rgb and three for rgb + depth +
segmentation (as mujoco.Renderer does it). Ours include everything from Scene to arrays.

CPU time is the process's, all threads (software GL draws in several). Rounds are interleaved, so
that a busy machine slows all alike; figures are medians over rounds.

    python benchmarks/render.py [--size 128] [--rounds 7] [--frames 16]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np

from simgen.cameras import CameraTrack, look_at_quaternion
from simgen.motion import CONTACT_DTYPE, Motion
from simgen.renderers import CHANNELS, raycast
from simgen.renderers.gl_probe import explanation, probe, working_platform
from simgen.scene import Body, Geom, Material, Scene

FIVE = ("rgb", "depth", "segmentation", "normals", "flow")  # "all" in the tables
SHADOWS = (4096, 2048, 1024, 512)


def six_objects(frames: int) -> Scene:
    """A sphere, box, capsule, cylinder, ellipsoid and second sphere over a checkered plane."""
    floor = Material("grey", (0.62, 0.62, 0.60), (0.42, 0.44, 0.46), "checker")
    shapes = [
        ("sphere", (0.3,), (-0.8, 0.1, 0.4), (0.72, 0.06, 0.05)),
        ("box", (0.25, 0.2, 0.3), (0.1, 0.7, 0.5), (0.04, 0.16, 0.65)),
        ("capsule", (0.13, 0.25), (0.5, -0.4, 0.9), (0.06, 0.42, 0.10)),
        ("cylinder", (0.2, 0.25), (0.85, 0.3, 0.4), (0.85, 0.55, 0.03)),
        ("ellipsoid", (0.35, 0.2, 0.15), (-0.35, -0.7, 0.4), (0.32, 0.08, 0.50)),
        ("sphere", (0.22,), (-0.2, 0.1, 1.1), (0.90, 0.26, 0.02)),
    ]
    bodies = [Body("floor", (Geom("plane", (), floor),), motion="static")]
    for row, (kind, size, position, rgb) in enumerate(shapes):
        geom = Geom(kind, size, Material("", rgb))
        bodies.append(Body(f"object{row}", (geom,), 1.0, position=position))
    return Scene("benchmark", tuple(bodies), frames, 24.0, 240.0)


def turning(scene: Scene) -> Motion:
    """Every object turns about its own oblique axis; no engine is involved."""
    time1, bodies = scene.frames + 1, len(scene.bodies)
    angle = np.linspace(0, 1.5, time1)[:, None] * (np.arange(bodies) > 0)
    axis = np.array([0.6, 0.48, 0.64])
    quaternion = np.concatenate([np.cos(angle)[..., None], np.sin(angle)[..., None] * axis], -1)
    position = np.tile(np.array([b.position for b in scene.bodies], np.float64), (time1, 1, 1))
    still, none = np.zeros((time1, bodies, 3)), np.zeros((time1, 0))
    return Motion(
        engine="none", engine_version="", position=position, quaternion=quaternion, velocity=still,
        angular_velocity=still, centre_of_mass=position, joint_position=none, joint_velocity=none,
        joint_torque=none, action=np.zeros((scene.frames, 0)), contacts=np.zeros(0, CONTACT_DTYPE),
        deepest_penetration_m=np.zeros(time1), kinetic_energy_j=np.zeros(time1),
        potential_energy_j=np.zeros(time1), state=np.zeros((0, 0)),
        state_frames=np.zeros(0, np.int32),
    )  # fmt: skip


def standing_camera(time1: int, size: int) -> CameraTrack:
    """A camera that sees all six objects, 45 degrees of view."""
    eye, target = np.array([[0.0, -4.2, 1.7]]), np.array([[0.0, 0.0, 0.5]])
    focal = size / 2 / np.tan(np.radians(22.5))
    return CameraTrack(
        np.repeat(eye, time1, 0),
        np.repeat(look_at_quaternion(eye, target), time1, 0),
        np.tile([focal, focal, size / 2, size / 2], (time1, 1)),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--frames", type=int, default=16)
    arguments = parser.parse_args()
    scene = six_objects(arguments.frames)
    motion, cameras = turning(scene), standing_camera(arguments.frames + 1, arguments.size)
    with ExitStack() as stack:
        tasks = _ours(scene, motion, cameras, arguments.size)
        gl = working_platform()
        if gl is not None:
            tasks |= _gl(stack, scene, motion, cameras, arguments.size)
        times = _interleaved(tasks, arguments.rounds, arguments.frames)
    print(json.dumps(_report(times, gl, arguments)))


def _ours(scene, motion, cameras, size) -> dict[str, Callable[[], None]]:
    # four passes over the clip for each round of GL: it is so much shorter
    def task(channels, smooth):
        for _ in range(4):
            raycast.render(
                scene, motion, cameras, height=size, width=size, channels=channels, smooth=smooth
            )

    return {
        "ours_rgb": lambda: task(("rgb",), False),
        "ours_rgb_smooth": lambda: task(("rgb",), True),
        "ours_all": lambda: task(FIVE, False),
        "ours_all_smooth": lambda: task(FIVE, True),
        "ours_backward_flow_too": lambda: task(CHANNELS, True),
    }


def _gl(stack: ExitStack, scene, motion, cameras, size) -> dict[str, Callable[[], None]]:
    from simgen.renderers import mujoco as peer  # only where GL works: the import needs it

    tasks = {}
    for shadow in SHADOWS:
        drawing = stack.enter_context(
            peer.stage(scene, size, size, peer.Quality(shadow_size=shadow, samples=0))
        )

        def task(passes, drawing=drawing):
            drawing.gl.make_current()
            for t in range(scene.frames):
                drawing.pose(motion, cameras, t)
                drawing.draw(labels=False)
                drawing.read_raw(colour=True)
                for colour in (False, True)[:passes]:
                    drawing.draw(labels=True)
                    drawing.read_raw(colour=colour)

        tasks[f"gl_{shadow}_rgb"] = lambda task=task: task(0)
        tasks[f"gl_{shadow}_rgb_depth_segmentation"] = lambda task=task: task(2)
    return tasks


def _interleaved(tasks, rounds: int, frames: int) -> dict[str, float]:
    """Median CPU milliseconds a frame of each task."""
    spent = {name: [] for name in tasks}
    for task in tasks.values():
        task()  # compile and warm up
    for _ in range(rounds):
        for name, task in tasks.items():
            start = time.process_time()
            task()
            share = 4 * frames if name.startswith("ours") else frames
            spent[name].append((time.process_time() - start) * 1e3 / share)
    return {name: statistics.median(values) for name, values in spent.items()}


def _report(times: dict[str, float], gl: str | None, arguments) -> dict:
    report = {
        "benchmark": "render", "size": arguments.size, "frames": arguments.frames,
        "rounds": arguments.rounds, "scene": "six objects and a plane, shadows on",
        "unit": "CPU ms a frame, all threads", "machine": platform.machine(),
        "gl": gl, "times": {name: round(value, 4) for name, value in times.items()},
    }  # fmt: skip
    if gl is None:
        return report | {"reason": explanation()}
    ratios = {}
    for shadow in SHADOWS:
        rgb = times[f"gl_{shadow}_rgb"]
        three = times[f"gl_{shadow}_rgb_depth_segmentation"]
        ratios[f"gl_shadow_{shadow}"] = {
            "rgb": round(rgb / times["ours_rgb"], 1),
            "rgb_smooth": round(rgb / times["ours_rgb_smooth"], 1),
            "all": round(three / times["ours_all"], 1),
            "all_smooth": round(three / times["ours_all_smooth"], 1),
        }
    settings = "no multisampling, 28 slices, directional light with shadow map, readback included"
    return report | {
        "gl_renderer": probe(gl)[1], "gl_settings": settings, "gl_default_shadow": SHADOWS[0],
        "ratios": ratios,
    }  # fmt: skip


if __name__ == "__main__":
    main()
