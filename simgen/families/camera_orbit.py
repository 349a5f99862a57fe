"""Things that roll, slide, tumble and drop on a checkered floor, for a camera that moves."""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from simgen.captions.words import Words
from simgen.families import Limits, Outcome
from simgen.families.objects import (
    PHYSICS_RATE_HZ,
    Amount,
    Count,
    Form,
    Share,
    Size,
    ball,
    box,
    build,
    colours,
    direction,
    place_apart,
    turn_about,
    two_tone,
)
from simgen.motion import Motion
from simgen.scene import IDENTITY, Body, Geom, Material, Scene, Vector3

FLOOR = Material("white", (0.60, 0.60, 0.58), rgb2=(0.16, 0.19, 0.24), pattern="checker")
ACTS = ("roll", "slide", "tumble", "drop")
STAGE_M = 1.3  # half width of the square in which everything starts
FOCUS_M = 0.5  # moving things head for a point this near the middle, so they stay in view
UPRIGHT_REST_M = 0.002  # above the floor at the start, so that nothing begins inside it


class Parameters(BaseModel):
    """Ranges [low, high] that every body or episode draws from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bodies: Count = (3, 6)
    radius_m: Size = (0.14, 0.30)
    density_kg_m3: Size = (200.0, 1200.0)
    restitution: Share = (0.3, 0.8)
    friction: Amount = (0.25, 0.6)  # of what rolls, tumbles and drops
    sliding_friction: Amount = (0.01, 0.05)
    speed_m_s: Amount = (0.4, 1.2)
    spin_rad_s: Amount = (2.0, 7.0)  # of what tumbles or drops
    drop_m: Amount = (0.4, 1.0)  # clearance under what is dropped
    gravity_m_s2: Amount = (9.81, 9.81)
    floor_friction: float = Field(default=0.6, ge=0)

    @model_validator(mode="after")
    def bodies_fit(self) -> Parameters:
        largest = 2 * STAGE_M / (1.6 * math.sqrt(2 * self.bodies[1]) + 2)
        if self.radius_m[1] > largest:
            raise ValueError(
                f"{self.bodies[1]} bodies of radius {self.radius_m[1]:g} m do not fit on a stage "
                f"{2 * STAGE_M:g} m wide; at most {largest:.2f} m, or fewer bodies"
            )
        return self


class CameraOrbit:
    """Several motions at once, so that a moving camera has something to be told apart from."""

    name = "camera_orbit"
    summary = "things that roll, slide, tumble and drop under a moving camera"
    engines = ("bullet", "mujoco")
    outcomes = ("moving", "settled")
    words = Words()
    Parameters = Parameters

    def limits(self, parameters: Parameters) -> Limits:
        return Limits(bodies=parameters.bodies[1] + 1)

    def sample(
        self,
        parameters: Parameters,
        rng: np.random.Generator,
        *,
        frames: int,
        frame_rate_hz: float,
    ) -> Scene:
        """One stage with things set in motion; the first four bodies do four different acts.

        Raises:
            ValueError: The bodies found no room.
        """
        p = parameters
        count = int(rng.integers(p.bodies[0], p.bodies[1] + 1))
        gravity = float(rng.uniform(*p.gravity_m_s2))
        order = rng.permutation(len(ACTS))
        acts = [ACTS[order[i % len(ACTS)]] for i in range(count)]
        forms = [self._form(act, p, rng) for act in acts]
        half = np.array([STAGE_M, STAGE_M, 0.0])
        spots = place_apart([f.reach_m for f in forms], -half, half, rng)
        things = [
            self._thing(f"{form.label}_{i}", act, form, spot, colour, p, rng)
            for i, (act, form, spot, colour) in enumerate(
                zip(acts, forms, spots, colours(count, rng), strict=True)
            )
        ]
        ground = Geom("plane", (), FLOOR, friction=p.floor_friction, restitution=1.0)
        return Scene(
            family=self.name,
            bodies=(Body("floor", (ground,), motion="static", label="floor"), *things),
            frames=frames,
            frame_rate_hz=frame_rate_hz,
            physics_rate_hz=frame_rate_hz * math.ceil(PHYSICS_RATE_HZ / frame_rate_hz),
            gravity=(0.0, 0.0, -gravity),
            parameters={
                "bodies": count,
                "gravity_m_s2": gravity,
                **{f"{act}s": acts.count(act) for act in ACTS},
            },
        )

    @staticmethod
    def _form(act: str, p: Parameters, rng: np.random.Generator) -> Form:
        radius = float(rng.uniform(*p.radius_m))
        if act == "roll":
            return ball(radius)
        if act == "drop" and rng.uniform() < 0.5:
            return ball(radius)
        if act == "tumble" and rng.uniform() < 0.5:
            return Form("cylinder", (0.65 * radius, 0.9 * radius), "cylinder")
        return box(radius, rng)

    @staticmethod
    def _thing(
        name: str,
        act: str,
        form: Form,
        spot: np.ndarray,
        colour: str,
        p: Parameters,
        rng: np.random.Generator,
    ) -> Body:
        goal = rng.uniform(-FOCUS_M, FOCUS_M, 2)
        way = goal - spot[:2]
        way = np.array([*(way / max(np.linalg.norm(way), 1e-9)), 0.0])
        speed, spin = rng.uniform(*p.speed_m_s), rng.uniform(*p.spin_rad_s)
        drop_m, yaw, axis = rng.uniform(*p.drop_m), rng.uniform(0, 2 * math.pi), direction(rng)
        friction, slippery = rng.uniform(*p.friction), rng.uniform(*p.sliding_friction)
        velocity, turning, pose = speed * way, np.zeros(3), IDENTITY
        height = form.size[-1] + UPRIGHT_REST_M
        if act == "roll":
            turning = np.cross((0.0, 0.0, 1.0), way) * speed / form.size[0]
            pose = turn_about(axis, yaw)
        elif act == "slide":
            pose, friction = turn_about((0.0, 0.0, 1.0), yaw), slippery
        else:
            pose, turning = turn_about(axis, yaw), spin * axis
            height = form.reach_m + (0.3 * drop_m if act == "tumble" else drop_m)
            velocity = velocity if act == "tumble" else np.zeros(3)
        return build(
            name,
            form,
            two_tone(colour),
            density_kg_m3=float(rng.uniform(*p.density_kg_m3)),
            restitution=float(rng.uniform(*p.restitution)),
            friction=float(friction),
            position=(spot[0], spot[1], height),
            velocity=velocity,
            angular_velocity=turning,
            quaternion=pose,
        )

    def outcome(self, scene: Scene, motion: Motion) -> Outcome:
        """settled: everything nearly at rest at the end; moving otherwise."""
        rows = [i for i, b in enumerate(scene.bodies) if b.motion == "free"]
        speed = np.linalg.norm(motion.velocity[scene.frames - 1, rows], axis=1)
        place = motion.centre_of_mass[: scene.frames, rows]
        way = np.linalg.norm(np.diff(place, axis=0), axis=-1).sum(axis=0)
        return Outcome(
            "settled" if speed.max() < 0.05 else "moving",
            {
                "fastest_at_end_m_s": float(speed.max()),
                "longest_way_m": float(way.max()),
                "touches": float(len(motion.contacts)),
            },
        )

    def look_at(self, scene: Scene, motion: Motion) -> tuple[Vector3, float]:
        """The middle of the stage, from where things that stay on it are in the picture."""
        return (0.0, 0.0, 0.3), 4.4
