"""The shipped robot files: each is loaded as it is run, and says where its limits come from."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
import yaml
from conftest import ROOT, share_of

from vla_bringup.core import places
from vla_command.core.checks import Bounds
from vla_command.core.controller_check import PARAMETERS, judge, node_of
from vla_common.core import robot as robot_file
from vla_common.core.robot import Robot
from vla_common.core.urdf import read
from vla_common.node import VlaNode
from vla_safety.core.gate import Gate
from vla_safety.core.limits import limits_of

JOINTS = {"fr3": 7, "ur5e": 6, "dual_ur5e": 12, "so101": 6, "sim_arm": 8}
FILES = places.robot_files((ROOT,))
REAL = sorted(set(JOINTS) - {"sim_arm"})
SOURCE = re.compile(r"github\.com/[\w.-]+/[\w.-]+|[Nn]ot published|[Oo]urs")


def load(name: str) -> Robot:
    return robot_file.load(FILES[name], share_of)


def test_these_are_the_robots_that_are_shipped() -> None:
    assert set(FILES) == set(JOINTS)


@pytest.mark.parametrize("name", JOINTS)
def test_a_robot_file_loads_and_gate_and_publisher_take_its_limits(name: str) -> None:
    robot = load(name)
    assert robot.identity.name == name
    assert len(robot.joints) == JOINTS[name]
    limits = limits_of(robot)
    assert limits.names == robot.joints
    scale = robot.safety.velocity_scale
    np.testing.assert_allclose(limits.v_max, robot.bound("max_velocity") * scale)
    home = np.array(robot.identity.home)
    assert ((limits.q_min <= home) & (home <= limits.q_max)).all()
    assert Gate(robot).limits.joints == JOINTS[name]
    assert Bounds.of(robot).joints == robot.joints


@pytest.mark.parametrize("name", JOINTS)
def test_ros_reads_the_same_as_we_do(name: str) -> None:
    """ROS's own parser knows no anchors and no lists of mixed numbers."""
    context = rclpy.Context()
    arguments = ["--ros-args", "--params-file", str(FILES[name])]
    rclpy.init(context=context, args=arguments, domain_id=62)
    node = VlaNode("reader", context=context)
    try:
        robot = node._read_robot()
    finally:
        node.diagnostics.stop()
        node.destroy_node()
        rclpy.shutdown(context=context)
    ours = load(name)
    assert (robot.identity, robot.limits, robot.cameras) == (
        ours.identity,
        ours.limits,
        ours.cameras,
    )
    assert (robot.safety, robot.controller) == (ours.safety, ours.controller)


def limit_lines(text: str) -> Iterator[str]:
    """Yield the lines under ``joint_limits`` that hold a number."""
    inside = False
    for line in text.splitlines():
        if re.match(r" {4}\w", line):
            inside = line.startswith("    joint_limits:")
        if inside and re.search(r":\s*[-+.\d]", line):
            yield line.strip()


@pytest.mark.parametrize("name", JOINTS)
def test_each_limit_names_its_source(name: str) -> None:
    text = FILES[name].read_text(encoding="utf-8")
    header = text[: text.index("/**:")]
    sources = dict(re.findall(r"^#   (\[\d\]) (.*(?:\n# {5,}.*)*)", header, re.MULTILINE))
    assert re.search(r"read \d{4}-\d{2}", header)
    for mark, words in sources.items():
        assert SOURCE.search(words), f"{name}: {mark} names no source: {words}"
    lines = list(limit_lines(text))
    stated = sum(
        isinstance(value, float)
        for joint in load(name).parameters["joint_limits"].values()
        for value in joint.values()
    )
    assert len(lines) == stated >= 4 * JOINTS[name]
    used = set()
    for line in lines:
        marks = re.findall(r"# (\[\d\])$", line)
        assert marks, f"{name}: no source: {line}"
        used.update(marks)
    assert used == set(sources)


@pytest.mark.parametrize("name", REAL)
def test_a_real_arm_starts_carefully(name: str) -> None:
    robot = load(name)
    assert not robot.identity.simulated
    assert robot.controller.dry_run
    assert robot.safety.estop_required
    assert not robot.safety.auto_enable
    assert robot.safety.velocity_scale <= 0.5


CONTROLLER = re.compile(r"^#   (\w+:\n#     ros__parameters:\n(?:#       .*\n)+)", re.MULTILINE)


def controller_in_comments(name: str) -> tuple[str, dict[str, Any]]:
    """Return the name and parameters of the controller that the comments of a file describe."""
    text = FILES[name].read_text(encoding="utf-8")
    (block,) = CONTROLLER.findall(text[: text.index("/**:")])
    ((node, value),) = yaml.safe_load(block.replace("\n#   ", "\n")).items()
    values = value["ros__parameters"]
    values["constraints.goal_time"] = values.pop("constraints")["goal_time"]
    return node, values


@pytest.mark.parametrize("humble", [False, True])
@pytest.mark.parametrize("name", REAL)
def test_the_controller_that_a_robot_file_describes_can_be_enabled(name: str, humble: bool) -> None:
    """Two files described one that is refused, the others none."""
    robot = load(name)
    node, values = controller_in_comments(name)
    assert f"/{node}" == node_of(robot.controller.topic, robot.controller.node)
    if humble:
        values["open_loop_control"] = values.pop("interpolate_from_desired_state")
    found = {key: values.get(key) for key in PARAMETERS[robot.controller.type]}
    assert judge(robot.controller.type, found, robot.joints, node) == ()


def test_the_fr3_stays_within_the_model_of_the_simulated_one() -> None:
    """The URDF of the simulator has the FR3's full range."""
    urdf = read(share_of("vla_sim") / "models" / "sim_arm.urdf")
    robot = load("fr3")
    for name, limit in zip(robot.joints, robot.limits):
        hardware = urdf.joint(name.removeprefix("fr3_"))
        assert hardware.lower is not None
        assert hardware.upper is not None
        assert hardware.velocity is not None
        assert hardware.lower < limit.min_position < limit.max_position < hardware.upper
        assert limit.max_velocity < hardware.velocity
        assert limit.max_effort == hardware.effort


def test_both_arms_of_a_pair_have_the_limits_of_one() -> None:
    one, pair = load("ur5e"), load("dual_ur5e")
    assert pair.limits == one.limits * 2
    assert pair.joints == tuple(
        f"{arm}_{joint}" for arm in ("alice", "bob") for joint in one.joints
    )


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "vla_bringup.runner", *words, "--no-view"],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "key", "allowed"),
    [
        ((), "model.bundle = 'my_fr3'", "a folder with a bundle.yaml made for this robot"),
        (("--bundle", "reach"), "joints", "the joints of fr3"),
        (("--use-sim", "true"), "robot.joints", "the joints of the simulated arm"),
    ],
)
def test_what_the_fr3_lacks_is_said_before_anything_starts(
    words: tuple[str, ...], key: str, allowed: str, tmp_path: Path
) -> None:
    ended = command(tmp_path, "--robot", "fr3", *words)
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1
    assert key in ended.stderr
    assert allowed in ended.stderr
    assert not list(tmp_path.iterdir())


def test_the_help_lists_the_robots(tmp_path: Path) -> None:
    shown = " ".join(command(tmp_path, "--help").stdout.split())
    assert ", ".join(sorted(JOINTS)) in shown
