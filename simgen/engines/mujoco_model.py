"""Scene -> mujoco.MjModel, through MjSpec: no XML, so nothing in a scene can reach a file.

Every pair of geoms that may touch is an explicit contact pair, because MuJoCo's own mixing (the
larger friction, averaged solref) is not the scene's rule (friction sqrt(a b), restitution a b).
"""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations

import mujoco
import numpy as np

from simgen.engines.pairs import may_touch
from simgen.masses import mass_properties, volume_m3
from simgen.scene import Body, Geom, Scene

# The spring of a bouncing contact, 1/s^2 per unit of effective mass (MuJoCo scales it by mass): a
# 1 m drop sinks v / sqrt(k) = 1.4 cm and a touch lasts pi / sqrt(k) = 10 ms. With Euler's steps at
# 2400 Hz restitution is within 0.015 of what was asked (at 1200 Hz within 0.05).
BOUNCE_STIFFNESS = 1e5
# Near 1 a contact prescribes acceleration, and in a corner makes up for what the other's friction
# takes: a ball left with 29% more energy than it brought. Near 0 it is a spring that pushes
# whatever else acts; stiffness and damping, hence restitution, stay what solref says.
BOUNCE_IMPEDANCE = 0.2
SOFT_TIME_S = 0.01  # contacts without bounce: MuJoCo's critically damped default, twice as stiff
FRICTION_TIME_S = 0.005  # time constant with which friction kills slip
GRIP_TIME_S = 0.005  # time constant with which a Connect holds its points together
FAST_TURN_RAD = 0.01  # in a step
LEAST_RESTITUTION = 0.02  # below, the soft contact is as good as dead

GEOM_TYPES = {
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "plane": mujoco.mjtGeom.mjGEOM_PLANE,
}
PLANE_SIZE = (0.0, 0.0, 1.0)  # infinite in x and y


def restitution_of_damping(zeta: float) -> float:
    """Speed after over speed before a touch of a spring-damper that can only push.

    Touch ends when the force, not the depth, is zero. Source: exp(-zeta/sqrt(1-zeta^2) (pi -
    atan(2 zeta sqrt(1-zeta^2) / (1 - 2 zeta^2)))), with the arc tangent in the right quadrant and
    its continuation for zeta > 1.
    """
    if zeta < 1:
        root = math.sqrt(1 - zeta * zeta)
        phase = math.pi - math.atan2(2 * zeta * root, 1 - 2 * zeta * zeta)
    else:
        root = math.sqrt(zeta * zeta - 1)
        phase = math.atanh(2 * zeta * root / (2 * zeta * zeta - 1))
    return math.exp(-zeta / root * phase) if root > 1e-9 else math.exp(-2.0)


@cache  # walls share theirs, and a compiled model asks once a pair of geoms
def damping_of_restitution(restitution: float) -> float:
    """The zeta that bounces with this restitution, by bisection (it falls steadily with zeta)."""
    low, high = 0.0, 30.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (
            (middle, high) if restitution_of_damping(middle) > restitution else (low, middle)
        )
    return 0.5 * (low + high)


def _add_body(spec: mujoco.MjSpec, body: Body) -> None:
    parent = spec.body(body.parent) if body.parent else spec.worldbody
    node = parent.add_body(name=body.name, pos=body.position, quat=body.quaternion)
    volumes = [volume_m3(g.kind, g.size) for g in body.geoms]
    static = body.motion == "static"
    if not static and body.inertia_kgm2 is not None:
        shares = np.array(volumes) / sum(volumes)
        node.explicitinertial = True
        node.mass = body.mass_kg
        node.inertia = body.inertia_kgm2
        node.ipos = shares @ np.array([g.position for g in body.geoms])
    for number, (geom, volume) in enumerate(zip(body.geoms, volumes, strict=True)):
        node.add_geom(
            name=f"{body.name}/{number}",
            type=GEOM_TYPES[geom.kind],
            size=PLANE_SIZE if geom.kind == "plane" else (*geom.size, 0.0, 0.0)[:3],
            pos=geom.position,
            quat=geom.quaternion,
            mass=0.0 if static else body.mass_kg * volume / sum(volumes),
            contype=0,
            conaffinity=0,
        )
    if body.motion == "free":
        node.add_freejoint(name=f"{body.name}/free")
    for joint in body.joints:
        slide = joint.kind == "slide"
        node.add_joint(
            name=joint.name,
            type=mujoco.mjtJoint.mjJNT_SLIDE if slide else mujoco.mjtJoint.mjJNT_HINGE,
            axis=joint.axis,
            pos=joint.anchor,
            limited=joint.range is not None,
            range=joint.range or (0.0, 0.0),
            stiffness=[joint.stiffness, 0.0, 0.0],
            damping=[joint.damping, 0.0, 0.0],
            armature=joint.armature,
        )


def _sliding(a: Geom, b: Geom) -> tuple[float, float]:
    """Friction along the two tangents of a pair's contact frame.

    Where a capsule meets a plane, MuJoCo lays the first tangent along the capsule.
    """
    across = math.sqrt(a.friction * b.friction)
    blade, other = (a, b) if a.kind == "capsule" else (b, a)
    if blade.glide is None or (blade.kind, other.kind) != ("capsule", "plane"):
        return across, across
    return math.sqrt(blade.glide * other.friction), across


