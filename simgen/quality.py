"""Quality control: the reasons why a clip must not become data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, UInt8

from simgen.events import objects
from simgen.families.flight import flights, flyers, momentum_change
from simgen.motion import Change, Motion, centre_velocity
from simgen.scene import Scene
from simgen.truth import Truth


@dataclass(frozen=True)
class Bounds:
    """What a good clip keeps to, each with why."""

    # Bullet's and MuJoCo's contacts return a few percent too much on a bounce; an explosion
    # multiplies the energy within frames
    energy_growth: float = 0.10  # of the clip's largest energy exchange
    energy_lift_m: float = 0.01  # and as much as lifts everything by this: noise of a scene at rest
    # sprung contacts sink by about v / sqrt(k): 2 cm for 6 m/s at k = 1e5; three times that is
    # a body pushed into another
    penetration_m: float = 0.06
    # within a frame nothing moves farther than the fastest body of its two frames, unless struck
    # twice in it; a reset jumps by metres
    teleport: float = 2.0  # times that way
    teleport_slack_m: float = 0.02
    # 18 m is as far as 6 m/s carries in 3 s, the fastest and longest of our scenes
    farthest_m: float = 60.0  # from where it started
    # forces of contacts and gravity explain every change of momentum but rounding and what the
    # merging of touches loses
    momentum_share: float = 0.05  # of the largest exchange of momentum
    # nothing in the air can turn a body that changes its shape; steps of 1/480 s keep to 0.1%
    turning_share: float = 0.01  # of the angular momentum of its parts
    # fewer pixels than this are not a shape that anyone could follow
    visible_pixels: int = 6
    visible_share: float = 0.05  # of frames with at least one moving object in sight
    black: int = 8  # of 255: darker everywhere is a frame without light
    flat: int = 4  # of 255: less contrast over a whole clip shows nothing


def objections(
    scene: Scene,
    motion: Motion,
    truth: Truth,
    frames: dict[str, np.ndarray],
    change: Change | None = None,
    bounds: Bounds = Bounds(),
) -> tuple[str, ...]:
    """Why this clip must be quarantined; empty if it is good.

    Args:
        frames: Channels as in simgen.renderers; pictures are judged where there is rgb.
        change: A twin's. Energy is judged before and after it, each stretch by itself; an
            impossible one breaks the laws on purpose, so only its pictures are judged.
    """
    if reasons := tuple(not_finite(motion)) + tuple(disordered(scene, motion)):
        return reasons  # the other checks would only repeat it in other words
    physics: tuple[str, ...] = ()
    if change is None or change.possible:
        physics = (
            *unexplained_energy(scene, motion, bounds, change),
            *unexplained_momentum(scene, motion, bounds, change),
            *unexplained_turning(scene, motion, bounds, change),
            *misplaced(scene, motion, truth, bounds, change),
        )
    return (
        *physics,
        *unseen(scene, truth, bounds),
        *(picture(frames["rgb"], bounds) if "rgb" in frames else ()),
    )


def not_finite(motion: Motion) -> Iterator[str]:
    """Arrays with NaN or infinity, and touches; every other bound would let NaN through."""
    for name in (
        "position", "quaternion", "velocity", "angular_velocity", "centre_of_mass",
        "joint_position", "joint_velocity", "joint_torque", "kinetic_energy_j",
        "potential_energy_j", "deepest_penetration_m", "action",
    ):  # fmt: skip
        bad = ~np.isfinite(getattr(motion, name))
        if bad.any():
            yield f"{name} is not finite from frame {int(np.argwhere(bad)[0, 0])} on"
    if not np.isfinite(motion.contacts["impulse_ns"]).all():
        yield "the impulse of a contact is not finite"


def disordered(scene: Scene, motion: Motion) -> Iterator[str]:
    """Arrays that do not span the clip, or touches out of its time."""
    if len(motion.position) != scene.frames + 1:
        yield f"{len(motion.position)} poses for {scene.frames} frames and the one after"
    start, end = motion.contacts["start_s"], motion.contacts["end_s"]
    last = (scene.frames + 1) / scene.frame_rate_hz
    wrong = (end < start) | (start < 0) | (end > last + 1e-9)
    if wrong.any() or np.any(np.diff(start) < 0) or np.any(np.diff(motion.state_frames) <= 0):
        yield "time is not monotone: contacts or states are out of order or outside of the clip"


def actuator_work(scene: Scene, motion: Motion) -> Float64[np.ndarray, " time1"]:
    """Most work that the servos can have done since the start, J.

    Each frame's largest torque times the larger of the joint's speeds at its two ends: above the
    true work unless the joint is faster in between.
    """
    joint = [scene.joint_names.index(actuator.joint) for actuator in scene.actuators]
    speed = np.abs(motion.joint_velocity[:, joint])
    power = np.abs(motion.joint_torque)[:-1] * np.maximum(speed[:-1], speed[1:])
    return np.concatenate([[0.0], np.cumsum(power.sum(1) / scene.frame_rate_hz)])


def stretches(scene: Scene, change: Change | None) -> list[slice]:
    """Rows over which one world holds: before and after a twin's change."""
    end = scene.frames + 1
    return [slice(0, change.frame), slice(change.frame, end)] if change else [slice(0, end)]


