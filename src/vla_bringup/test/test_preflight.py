"""Bad input: each ends before anything starts, with file, key, value and what is allowed."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, BundleFolder, RobotFile, share_of

from vla_bringup.core import preflight
from vla_bringup.core.graph import Options
from vla_bringup.core.lock import AlreadyRunning, InstanceLock, instance_lock, lock_file
from vla_common.core.errors import ConfigError


def check(robot: RobotFile | str, bundle: BundleFolder | str | None) -> preflight.Plan:
    name = robot if isinstance(robot, str) else robot.write()
    folder = str(bundle.path) if isinstance(bundle, BundleFolder) else bundle
    return preflight.plan(name, folder, Options(), share_of)


def refusal(robot: RobotFile | str, bundle: BundleFolder | str | None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        check(robot, bundle)
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


def test_the_shipped_robot_file_passes(bundle: BundleFolder) -> None:
    plan = check("sim_arm", bundle)
    assert "sim_arm" in {p.name for p in plan.processes}
    assert plan.options.bundle == bundle.path.resolve()


def test_a_copy_of_the_robot_file_passes(robot: RobotFile, bundle: BundleFolder) -> None:
    assert check(robot, bundle).robot.identity.name == "sim_arm"


# --- the robot ---------------------------------------------------------------------------------
def test_unknown_robot_lists_the_known_ones(bundle: BundleFolder) -> None:
    error = refusal("sim_amr", bundle)
    assert (error.key, error.value) == ("robot", "sim_amr")
    assert "did you mean 'sim_arm'" in error.allowed


def test_a_robot_file_that_is_not_there(bundle: BundleFolder) -> None:
    assert "no_such.yaml" in str(refusal("./no_such.yaml", bundle))


def _set(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        for key in path[:-1]:
            values = values[key]
        values[path[-1]] = value

    return change


def _drop(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(values: dict[str, Any]) -> None:
        for key in path[:-1]:
            values = values[key]
        del values[path[-1]]

    return change


LIMIT = ("joint_limits", "joint3")


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (_set("safty", value={}), "safty"),
        (_set("safety", "leese_ms", value=60.0), "safety.leese_ms"),
        (_set("control", value={"rate": "fast"}), "control.rate"),
        (_set(*LIMIT, "max_velocity", value=math.nan), "joint_limits.joint3.max_velocity"),
        (_set(*LIMIT, "max_velocity", value=-1.0), "joint_limits.joint3.max_velocity"),
        (_set(*LIMIT, "max_acceleration", value=0.0), "joint_limits.joint3.max_acceleration"),
        (_set(*LIMIT, "min_position", value=3.0), "joint_limits.joint3.min_position"),
        (_set(*LIMIT, "has_velocity_limits", value=False), "joint_limits.joint3.has_velocity"),
        (_drop(*LIMIT), "joint_limits.joint3"),
        (_drop("joint_limits"), "joint_limits"),
        (_set("joint_limits", "joint9", value={}), "joint_limits.joint9"),
        (_set("cameras", "front", "width", value=0), "cameras.front.width"),
        (_set("cameras", "front", "encoding", value="jpeg"), "cameras.front.encoding"),
        (_set("workspace", "room", "high", value=[-1.0, 0.0, 0.0]), "workspace.room.low"),
        (_set("workspace", "room", "frames", value=["flange"]), "workspace.room.frames"),
        (_set("collision", "table", "size", value=[1.0, 1.0, 0.6]), "kinematics.exclude_pairs"),
        (_drop("kinematics", "exclude_pairs"), "kinematics.exclude_pairs"),
    ],
)
def test_a_mistake_in_the_robot_file(
    change: Callable[[dict[str, Any]], None], key: str, robot: RobotFile, bundle: BundleFolder
) -> None:
    change(robot.values)
    error = refusal(robot, bundle)
    assert error.where == str(robot.path)
    assert error.key.startswith(key)
    assert error.allowed


def test_a_file_that_is_not_yaml(robot: RobotFile, bundle: BundleFolder) -> None:
    robot.path.write_text("a: [")
    with pytest.raises(ConfigError, match=str(robot.path)):
        check(str(robot.path), bundle)


# --- the URDF ----------------------------------------------------------------------------------
def test_a_joint_that_the_urdf_does_not_have(robot: RobotFile, bundle: BundleFolder) -> None:
    values = robot.values
    values["robot"]["joints"][0] = "shoulder"
    values["joint_limits"]["shoulder"] = values["joint_limits"].pop("joint1")
    error = refusal(robot, bundle)
    assert (error.key, error.value) == ("robot.joints", "shoulder")
    assert "joint1" in error.allowed


def test_a_limit_wider_than_the_urdf(robot: RobotFile, bundle: BundleFolder) -> None:
    robot.values["joint_limits"]["joint2"]["max_position"] = 3.0
    error = refusal(robot, bundle)
    assert error.key == "joint_limits.joint2.max_position"
    assert "sim_arm.urdf" in error.allowed


def test_a_frame_that_the_urdf_does_not_have(robot: RobotFile, bundle: BundleFolder) -> None:
    robot.values["robot"]["tcp_frame"] = "finger_tip"
    assert refusal(robot, bundle).key == "robot.tcp_frame"


@pytest.mark.parametrize("uri", ["package://no_such_package/arm.urdf", "/no/such/arm.urdf"])
def test_a_urdf_that_is_not_there(uri: str, robot: RobotFile, bundle: BundleFolder) -> None:
    robot.values["robot"]["urdf"] = uri
    error = refusal(robot, bundle)
    assert (error.key, error.value) == ("robot.urdf", uri)


def test_a_urdf_that_is_not_xml(tmp_path: Path, robot: RobotFile, bundle: BundleFolder) -> None:
    file = tmp_path / "arm.urdf"
    file.write_text("<robot>")
    robot.values["robot"]["urdf"] = str(file)
    assert refusal(robot, bundle).where == str(file)


# --- the bundle --------------------------------------------------------------------------------
def test_a_missing_bundle_named_on_the_command_line() -> None:
    error = refusal("sim_arm", "no_such_bundle")
    assert (error.where, error.key, error.value) == ("command line", "bundle", "no_such_bundle")


def test_a_missing_bundle_named_in_the_robot_file(robot: RobotFile) -> None:
    robot.values["model"]["bundle"] = "no_such_bundle"
    error = refusal(robot, None)
    assert (error.where, error.key) == (str(robot.path), "model.bundle")


def test_a_bundle_found_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bundle: BundleFolder
) -> None:
    bundle.path.rename(bundle.path.with_name("by_name"))
    monkeypatch.setenv("VLA_BUNDLES", str(tmp_path / "bundles"))
    assert check("sim_arm", "by_name").bundle_path.name == "by_name"


def test_a_corrupt_file_in_the_bundle(bundle: BundleFolder) -> None:
    (bundle.path / "policy.onnx").write_bytes(b"damaged")
    error = refusal("sim_arm", bundle)
    assert error.where == str(bundle.path / "bundle.yaml")
    assert error.key == "files.policy.onnx"


def test_a_file_missing_from_the_bundle(bundle: BundleFolder) -> None:
    (bundle.path / "vision.onnx").unlink()
    assert refusal("sim_arm", bundle).key == "files.vision.onnx"


def test_an_unknown_key_in_the_bundle(bundle: BundleFolder) -> None:
    bundle.manifest["horizons"] = 16
    bundle.write()
    assert refusal("sim_arm", bundle).key == "horizons"


@pytest.mark.parametrize("order", [["joint2", "joint1"], ["joint1", "elbow"]])
def test_a_bundle_for_other_joints(order: list[str], bundle: BundleFolder) -> None:
    bundle.manifest["joints"][:2] = order
    bundle.write()
    error = refusal("sim_arm", bundle)
    assert error.key == "joints"
    assert "joint1" in error.allowed


def test_a_camera_of_another_size(robot: RobotFile, bundle: BundleFolder) -> None:
    robot.values["cameras"]["front"]["width"] = 640
    error = refusal(robot, bundle)
    assert error.where == str(robot.path)
    assert error.key.startswith("cameras.front")


def test_a_camera_that_the_robot_lacks(bundle: BundleFolder) -> None:
    bundle.manifest["cameras"][0]["name"] = "ceiling"
    bundle.write()
    assert refusal("sim_arm", bundle).value == "ceiling"


# --- a second instance -------------------------------------------------------------------------
def test_a_second_instance_is_refused_and_the_first_one_named(tmp_path: Path) -> None:
    first = InstanceLock(tmp_path / "lock", "46")
    first.acquire()
    second = InstanceLock(tmp_path / "lock", "46")
    with pytest.raises(AlreadyRunning, match=rf"process {os.getpid()} .* ROS_DOMAIN_ID"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()


def test_the_lock_goes_with_the_process_that_held_it(tmp_path: Path) -> None:
    code = (
        "import sys, os, signal; from pathlib import Path\n"
        "from vla_bringup.core.lock import InstanceLock\n"
        "InstanceLock(Path(sys.argv[1]), '0').acquire(); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "lock")], check=False)
    InstanceLock(tmp_path / "lock", "0").acquire()


def test_each_domain_has_its_own_lock(tmp_path: Path) -> None:
    here = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert lock_file({**here, "ROS_DOMAIN_ID": "1"}) != lock_file({**here, "ROS_DOMAIN_ID": "2"})
    assert lock_file(here) == lock_file({**here, "ROS_DOMAIN_ID": "0"})
    assert instance_lock({"XDG_RUNTIME_DIR": "/no/such/folder"}).path.parent.is_dir()


# --- the command -------------------------------------------------------------------------------
def test_the_command_ends_with_2_and_one_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "vla_bringup.runner", "--robot", "sim_amr", "--no-view"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: command line: robot = 'sim_amr' is not allowed")
    assert len(ended.stderr.splitlines()) == 1
    assert not list(tmp_path.iterdir()), "nothing was started, so nothing was logged"


def test_a_report_that_cannot_be_written_is_refused_first(bundle: BundleFolder) -> None:
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "vla_bringup.runner", "--validate-only"),
            *("--bundle", str(bundle.path), "--report", "/no/such/folder/out.json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "report = '/no/such/folder/out.json'" in ended.stderr


def test_the_test_double_of_the_package_index_has_the_shipped_urdf() -> None:
    assert (share_of("vla_sim") / "models" / "sim_arm.urdf").is_file()
    assert (ROOT / "config" / "robots").is_dir()
