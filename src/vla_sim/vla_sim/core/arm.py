"""Kinematics and limits of the simulated arm: the Franka Research 3 with its hand.

Sources (read 2026-11): "Robot and interface specifications" in the Franka Control Interface
documentation (github.com/frankaemika/docs, source/control_parameters.rst and
source/control-parameters-joint-fr3.csv) for the Denavit-Hartenberg table and the joint limits;
github.com/frankaemika/franka_description, robots/fr3/joint_limits.yaml, agrees with the latter.
The hand is mounted at -45 degrees and its tool centre point lies 103.4 mm beyond the flange.

Everything works on batches: a leading shape ``...`` is kept.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ARM_JOINTS: Final = ("joint1", "joint2", "joint3", "joint4", "joint5", "joint6", "joint7")
JOINTS: Final = (*ARM_JOINTS, "gripper")

DH_A: Final = (0.0, 0.0, 0.0, 0.0825, -0.0825, 0.0, 0.088)
"""Link lengths, modified (Craig) convention [m]."""
DH_D: Final = (0.333, 0.0, 0.316, 0.0, 0.384, 0.0, 0.0)
"""Link offsets, modified (Craig) convention [m]."""
DH_ALPHA: Final = (0.0, -np.pi / 2, np.pi / 2, np.pi / 2, -np.pi / 2, np.pi / 2, np.pi / 2)
"""Link twists, modified (Craig) convention [rad]."""
FLANGE_D: Final = 0.107
"""Joint 7 to the flange, along z [m]."""
TCP_D: Final = 0.1034
"""Flange to the tool centre point of the hand, along z [m]."""
HAND_YAW: Final = -np.pi / 4
"""Mounting angle of the hand about the flange's z [rad]."""

Q_MIN: Final[Array] = np.array([-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159, 0.0])
Q_MAX: Final[Array] = np.array([2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159, 0.04])
"""Position limits, joint1..joint7 [rad] and one finger of the hand [m]."""
DQ_MAX: Final[Array] = np.array([2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26, 0.2])
"""Velocity limits [rad/s], [m/s]; the finger: franka_description's hand."""
DDQ_MAX: Final[Array] = np.array([10.0] * 7 + [5.0])
"""Acceleration limits [rad/s^2]; the finger's [m/s^2] is ours, none is published."""
DDDQ_MAX: Final[Array] = np.array([5000.0] * 7 + [500.0])
"""Jerk limits [rad/s^3]; the finger's [m/s^3] is ours, none is published."""

HOME_Q: Final[Array] = np.array(
    [0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4, 0.0]
)
"""The manufacturer's ready pose, hand closed [rad], [m]."""


def _link(a: float, d: float, alpha: float, theta: Array) -> Array:
    """Return link transforms (..., 4, 4) of one row of the modified DH table."""
    ca, sa = np.cos(alpha), np.sin(alpha)
    ct, st = np.cos(theta), np.sin(theta)
    out = np.zeros((*theta.shape, 4, 4))
    out[..., 0, 0], out[..., 0, 1], out[..., 0, 3] = ct, -st, a
    out[..., 1, 0], out[..., 1, 1], out[..., 1, 2] = st * ca, ct * ca, -sa
    out[..., 2, 0], out[..., 2, 1], out[..., 2, 2] = st * sa, ct * sa, ca
    out[..., 1, 3], out[..., 2, 3] = -d * sa, d * ca
    out[..., 3, 3] = 1.0
    return out


def frames(q: Array) -> list[Array]:
    """Return the poses of the seven joint frames and of the tool centre point.

    q: (..., >=7) joint angles [rad]. Each of the eight poses: (..., 4, 4) in the base frame [m].
    """
    pose = np.broadcast_to(np.eye(4), (*q.shape[:-1], 4, 4))
    out = []
    for i in range(7):
        pose = pose @ _link(DH_A[i], DH_D[i], DH_ALPHA[i], np.asarray(q[..., i]))
        out.append(pose)
    out.append(pose @ _link(0.0, FLANGE_D + TCP_D, 0.0, np.asarray(HAND_YAW)))
    return out


def forward(q: Array) -> Array:
    """Return the tool centre point's pose (..., 4, 4) in the base frame for q (..., >=7) [rad]."""
    return frames(q)[-1]


def tcp_position(q: Array) -> Array:
    """Return the tool centre point (..., 3) [m] in the base frame for q (..., >=7) [rad]."""
    position: Array = forward(q)[..., :3, 3]
    return position


def jacobian(q: Array) -> tuple[Array, Array]:
    """Return the tool centre point's pose (..., 4, 4) and geometric Jacobian (..., 6, 7).

    Rows 0-2: linear velocity [m/rad]; rows 3-5: angular velocity, base frame.
    """
    poses = frames(q)
    tip = poses[-1]
    axes = np.stack([p[..., :3, 2] for p in poses[:7]], axis=-1)
    arms = np.stack([tip[..., :3, 3] - p[..., :3, 3] for p in poses[:7]], axis=-1)
    linear = np.cross(axes, arms, axisa=-2, axisb=-2, axisc=-2)
    return tip, np.concatenate([linear, axes], axis=-2)
