"""A robot file that does not describe the simulated arm is refused; the shipped one is right."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from vla_common.core.errors import ConfigError
from vla_common.core.robot import from_parameters, load, read_parameters
from vla_sim.core import arm, streams
from vla_sim.core.faults import Faults, FaultyImages

FILE = Path(__file__).resolve().parents[3] / "config" / "robots" / "sim_arm.yaml"


def test_the_shipped_robot_file_has_the_published_limits():
    robot = load(FILE)
    streams.check(robot)
    assert robot.joints == arm.JOINTS
    np.testing.assert_array_equal(robot.bound("min_position"), arm.Q_MIN)
    np.testing.assert_array_equal(robot.bound("max_position"), arm.Q_MAX)
    np.testing.assert_array_equal(robot.bound("max_jerk"), arm.DDDQ_MAX)
    assert (robot.bound("max_velocity") <= arm.DQ_MAX).all()
    assert (robot.bound("max_acceleration") <= arm.DDQ_MAX).all()
    np.testing.assert_allclose(robot.identity.home, arm.HOME_Q, atol=1e-8)
    assert robot.safety.auto_enable
    assert robot.identity.simulated


def change(values, path, value):
    *way, last = path.split(".")
    for key in way:
        values = values[key]
    values[last] = value


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("cameras.front.encoding", "mono8", "cameras.front.encoding = 'mono8'.*rgb8, bgr8"),
        ("cameras.wrist.rate", 15.0, "cameras.wrist.rate = 15.0.*30"),
        ("controller.type", "forward_command", "controller.type = 'forward_command'"),
    ],
)
def test_what_the_simulator_has_not_is_refused(path, value, message):
    values = read_parameters(FILE)
    change(values, path, value)
    with pytest.raises(ConfigError, match=message):
        streams.check(from_parameters(values, "file.yaml"))


def test_other_joints_and_cameras_are_refused():
    robot = load(FILE)
    other = replace(robot, identity=replace(robot.identity, joints=("j1",)))
    with pytest.raises(ConfigError, match=r"robot.joints.*joint1, joint2"):
        streams.check(other)
    with pytest.raises(ConfigError, match=r"cameras.names = 'left'.*front, wrist"):
        streams.check(replace(robot, camera_names=("front", "left")))


def test_streams_at_fault_are_named():
    assert streams.named("silent", "", ("front",)) == frozenset()
    assert streams.named("silent", "front, joint_states", ("front",)) == {"front", "joint_states"}
    with pytest.raises(ConfigError, match=r"silent = 'back'.*front, joint_states"):
        streams.named("silent", "back", ("front",))
    with pytest.raises(ConfigError, match=r"dark = 'joint_states'.*any of front$"):
        streams.named("dark", "joint_states", ("front",))


def test_frozen_and_dark_cameras():
    faults, sent = Faults(("front", "wrist")), FaultyImages()

    def image(camera, shot):
        return sent.image(faults.names(), camera, shot)

    shots = list(np.random.default_rng(1).integers(60, 200, (4, 8, 8, 3), dtype=np.uint8))
    assert image("front", shots[0]) is shots[0]
    faults.set("frozen", "front")
    assert image("front", shots[1]) is shots[1]
    assert image("front", shots[2]) is shots[1]
    assert image("wrist", shots[2]) is shots[2]
    faults.set("frozen", "")
    faults.set("dark", "front")
    dark = [image("front", shot) for shot in shots]
    assert max(image.max() for image in dark) == 3
    assert not np.array_equal(dark[0], dark[1])
    assert not faults.silent("front")


def test_names_of_a_moment_do_not_change_afterwards():
    faults = Faults(("front",))
    before = faults.names()
    faults.set("silent", "front")
    assert not before["silent"] and faults.names()["silent"] == {"front"}
