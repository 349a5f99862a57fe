"""Joint angles of rigid bodies that PyBullet holds by two points of an axis, and joint torques.

PyBullet knows neither such a hinge's angle nor springs and stops of any joint.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64

from simgen.cameras import rotation_matrix
from simgen.scene import Body, Joint, Scene

STOP_TIME_S = 0.005  # time constant with which a joint's stop throws it back, critically damped


def product(a: np.ndarray, b: np.ndarray) -> Float64[np.ndarray, " 4"]:
    """Quaternion of turning by b, then by a; w x y z."""
    w, x, y, z = a
    p, q, r, s = b
    return np.array(
        [
            w * p - x * q - y * r - z * s,
            w * q + x * p + y * s - z * r,
            w * r - x * s + y * p + z * q,
            w * s + x * r - y * q + z * p,
        ]
    )


def unit_axis(joint: Joint) -> Float64[np.ndarray, " 3"]:
    axis = np.array(joint.axis, dtype=np.float64)
    return axis / np.linalg.norm(axis)


def angle(
    body: Body, parent: np.ndarray, own: np.ndarray, axis: np.ndarray, *, near: float
) -> float:
    """Angle of a body's hinge, rad, that of its whole turns which is next to `near`.

    Args:
        parent, own: World quaternions.
        axis: Unit, in the body's frame.
    """
    rest = product(parent, np.array(body.quaternion))
    relative = product(rest * (1, -1, -1, -1), own)
    wrapped = 2 * math.atan2(float(relative[1:] @ axis), float(relative[0]))
    return wrapped + 2 * math.pi * round((near - wrapped) / (2 * math.pi))


def torque(joint: Joint, position: float, velocity: float, inertia: float) -> float:
    """Of the joint's spring and of its stops, N m or N; without the joint's own damping.

    Args:
        inertia: About the joint, kg m2 or kg: a stop is as stiff as turns it back in its time.
    """
    pull = -joint.stiffness * position
    if joint.range is not None:
        low, high = joint.range
        beyond = min(position - low, 0.0) + max(position - high, 0.0)
        stop = -(beyond / STOP_TIME_S + 2 * velocity) * inertia / STOP_TIME_S
        if beyond * stop < 0:  # it only throws back
            pull += stop
    return pull


def inertia_about(joint: Joint, mass_kg: float, centre: np.ndarray, inertia: np.ndarray) -> float:
    """A body's own inertia about its joint, kg m2; of a slide its mass, kg."""
    if joint.kind == "slide":
        return mass_kg
    axis, arm = unit_axis(joint), centre - np.array(joint.anchor)
    return float(axis**2 @ inertia + mass_kg * np.sum(np.cross(axis, arm) ** 2))


def start_pose(
    scene: Scene,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """World position, quaternion, velocity of the origin and spin of every body at t = 0."""
    count = len(scene.bodies)
    position, quaternion = np.zeros((count, 3)), np.zeros((count, 4))
    velocity, spin = np.zeros((count, 3)), np.zeros((count, 3))
    for row, body in enumerate(scene.bodies):
        position[row], quaternion[row] = body.position, body.quaternion
        if body.motion == "free":
            spin[row] = body.angular_velocity
        if body.motion != "jointed":
            continue
        if body.parent is not None:
            base = scene.body_index(body.parent)
            position[row] = position[base] + rotation_matrix(quaternion[base]) @ body.position
            quaternion[row] = product(quaternion[base], np.array(body.quaternion))
            spin[row] = spin[base]
            velocity[row] = velocity[base] + np.cross(spin[base], position[row] - position[base])
        for joint in body.joints:
            axis = rotation_matrix(quaternion[row]) @ unit_axis(joint)
            if joint.kind == "slide":
                position[row] += axis * joint.position
                velocity[row] += axis * joint.velocity
                continue
            anchor = rotation_matrix(quaternion[row]) @ joint.anchor
            half = joint.position / 2
            turn = np.array([math.cos(half), *(math.sin(half) * unit_axis(joint))])
            quaternion[row] = product(quaternion[row], turn)
            arm = anchor - rotation_matrix(quaternion[row]) @ joint.anchor
            position[row] += arm
            velocity[row] += np.cross(spin[row], arm)
            spin[row] += axis * joint.velocity
            velocity[row] += np.cross(
                axis * joint.velocity, -(rotation_matrix(quaternion[row]) @ joint.anchor)
            )
    return position, quaternion, velocity, spin