def _add_pairs(spec: mujoco.MjSpec, scene: Scene) -> None:
    for a, b in combinations(scene.bodies, 2):
        if not may_touch(scene, a, b):
            continue
        for i, geom_a in enumerate(a.geoms):
            for j, geom_b in enumerate(b.geoms):
                if not (geom_a.collide and geom_b.collide):
                    continue
                pair = spec.add_pair(geomname1=f"{a.name}/{i}", geomname2=f"{b.name}/{j}")
                pair.condim = 3
                pair.friction = [*_sliding(geom_a, geom_b), 0.0, 0.0, 0.0]
                pair.solreffriction = [FRICTION_TIME_S, 1.0]
                restitution = geom_a.restitution * geom_b.restitution
                if restitution < LEAST_RESTITUTION:
                    pair.solref = [SOFT_TIME_S, 1.0]
                else:
                    zeta = damping_of_restitution(restitution) if restitution < 1 else 0.0
                    pair.solref = [
                        -BOUNCE_STIFFNESS,
                        -2 * zeta * math.sqrt(BOUNCE_STIFFNESS),
                    ]
                    pair.solimp = [BOUNCE_IMPEDANCE, BOUNCE_IMPEDANCE, 0.001, 0.5, 2.0]


def _add_constraints(spec: mujoco.MjSpec, scene: Scene) -> None:
    for connect in scene.connects:
        # Sites, since an anchor would be resolved with every joint at zero
        for side, body, anchor in (
            ("a", connect.body_a, connect.anchor_a),
            ("b", connect.body_b, connect.anchor_b),
        ):
            spec.body(body).add_site(name=f"{connect.name}/{side}", pos=anchor)
        spec.add_equality(
            name=connect.name,
            type=mujoco.mjtEq.mjEQ_CONNECT,
            objtype=mujoco.mjtObj.mjOBJ_SITE,
            name1=f"{connect.name}/a",
            name2=f"{connect.name}/b",
            solref=[GRIP_TIME_S, 1.0],
            active=connect.active,
        )
    for spring in scene.springs:
        tendon = spec.add_tendon(
            name=spring.name,
            stiffness=[spring.stiffness, 0.0, 0.0],
            damping=[spring.damping, 0.0, 0.0],
            springlength=[0.0 if spring.pull_only else spring.rest_m, spring.rest_m],
        )
        for side, body, anchor in (
            ("a", spring.body_a, spring.anchor_a),
            ("b", spring.body_b, spring.anchor_b),
        ):
            spec.body(body).add_site(name=f"{spring.name}/{side}", pos=anchor)
            tendon.wrap_site(f"{spring.name}/{side}")
    for servo in scene.actuators:
        actuator = spec.add_actuator(
            name=servo.name,
            trntype=mujoco.mjtTrn.mjTRN_JOINT,
            target=servo.joint,
            forcelimited=True,
            forcerange=[-servo.limit, servo.limit],
        )
        actuator.set_to_position(kp=servo.kp, kv=servo.kd)


def _inertia_turns(scene: Scene) -> bool:
    """Whether the inertia of a joint or a fast spin changes enough for steps of RK4.

    A tucking gymnast's angular momentum in flight drifts by 2% with implicitfast at 720 Hz and by
    1% at 1440 Hz, but by 0.001% with RK4 at 720 Hz; a top of 100 rad/s at 2400 Hz precesses a third
    too fast with Euler and 3% too slowly with implicitfast, with RK4 by 0.006%. Elsewhere Euler's
    steps (the new speed moves the body) keep energy at a quarter of the cost and book a touch's
    impulse exactly, where RK4 tells its last stage's force only. Implicitfast is out for free
    bodies: a damped spring between two changes their momentum, as it drops what couples two trees.
    """
    if any(b.joints and (b.parent or len(b.joints) > 1) for b in scene.bodies):
        return True
    fast = [
        b for b in scene.bodies
        if np.linalg.norm(b.angular_velocity) > FAST_TURN_RAD * scene.physics_rate_hz
    ]  # fmt: skip
    moments = [np.linalg.eigvalsh(mass_properties(body)[1]) for body in fast]
    return any(m[-1] > 1.01 * m[0] for m in moments)


def compile_model(scene: Scene) -> mujoco.MjModel:
    """The scene as a compiled model; names of bodies, joints, servos, connects and springs stay.

    Raises:
        ValueError: MuJoCo refuses the scene; the message is its own.
    """
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.option.timestep = 1.0 / (scene.frame_rate_hz * scene.substeps)
    spec.option.gravity = scene.gravity
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.integrator = (
        mujoco.mjtIntegrator.mjINT_RK4
        if _inertia_turns(scene)
        else mujoco.mjtIntegrator.mjINT_EULER
    )
    # A reset after NaN would hide the fault and turn time back to 0
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET
    for body in scene.bodies:
        _add_body(spec, body)
    _add_pairs(spec, scene)
    _add_constraints(spec, scene)
    return spec.compile()
