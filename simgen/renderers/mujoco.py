"""MuJoCo's OpenGL renderer, drawing any engine's Motion: a peer to check the ray caster against.

Bodies become mocap bodies of a model that is only for drawing, so poses are set and never
simulated. Two-tone, striped and grained materials show the mean of their tones, and none shines.
Depth and segmentation come from one pass without smoothing; normals and flow are
derived from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from xml.etree import ElementTree as Xml

import mujoco
import numpy as np

from simgen.cameras import CameraTrack
from simgen.motion import Motion
from simgen.renderers import RendererUnavailable
from simgen.renderers.derive import encode_srgb, normals_from
from simgen.renderers.flow import flows
from simgen.renderers.gl_probe import explanation, working_platform
from simgen.renderers.packing import rotations
from simgen.scene import Geom, Scene

CHANNELS = ("rgb", "depth", "segmentation")
NEAR_M, FAR_M = 0.05, 200.0


@dataclass(frozen=True)
class Quality:
    """GL settings; the defaults are MuJoCo's own."""

    shadow_size: int = 4096  # texels a side
    samples: int = 4  # multisampling of the rgb pass
    slices: int = 28  # of round primitives


def render(
    scene: Scene,
    motion: Motion,
    cameras: CameraTrack,
    *,
    height: int,
    width: int,
    channels: tuple[str, ...] = CHANNELS,
) -> dict[str, np.ndarray]:
    """The asked channels; shapes and units as in simgen.renderers.

    Raises:
        RendererUnavailable: No OpenGL platform works here; the message says what to install.
    """
    out: dict[str, np.ndarray] = {}
    frames = len(cameras.position) - 1
    if "rgb" in channels:
        with stage(scene, height, width) as drawing:
            out["rgb"] = np.stack([drawing.rgb(motion, cameras, t) for t in range(frames)])
    if set(channels) - {"rgb"}:
        with stage(scene, height, width, Quality(samples=0, slices=64)) as drawing:
            pairs = [drawing.geometry(motion, cameras, t) for t in range(frames)]
        out["depth"] = np.stack([depth for depth, _ in pairs])
        out["segmentation"] = np.stack([label for _, label in pairs])
    if "normals" in channels:
        out["normals"] = normals_from(scene, motion, cameras, out["depth"], out["segmentation"])
    if {"flow", "backward_flow"} & set(channels):
        out |= flows(
            channels, out["depth"], out["segmentation"], motion, cameras,
            frame_s=1 / scene.frame_rate_hz,
        )  # fmt: skip
    return {name: out[name] for name in channels}


