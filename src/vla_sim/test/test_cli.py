"""Short options become ROS arguments, in front of those given."""

import pytest

from vla_sim.cli import ros_arguments


def test_options_become_ros_arguments():
    argv = ["sim_arm", "--robot", "r.yaml", "--seed", "7", "--video", "v.mp4", "--record", "d"]
    assert ros_arguments(argv) == [
        "sim_arm", "--ros-args", "--params-file", "r.yaml",
        "-p", "seed:=7", "-p", "video:=v.mp4", "-p", "record:=d",
    ]  # fmt: skip


def test_ros_arguments_pass_through_and_win():
    given = ["--ros-args", "--params-file", "x.yaml", "-p", "seed:=3"]
    assert ros_arguments(["sim_arm", *given]) == ["sim_arm", *given]
    mixed = ros_arguments(["sim_arm", "--seed", "7", *given])
    assert mixed == ["sim_arm", "--ros-args", "-p", "seed:=7", "--", *given]


def test_a_wrong_option_ends_with_usage(capsys):
    with pytest.raises(SystemExit) as stop:
        ros_arguments(["sim_arm", "--sed", "7"])
    assert stop.value.code == 2
    assert "usage: sim_arm" in capsys.readouterr().err