def energy_growth(
    scene: Scene, motion: Motion, rows: slice
) -> tuple[Float64[np.ndarray, " time"], float]:
    """Energy beyond a stretch's first that servos do not explain, and all that was exchanged, J."""
    energy = (motion.kinetic_energy_j + motion.potential_energy_j)[rows]
    work = actuator_work(scene, motion)[rows]
    exchange = motion.kinetic_energy_j[rows][0] + np.ptp(motion.potential_energy_j[rows])
    return energy - energy[0] - (work - work[0]), float(exchange)


def unexplained_energy(
    scene: Scene, motion: Motion, bounds: Bounds, change: Change | None
) -> Iterator[str]:
    """Energy above a stretch's first by more than servos and contacts can have given."""
    mass = sum(body.mass_kg for body in scene.bodies if body.motion != "static")
    weight = mass * max(float(np.linalg.norm(scene.gravity)), 1.0)
    for rows in stretches(scene, change):
        growth, exchange = energy_growth(scene, motion, rows)
        allowed = bounds.energy_growth * exchange + bounds.energy_lift_m * weight
        if growth.max() > allowed:
            said = f"{growth.max():.3g} J unexplained at frame {int(growth.argmax()) + rows.start}"
            yield f"energy grew by {said}; at most {allowed:.3g} J"


def momentum_residual(scene: Scene, motion: Motion) -> tuple[float, float]:
    """Change of momentum over the clip that gravity and contacts do not explain, and the largest
    exchange, kg m/s. NaN where joints, grips, springs or water act too, since they are no contacts.
    """
    moving = np.array([body.motion != "static" for body in scene.bodies])
    jointed = any(body.motion == "jointed" for body in scene.bodies)
    if jointed or scene.connects or scene.springs or scene.water:
        return float("nan"), float("nan")
    mass = np.array([body.mass_kg for body in scene.bodies]) * moving
    given = mass @ centre_velocity(motion)[-1] - mass @ centre_velocity(motion)[0]
    fall = mass.sum() * np.array(scene.gravity) * scene.frames / scene.frame_rate_hz
    touch = motion.contacts
    sign = moving[touch["body_b"]].astype(float) - moving[touch["body_a"]]
    pushed = sign @ touch["impulse_vector_ns"]
    exchange = np.linalg.norm(fall) + np.abs(touch["impulse_ns"]).sum()
    exchange += float(mass @ np.linalg.norm(centre_velocity(motion)[0], axis=1))
    return float(np.linalg.norm(given - fall - pushed)), float(exchange)


def unexplained_momentum(
    scene: Scene, motion: Motion, bounds: Bounds, change: Change | None
) -> Iterator[str]:
    """Momentum from nowhere over the whole clip."""
    if change is not None:
        return  # the change gives or takes some itself
    residual, exchange = momentum_residual(scene, motion)
    if residual > bounds.momentum_share * exchange:
        allowed = bounds.momentum_share * exchange
        yield f"momentum changed by {residual:.3g} kg m/s unexplained; at most {allowed:.3g}"


def turning(scene: Scene, motion: Motion, change: Change | None) -> tuple[float, str]:
    """Largest change of a jointed object's angular momentum within a flight, as a share of its
    scale, and which that was; NaN without a flight.

    Of a twin only what begins after its change is judged: what was before is its original's.
    """
    worst, said = float("nan"), ""
    for name, rows in flyers(scene).items():
        for start, end in flights(scene, motion, rows):
            if change and start < change.frame:
                continue
            changed, scale = momentum_change(scene, motion, rows, start, end)
            share = changed / max(scale, 1e-9)
            if not worst >= share:  # NaN is not
                worst = share
                said = f"{name} by {changed:.3g} of {scale:.3g} kg m2/s in frames {start}-{end - 1}"
    return worst, said


