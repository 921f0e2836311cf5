"""Pins: the three descriptions of the arm (table, URDF, MJCF) are one arm."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pinocchio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_sim.core import arm
from vla_sim.core.scene import URDF, Scene

TOLERANCE = 1e-6

postures = st.lists(st.floats(0.0, 1.0), min_size=8, max_size=8).map(
    lambda part: arm.Q_MIN + np.array(part) * (arm.Q_MAX - arm.Q_MIN)
)


@pytest.fixture(scope="module")
def mjcf() -> Scene:
    return Scene(camera_size=32)


@pytest.fixture(scope="module")
def urdf() -> pinocchio.Model:
    return pinocchio.buildModelFromUrdf(str(URDF))


def mujoco_tcp(scene: Scene, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    scene.set_joints(q)
    return scene.tcp(), scene.data.site("tcp").xmat.reshape(3, 3)


def pinocchio_tcp(model: pinocchio.Model, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    values = pinocchio.neutral(model)
    for name, value in zip(arm.JOINTS, q, strict=True):
        values[model.joints[model.getJointId(name)].idx_q] = value
    data = model.createData()
    pinocchio.framesForwardKinematics(model, data, values)
    pose = data.oMf[model.getFrameId("tcp")]
    return pose.translation, pose.rotation


@settings(max_examples=60, deadline=None)
@given(q=postures)
def test_table_urdf_and_mjcf_agree(mjcf, urdf, q):
    pose = arm.forward(q)
    for position, rotation in (mujoco_tcp(mjcf, q), pinocchio_tcp(urdf, q)):
        assert np.abs(position - pose[:3, 3]).max() <= TOLERANCE
        assert np.abs(rotation - pose[:3, :3]).max() <= TOLERANCE


def test_limits_are_the_same_everywhere(mjcf):
    urdf_limits = {
        joint.get("name"): joint.find("limit").attrib
        for joint in ET.parse(URDF).getroot().iter("joint")
        if joint.find("limit") is not None
    }
    for i, name in enumerate(arm.JOINTS):
        low, high = mjcf.model.joint(name).range
        assert (low, high) == pytest.approx((arm.Q_MIN[i], arm.Q_MAX[i]))
        assert float(urdf_limits[name]["lower"]) == pytest.approx(arm.Q_MIN[i])
        assert float(urdf_limits[name]["upper"]) == pytest.approx(arm.Q_MAX[i])
        assert float(urdf_limits[name]["velocity"]) == pytest.approx(arm.DQ_MAX[i])


@settings(max_examples=30, deadline=None)
@given(q=postures)
def test_jacobian_is_the_derivative_of_the_position(q):
    step = 1e-6
    _, jacobian = arm.jacobian(q)
    for i in range(7):
        moved = q + step * np.eye(8)[i]
        slope = (arm.tcp_position(moved) - arm.tcp_position(q)) / step
        assert np.allclose(slope, jacobian[:3, i], atol=1e-5)


def test_a_batch_gives_what_single_postures_give():
    q = np.random.default_rng(0).uniform(arm.Q_MIN, arm.Q_MAX, (3, 4, 8))
    together = arm.forward(q)
    assert together.shape == (3, 4, 4, 4)
    assert np.allclose(together[2, 1], arm.forward(q[2, 1]))


def test_home_is_within_limits_and_points_down():
    assert np.all((arm.HOME_Q >= arm.Q_MIN) & (arm.HOME_Q <= arm.Q_MAX))
    assert np.allclose(arm.forward(arm.HOME_Q)[:3, :3], np.diag([1.0, -1.0, -1.0]), atol=1e-12)
