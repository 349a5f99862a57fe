"""A weight on a coil spring that bobs up and down: it keeps on, or dies down in its damping.

The coil is a chain of light rings between short springs, so that what is seen to stretch is what
pulls. The weight moves in the chain's slowest mode; with light rings that is sqrt(k / m). What
dies down has a damper to be seen: a rod on the weight that slides in a sleeve on the frame.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64
from pydantic import BaseModel, ConfigDict, Field
from scipy.linalg import eigh

from simgen.captions.words import Words
from simgen.families import Law, Limits, Outcome
from simgen.families.laboratory import LIGHT, STEEL, bar, floor, framing, post, whole_rate
from simgen.families.objects import (
    Amount,
    Form,
    Share,
    Size,
    ball,
    colours,
    turn_about,
    two_tone,
)
from simgen.laws import crossings, frame_times
from simgen.motion import Motion
from simgen.scene import ORIGIN, Body, Geom, Scene, Spring, Vector3

RATE_HZ = 720.0
COILS = 7
COIL_M, WIRE_M = 0.065, 0.009  # radius and half thickness of a ring
COIL_MASS = 0.01  # of the weight, each
TILT = 0.22  # rad, to alternate sides, as a wire that winds down
DIES_DOWN = 0.5  # of the amplitude, left at the end
ROD_M, SLEEVE_M = 0.012, 0.026  # radii of the damper's parts
DAMPED_SWING = 0.6  # of the drawn amplitude, so that the damper's rod stays in its sleeve
SPAN_M = 0.42  # of the frame's posts from the middle


class Parameters(BaseModel):
    """Ranges [low, high] that every episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mass_kg: Size = (0.5, 3.0)
    radius_m: Size = (0.09, 0.14)
    rest_m: Size = (0.35, 0.5)  # the spring's length without load
    stiffness_n_m: Size = (30.0, 110.0)
    sag_m: Size = (0.12, 0.36)  # mg/k is held within this by the choice of stiffness
    amplitude: Share = (0.35, 0.8)  # over the sag; below 1, so that the coil is never pushed
    damped_share: float = Field(default=0.4, ge=0, le=1)
    damping_ratio: Amount = (0.08, 0.2)  # of those that are damped, to the critical one
    gravity_m_s2: Size = (9.8, 9.8)


@dataclass(frozen=True)
class Chain:
    """Rings and a weight on springs in a row, seen from the top down."""

    masses: Float64[np.ndarray, " link"]
    stiffness: float  # of one of the short springs
    gravity: float

    @property
    def stretch(self) -> Float64[np.ndarray, " link"]:
        """Of each short spring at rest under the load below it, m."""
        return self.gravity * np.cumsum(self.masses[::-1])[::-1] / self.stiffness

    def _springs(self) -> Float64[np.ndarray, "link link"]:
        count = len(self.masses)
        k = 2 * np.eye(count) - np.eye(count, k=1) - np.eye(count, k=-1)
        k[-1, -1] = 1.0
        return self.stiffness * k

    def slowest(self) -> tuple[float, Float64[np.ndarray, " link"]]:
        """Angular frequency of the slowest mode without damping, and its shape (weight: 1)."""
        squares, shapes = eigh(self._springs(), np.diag(self.masses))
        return math.sqrt(squares[0]), shapes[:, 0] / shapes[-1, 0]

    def damped(self, damping: float) -> complex:
        """The slowest mode's i w - rate, rad/s, with a damper (N s/m) on the weight."""
        count = len(self.masses)
        drag = np.zeros((count, count))
        drag[-1, -1] = damping
        rates = np.block(
            [
                [np.zeros((count, count)), np.eye(count)],
                [-self._springs() / self.masses[:, None], -drag / self.masses[:, None]],
            ]
        )
        modes = np.linalg.eigvals(rates)
        return complex(min(modes[modes.imag > 0], key=abs))