def unexplained_turning(
    scene: Scene, motion: Motion, bounds: Bounds, change: Change | None
) -> Iterator[str]:
    """Angular momentum that changes in the air."""
    share, said = turning(scene, motion, change)
    if share > bounds.turning_share:
        yield f"angular momentum changed in flight: {said}; at most {bounds.turning_share:.0%}"


def residuals(scene: Scene, motion: Motion, change: Change | None) -> dict[str, float]:
    """How well the clip keeps the laws: what the catalog stores of its quality.

    energy_growth_share: largest rise of energy that no servo explains, of the energy exchanged;
    momentum_share: unexplained change of momentum, of the momentum exchanged, NaN where it cannot
    be told or a twin's change gave some; angular_momentum_share: largest change of a jointed
    object's in flight, NaN without a flight; deepest_penetration_m.
    """
    grown = [energy_growth(scene, motion, rows) for rows in stretches(scene, change)]
    shares = [growth.max() / exchange for growth, exchange in grown if exchange > 0]
    residual, exchanged = momentum_residual(scene, motion)
    told = change is None and exchanged > 0
    return {
        "energy_growth_share": float(max(shares, default=0.0)),
        "momentum_share": residual / exchanged if told else float("nan"),
        "angular_momentum_share": turning(scene, motion, change)[0],
        "deepest_penetration_m": float(motion.deepest_penetration_m.max(initial=0.0)),
    }


def misplaced(
    scene: Scene, motion: Motion, truth: Truth, bounds: Bounds, change: Change | None
) -> Iterator[str]:
    """Bodies inside others, that jump, or that left."""
    if (deepest := float(np.max(truth.penetration, initial=0))) > bounds.penetration_m:
        frame = int(truth.penetration.argmax())
        yield f"bodies overlap by {deepest:.3f} m at frame {frame}"
    speed = np.linalg.norm(motion.velocity, axis=-1).max(axis=1, initial=0)
    dt = 1 / scene.frame_rate_hz
    way = np.maximum(speed[:-1], speed[1:]) * dt + np.linalg.norm(scene.gravity) * dt**2
    step = np.linalg.norm(np.diff(motion.position, axis=0), axis=-1)
    too_far = step > bounds.teleport * way[:, None] + bounds.teleport_slack_m
    if change and change.kind == "remove":
        too_far[change.frame - 1, scene.body_index(change.body)] = False
    if too_far.any():
        t, row = np.argwhere(too_far)[0]
        name = scene.bodies[row].name
        yield f"{name} jumped {step[t, row]:.2f} m after frame {t}; its speed gives {way[t]:.2f} m"
    moving = [row for rows in objects(scene).values() for row in rows]
    if change and change.body:
        moving = [row for row in moving if scene.bodies[row].name != change.body]
    way = motion.position[:, moving] - motion.position[:1, moving]
    far = np.linalg.norm(way, axis=-1).max(initial=0)
    if far > bounds.farthest_m:
        yield f"a body went {far:.0f} m from its start; at most {bounds.farthest_m:.0f} m"


def unseen(scene: Scene, truth: Truth, bounds: Bounds) -> Iterator[str]:
    """A clip in which nothing that moves is in sight for nearly all of the time."""
    counts = [truth.area[:, rows].sum(1) for rows in objects(scene).values()]
    if not counts:
        return
    share = float(np.mean(np.max(counts, axis=0) >= bounds.visible_pixels))
    if share < bounds.visible_share:
        yield (
            f"no moving object is in sight in {1 - share:.0%} of the frames; "
            f"at least {bounds.visible_share:.0%} must show one"
        )


def picture(rgb: UInt8[np.ndarray, "time height width 3"], bounds: Bounds) -> Iterator[str]:
    """Pictures of nothing: black, flat, or one frame over and over."""
    if rgb.max() < bounds.black:
        yield "every frame is black"
        return
    sample = rgb[::8, ::4, ::4].astype(np.int16)  # a few pixels say whether there is contrast
    if np.ptp(sample, axis=(0, 1, 2)).max() < bounds.flat:
        yield "every frame is one flat colour"
    elif np.array_equal(rgb[0], rgb[-1]) and np.all(rgb == rgb[:1]):
        yield "every frame is the same"
