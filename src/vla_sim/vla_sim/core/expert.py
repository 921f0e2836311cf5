"""Scripted expert: from any state, the next joint targets towards a cube (state feedback).

The expert is a velocity field over joint positions alone. In Cartesian space it is a funnel:
travel above the cubes, descend when above the target, stop ``HOVER`` above its top face with the
hand pointing down; the hand opens near the target. Damped least squares turn the Cartesian
velocity into joint velocities, and the null space is pulled to ``HOME_Q``, so that a target has
one resting posture. Because it depends on the state only, its answer is known in any state a
policy gets into. Everything works on batches (leading shape ``...``).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from vla_sim.core.arm import DQ_MAX, HOME_Q, Q_MAX, Q_MIN, Array, jacobian

HOVER: Final = 0.012
"""Resting height of the tool centre point above the top face [m]."""
TRAVEL_HEIGHT: Final = 0.10
"""Height above the resting point while far from the target [m]."""
FUNNEL: Final = (0.012, 0.085)
"""Lateral distances between which the travel height is gained [m]."""
GAIN: Final = 3.2
"""Position gain [1/s]."""
SPEED: Final = 0.30
"""Greatest lateral, and vertical, speed of the tool centre point [m/s]."""
TURN_GAIN: Final = 3.0
"""Orientation gain [1/s]."""
TURN_SPEED: Final = 0.9
"""Greatest angular speed of the hand [rad/s]."""
POSTURE_GAIN: Final = 1.0
"""Null-space gain towards HOME_Q [1/s]."""
JOINT_SPEED: Final = 0.9
"""Greatest joint speed; all joints are slowed together to keep the direction [rad/s]."""
DAMPING: Final = 0.03
"""Damping of the least squares [m/rad]."""
FINGER_OPEN: Final = float(Q_MAX[7])
FINGER_GAIN: Final = 4.0
FINGER_SPEED: Final = 0.08
"""Greatest finger speed [m/s]."""
FINGER_NEAR: Final = (0.07, 0.14)
"""Distances to the resting point between which the hand opens [m]."""
DOWN: Final[Array] = np.diag([1.0, -1.0, -1.0])
"""Orientation of the hand: pointing down, fingers along the base frame's y."""


def _smoothstep(x: Array, low: float, high: float) -> Array:
    """Rise from 0 at ``low`` to 1 at ``high`` with zero slope at both."""
    s = np.clip((x - low) / (high - low), 0.0, 1.0)
    result: Array = s * s * (3.0 - 2.0 * s)
    return result


def _saturate(vector: Array, limit: float) -> Array:
    """Shorten vectors (..., k) smoothly below ``limit``; small ones are unchanged."""
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    shortened: Array = vector * (limit * np.tanh(norm / limit) / np.maximum(norm, 1e-9))
    return shortened


def _cartesian_velocity(tip: Array, top: Array) -> Array:
    """Return the desired linear and angular velocity (..., 6) for a pose (..., 4, 4)."""
    offset = top - tip[..., :3, 3]
    lateral = offset[..., :2]
    reach = np.linalg.norm(lateral, axis=-1)
    height = -offset[..., 2] - HOVER
    wanted = TRAVEL_HEIGHT * _smoothstep(reach, *FUNNEL)
    # Too low to travel (after a change of target): gain height first.
    free = 1.0 - 0.85 * _smoothstep(wanted - height, 0.03, 0.08)
    velocity = np.empty((*offset.shape[:-1], 6))
    velocity[..., :2] = _saturate(GAIN * lateral, SPEED) * free[..., None]
    velocity[..., 2:3] = _saturate(GAIN * (wanted - height)[..., None], SPEED)
    rotation = tip[..., :3, :3]
    # Sum of cross products of present and wanted axes: twice the sine of the angle left.
    error = 0.5 * np.cross(rotation, np.broadcast_to(DOWN, rotation.shape), axis=-2).sum(axis=-1)
    velocity[..., 3:] = _saturate(TURN_GAIN * error, TURN_SPEED)
    return velocity


def velocity(q: Array, top: Array) -> Array:
    """Return joint velocities (..., 8) [rad/s], [m/s] towards the cube whose top is at ``top``.

    q: (..., 8) joint positions [rad], [m]; top: (..., 3) top-face centre in the base frame [m].
    """
    tip, jac = jacobian(q)
    wanted = _cartesian_velocity(tip, top)
    square = jac @ jac.swapaxes(-1, -2) + DAMPING**2 * np.eye(6)
    inverse = jac.swapaxes(-1, -2) @ np.linalg.inv(square)
    posture = POSTURE_GAIN * (HOME_Q[:7] - q[..., :7])
    task = wanted - (jac @ posture[..., None])[..., 0]
    out = np.empty(q.shape)
    out[..., :7] = posture + (inverse @ task[..., None])[..., 0]
    fastest = np.abs(out[..., :7]).max(axis=-1, keepdims=True)
    out[..., :7] *= JOINT_SPEED * np.tanh(fastest / JOINT_SPEED) / np.maximum(fastest, 1e-9)
    distance = np.linalg.norm(top + np.array([0.0, 0.0, HOVER]) - tip[..., :3, 3], axis=-1)
    finger = FINGER_OPEN * (1.0 - _smoothstep(distance, *FINGER_NEAR))
    out[..., 7] = np.clip(FINGER_GAIN * (finger - q[..., 7]), -FINGER_SPEED, FINGER_SPEED)
    return np.clip(out, -DQ_MAX, DQ_MAX)


def advance(q: Array, top: Array, dt: float, substeps: int = 2) -> Array:
    """Return the joint positions (..., 8) after ``dt`` [s] of following the expert exactly."""
    for _ in range(substeps):
        q = np.clip(q + velocity(q, top) * (dt / substeps), Q_MIN, Q_MAX)
    return q


def chunk(q: Array, top: Array, horizon: int, step_dt: float) -> Array:
    """Return the expert's next ``horizon`` joint targets (..., horizon, 8) [rad], [m].

    Row i is where the arm should be (i + 1) * ``step_dt`` [s] from now.
    """
    rows = []
    for _ in range(horizon):
        q = advance(q, top, step_dt)
        rows.append(q)
    return np.stack(rows, axis=-2)