class Stage:
    """One scene in an OpenGL context, drawn frame by frame."""

    def __init__(self, gl, scene: Scene, height: int, width: int, quality: Quality) -> None:
        self.gl = gl
        gl.make_current()
        self.model = mujoco.MjModel.from_xml_string(drawing_xml(scene, height, width, quality))
        self.data = mujoco.MjData(self.model)
        self.scene = mujoco.MjvScene(self.model, maxgeom=self.model.ngeom + 16)
        self.context = mujoco.MjrContext(self.model, mujoco.mjtFontScale.mjFONTSCALE_50.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self.context)
        self.context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self.view = mujoco.MjrRect(0, 0, width, height)
        self.camera, self.options = mujoco.MjvCamera(), mujoco.MjvOption()
        owner = np.maximum(self.model.body_mocapid[self.model.geom_bodyid], 0)
        self.labels = (owner + 1).astype(np.uint8)  # mocap bodies stand in the scene's order

    def pose(self, motion: Motion, cameras: CameraTrack, t: int) -> None:
        """Put the bodies, the light and the camera where frame t has them."""
        self.data.mocap_pos[:] = motion.position[t]
        self.data.mocap_quat[:] = motion.quaternion[t]
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_camlight(self.model, self.data)
        mujoco.mjv_updateScene(
            self.model, self.data, self.options, None, self.camera,
            mujoco.mjtCatBit.mjCAT_ALL.value, self.scene,
        )  # fmt: skip
        axes = rotations(cameras.quaternion[t])
        fx, fy, cx, cy = cameras.intrinsics[t]
        for eye in self.scene.camera:  # a mono picture is taken between the two eyes
            eye.pos, eye.forward, eye.up = cameras.position[t], -axes[:, 2], axes[:, 1]
            eye.frustum_near, eye.frustum_far = NEAR_M, FAR_M
            eye.frustum_top = NEAR_M * cy / fy
            eye.frustum_bottom = -NEAR_M * (self.view.height - cy) / fy
            eye.frustum_center = NEAR_M * (self.view.width / 2 - cx) / fx
            eye.frustum_width = NEAR_M * self.view.width / 2 / fx

    def draw(self, *, labels: bool) -> None:
        """Run the GL passes; labels colours pixels by geom instead of light."""
        self.scene.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = labels
        self.scene.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = labels
        mujoco.mjr_render(self.view, self.scene, self.context)

    def rgb(self, motion: Motion, cameras: CameraTrack, t: int) -> np.ndarray:
        """Colours of frame t: uint8 (height, width, 3)."""
        self.pose(motion, cameras, t)
        self.draw(labels=False)
        return self.read_raw(colour=True)[::-1]

    def read_raw(self, *, colour: bool) -> np.ndarray:
        """What was drawn last as GL has it, bottom row first: colours, or reversed z."""
        size = (self.view.height, self.view.width)
        pixels = np.empty((*size, 3), np.uint8) if colour else np.empty(size, np.float32)
        mujoco.mjr_readPixels(
            pixels if colour else None, None if colour else pixels, self.view, self.context
        )
        return pixels

    def geometry(
        self, motion: Motion, cameras: CameraTrack, t: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Depth float32 and segmentation uint8 of frame t, both (height, width, 1)."""
        self.pose(motion, cameras, t)
        self.draw(labels=True)
        return self.read_depth(), self.read_labels()

    def read_depth(self) -> np.ndarray:
        """Planar depth of what was drawn last, metres, inf for sky; from reversed z."""
        z = self.read_raw(colour=False)[::-1].astype(np.float64)
        depth = NEAR_M * FAR_M / (NEAR_M + z * (FAR_M - NEAR_M))
        return np.where(z > 0, depth, np.inf)[..., None].astype(np.float32)

    def read_labels(self) -> np.ndarray:
        """Body row + 1 of what was drawn last; 0 for sky."""
        code = self.read_raw(colour=True)[::-1].astype(np.int64) @ [1, 256, 65536]
        drawn = self.scene.geoms[: self.scene.ngeom]
        label = np.zeros(self.scene.ngeom + 1, np.uint8)
        for geom in drawn:
            if geom.objtype == mujoco.mjtObj.mjOBJ_GEOM and geom.segid >= 0:
                label[geom.segid + 1] = self.labels[geom.objid]
        return label[code][..., None]


@contextmanager
def stage(scene: Scene, height: int, width: int, quality: Quality | None = None) -> Iterator[Stage]:
    """A Stage with a current OpenGL context of its own, freed at the end.

    Raises:
        RendererUnavailable: No OpenGL platform works here.
    """
    platform = working_platform()
    if platform is None:
        raise RendererUnavailable(
            f"no OpenGL platform works here, so renderer 'mujoco' cannot draw: {explanation()}. "
            "Renderer 'raycast' needs none of them."
        )
    gl = import_module(f"mujoco.{platform}").GLContext(width, height)
    try:
        drawing = Stage(gl, scene, height, width, quality or Quality())
        yield drawing
        drawing.context.free()
    finally:
        gl.free()


def drawing_xml(scene: Scene, height: int, width: int, quality: Quality) -> str:
    """MJCF of the visible geoms on mocap bodies, one a Scene body, with light and sky."""
    root = Xml.Element("mujoco")
    Xml.SubElement(root, "statistic", center="0 0 1", extent="4")
    visual = Xml.SubElement(root, "visual")
    Xml.SubElement(visual, "global", offwidth=str(width), offheight=str(height))
    Xml.SubElement(
        visual, "quality", shadowsize=str(quality.shadow_size), offsamples=str(quality.samples),
        numslices=str(quality.slices),
    )  # fmt: skip
    Xml.SubElement(visual, "map", znear=str(NEAR_M / 4), zfar=str(FAR_M / 4))
    Xml.SubElement(visual, "headlight", ambient=_text([scene.light.ambient] * 3), diffuse="0 0 0",
                   specular="0 0 0")  # fmt: skip
    asset = Xml.SubElement(root, "asset")
    Xml.SubElement(
        asset, "texture", type="skybox", builtin="gradient", width="64", height="384",
        rgb1=_srgb(scene.sky.zenith), rgb2=_srgb(scene.sky.horizon),
    )  # fmt: skip
    world = Xml.SubElement(root, "worldbody")
    direction = np.asarray(scene.light.direction) / np.linalg.norm(scene.light.direction)
    Xml.SubElement(
        world, "light", directional="true", castshadow="true", pos=_text(-6 * direction),
        dir=_text(direction), diffuse=_text([scene.light.intensity] * 3), specular="0 0 0",
    )  # fmt: skip
    for row, body in enumerate(scene.bodies):
        node = Xml.SubElement(world, "body", name=f"body{row}", mocap="true")
        for column, geom in enumerate(g for g in body.geoms if g.visible):
            _add_geom(asset, node, geom, f"{row}_{column}")
    return Xml.tostring(root, encoding="unicode")


def _add_geom(asset: Xml.Element, node: Xml.Element, geom: Geom, name: str) -> None:
    material = geom.material
    look = {"rgba": _srgb(material.rgb) + " 1"}
    if material.pattern == "checker" and material.rgb2 is not None:
        Xml.SubElement(
            asset, "texture", name=name, type="2d", builtin="checker", width="256", height="256",
            rgb1=_srgb(material.rgb), rgb2=_srgb(material.rgb2),
        )  # fmt: skip
        repeat = 1 / material.scale_m  # a texture of two squares a side spans two units
        Xml.SubElement(asset, "material", name=name, texture=name, texuniform="true",
                       texrepeat=f"{repeat} {repeat}")  # fmt: skip
        look = {"material": name}
    elif material.pattern != "solid" and material.rgb2 is not None:
        look = {"rgba": _srgb(np.mean([material.rgb, material.rgb2], axis=0)) + " 1"}
    size = geom.size or (0.0, 0.0, 0.05)
    Xml.SubElement(
        node, "geom", type=geom.kind, size=_text(size), pos=_text(geom.position),
        quat=_text(geom.quaternion), contype="0", conaffinity="0", **look,
    )  # fmt: skip


def _text(values) -> str:
    return " ".join(f"{v:.9g}" for v in values)


def _srgb(linear) -> str:
    """MuJoCo takes colours as they stand in the picture."""
    return _text(encode_srgb(np.asarray(linear, np.float64)))