class SpringWeight:
    """Hooke's law: the stretch carries the weight, the period knows no amplitude."""

    name = "spring"
    summary = "a weight on a coil spring that keeps bobbing or dies down"
    engines = ("bullet", "mujoco")
    outcomes = ("dies_down", "keeps_bobbing")
    Parameters = Parameters
    words = Words(
        opening=("hangs on a spring and is let go", "bobs up and down on a spring"),
        outcomes={
            "keeps_bobbing": ("keeps bobbing", "keeps most of its swing to the end"),
            "dies_down": ("loses more than half of its swing", "bobs less and less"),
        },
        apparatus=("spring",),
    )

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=COILS + 3)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """A weight off its place of rest, moving in the slowest mode of its spring."""
        p = parameters
        gravity, mass = float(rng.uniform(*p.gravity_m_s2)), float(rng.uniform(*p.mass_kg))
        wanted = rng.uniform(*p.stiffness_n_m)
        stiffness = float(np.clip(wanted, *(mass * gravity / s for s in p.sag_m[::-1])))
        damped = rng.uniform() < p.damped_share
        ratio = float(rng.uniform(*p.damping_ratio)) if damped else 0.0
        masses = mass * np.array([COIL_MASS] * COILS + [1.0])
        chain = Chain(masses, stiffness * (COILS + 1), gravity)
        pace, shape = chain.slowest()
        sag = float(chain.stretch.sum())
        lift = float(rng.uniform(*p.amplitude) * rng.choice((-1.0, 1.0))) * sag
        lift *= DAMPED_SWING if damped else 1.0
        rest, radius = float(rng.uniform(*p.rest_m)), float(rng.uniform(*p.radius_m))
        form = ball(radius) if rng.uniform() < 0.5 else Form(
            "cylinder", (0.9 * radius, 0.9 * radius), "weight")  # fmt: skip
        weight_m = form.size[-1]  # from the weight's middle to its hook
        height = rest + sag + abs(lift) + 2 * weight_m + 0.15
        down = np.cumsum(rest / (COILS + 1) + chain.stretch) - lift * shape
        things = [self._coil(i, height - float(z), masses[0]) for i, z in enumerate(down[:-1])]
        reach = rest + sag - abs(lift) - 0.02  # of a damper's rod, up to just under the beam
        solid = Geom(form.kind, form.size, two_tone(colours(1, rng)[0]))
        rod = bar((0.0, 0.0, weight_m), (0.0, 0.0, weight_m + reach), ROD_M, STEEL)
        weight = Body(
            "weight", (solid, rod) if damped else (solid,), mass,
            position=(0.0, 0.0, height - float(down[-1]) - weight_m), label="weight",
        )  # fmt: skip
        sleeve_m = 2 * abs(lift) + 0.06 if damped else 0.0
        return Scene(
            family=self.name,
            bodies=(floor(), frame(height, sleeve_m), *things, weight),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=whole_rate(RATE_HZ, frame_rate_hz),
            gravity=(0.0, 0.0, -gravity),
            springs=ties(height, rest, chain, weight_m, 2 * ratio * mass * pace),
            light=LIGHT,
            parameters={
                "mass_kg": mass, "stiffness_n_m": stiffness, "rest_m": rest, "lift_m": lift,
                "damping_ratio": ratio, "gravity_m_s2": gravity,
            },
        )  # fmt: skip

    @staticmethod
    def _coil(number: int, height_m: float, mass_kg: float) -> Body:
        tilt = turn_about((0.0, 1.0, 0.0), TILT if number % 2 else -TILT)
        ring = Geom("cylinder", (COIL_M, WIRE_M), STEEL, quaternion=tilt, collide=False)
        inertia = (0.4 * mass_kg * COIL_M**2,) * 3
        return Body(
            f"coil_{number}", (ring,), float(mass_kg), inertia, position=(0.0, 0.0, height_m),
            object="spring", label="spring",
        )  # fmt: skip

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """dies_down: less than half of the amplitude is left at the end; keeps_bobbing: more."""
        pace, _ = chain_of(scene).slowest()
        off = self._off(scene, motion)
        size = np.hypot(off, motion.velocity[:, -1, 2] / pace)[: scene.frames]
        margins = {"amplitude_m": float(size[0]), "amplitude_kept": float(size[-1] / size[0])}
        passes = crossings(frame_times(scene), off, motion.velocity[:, -1, 2])
        if len(passes) > 1:
            margins["period_s"] = float(2 * np.diff(passes).mean())
        label = "dies_down" if margins["amplitude_kept"] < DIES_DOWN else "keeps_bobbing"
        return Outcome(label, margins)

    @staticmethod
    def _off(scene: Scene, motion: Motion) -> Float64[np.ndarray, " time1"]:
        """How far the weight is above its place of rest, m."""
        rest = scene.bodies[-1].position[2] - scene.parameters["lift_m"]
        return motion.position[:, -1, 2] - rest

    def laws(self, scene: Scene, motion: Motion) -> tuple[Law, ...]:
        """Period, sag, and how fast a damped swing dies."""
        damping, times = sum(tie.damping for tie in scene.springs), frame_times(scene)
        mode = chain_of(scene).damped(damping)
        off, speed = self._off(scene, motion), motion.velocity[:, -1, 2]
        due, rate, passes = 2 * math.pi / mode.imag, -mode.real, crossings(times, off, speed)
        # around the place of rest a swing dies as exp(-rate t)
        turn, fade = mode.imag * times, np.exp(-rate * times)
        basis = np.stack([fade * np.cos(turn), fade * np.sin(turn), np.ones_like(times)], axis=1)
        shift = float(np.linalg.lstsq(basis, off, rcond=None)[0][2])
        sag = float(chain_of(scene).stretch.sum())
        laws = [Law("sag", sag - shift, sag, 0.01 * sag, "m", "m g / k")]
        if len(passes) > 1:
            laws.append(Law("period", float(2 * np.diff(passes).mean()), due, 0.01 * due, "s",
                            "2 pi sqrt(m / k), slowest mode with its rings"))  # fmt: skip
        if damping and len(passes) > 1:
            peaks = np.log(np.abs(np.interp(passes, times, speed)))
            laws.append(Law("rate of dying down", -float(np.polyfit(passes, peaks, 1)[0]), rate,
                            0.05 * rate, "1/s", "damping / 2 m"))  # fmt: skip
        if not damping:
            size = np.hypot(off, speed / mode.imag)
            laws.append(Law("amplitude kept", float(size[-1] / size[0]), 1.0, 0.01, "1",
                            "no damping"))  # fmt: skip
        return tuple(laws)

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The frame and all that hangs in it."""
        top = scene.bodies[1].geoms[0].position[2] * 2
        low = motion.position[:, -1].min(axis=0) - scene.bodies[-1].geoms[0].size[0]
        corners = np.array([[-SPAN_M, 0.0, top], [SPAN_M, 0.0, top], low])
        return framing(corners, 0.03)


def ties(
    height_m: float, rest_m: float, chain: Chain, weight_m: float, damping: float
) -> tuple[Spring, ...]:
    """The short springs from the frame down to the weight's hook, and the damper (N s/m)."""
    names = ["frame", *(f"coil_{i}" for i in range(COILS)), "weight"]
    anchors = [(0.0, 0.0, height_m), *[ORIGIN] * COILS, (0.0, 0.0, weight_m)]
    short = [
        Spring(
            f"spring_{i}", names[i], anchors[i], names[i + 1], anchors[i + 1],
            chain.stiffness, rest_m / (COILS + 1),
        )
        for i in range(COILS + 1)
    ]  # fmt: skip
    damper = Spring("damper", "frame", anchors[0], "weight", anchors[-1], 0.0, 0.0, damping)
    return (*short, damper) if damping else tuple(short)


def chain_of(scene: Scene) -> Chain:
    """The rings and the weight of a scene of this family."""
    links = [body.mass_kg for body in scene.bodies if body.motion == "free"]
    return Chain(np.array(links), scene.springs[0].stiffness, -scene.gravity[2])


def frame(height_m: float, sleeve_m: float) -> Body:
    """Two posts and a beam, and a damper's sleeve under it if that has a length."""
    feet = [((x, 0.0, 0.0), (x, 0.0, height_m)) for x in (-SPAN_M, SPAN_M)]
    beam = ((-SPAN_M - 0.05, 0.0, height_m), (SPAN_M + 0.05, 0.0, height_m))
    body = post("frame", [*feet, beam], 0.025, label="frame")
    if not sleeve_m:
        return body
    sleeve = bar((0.0, 0.0, height_m), (0.0, 0.0, height_m - sleeve_m), SLEEVE_M, STEEL)
    return replace(body, geoms=(*body.geoms, sleeve))
