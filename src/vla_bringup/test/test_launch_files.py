"""The launch files, with the real launch wherever it is installed."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT, BundleFolder

WHY = "launch and launch_ros are not installed: they come with a ROS distribution, not as wheels"
launch = pytest.importorskip("launch", reason=WHY)
pytest.importorskip("launch_ros", reason=WHY)


def load(name: str) -> ModuleType:
    path = ROOT / "launch" / name
    spec = importlib.util.spec_from_file_location(path.stem.replace(".", "_"), path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arguments(name: str) -> dict[str, launch.actions.DeclareLaunchArgument]:
    description = load(name).generate_launch_description()
    return {
        entity.name: entity
        for entity in description.entities
        if isinstance(entity, launch.actions.DeclareLaunchArgument)
    }


@pytest.mark.parametrize("name", ["robot.launch.py", "sim.launch.py"])
def test_arguments_come_first_and_are_described(name: str) -> None:
    entities = load(name).generate_launch_description().entities
    kinds = [isinstance(e, launch.actions.DeclareLaunchArgument) for e in entities]
    assert kinds == sorted(kinds, reverse=True)
    assert all(argument.description for argument in arguments(name).values())


def test_robot_launch_has_the_promised_arguments() -> None:
    found = arguments("robot.launch.py")
    assert set(found) == {"robot", "bundle", "instruction", "use_sim", "log_level"}
    assert "sim_arm" in found["robot"].choices
    assert found["use_sim"].choices == ["auto", "true", "false"]
    assert "debug" in found["log_level"].choices


def started(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, **given: str) -> list:
    from vla_bringup import launching

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    context = launch.LaunchContext()
    for key, argument in arguments(name).items():
        default = argument.default_value[0].text if argument.default_value else ""
        context.launch_configurations[key] = given.get(key, default)
    start = launching.start_robot if name == "robot.launch.py" else launching.start_simulator
    nodes = start(context)
    for lock in launching._held:
        lock.release()
    launching._held.clear()
    return nodes


def test_launch_and_runner_start_the_same_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bundle: BundleFolder
) -> None:
    from vla_bringup.core import preflight
    from vla_bringup.core.graph import Options
    from vla_common.core.urdf import installed_share

    nodes = started("robot.launch.py", monkeypatch, tmp_path, bundle=str(bundle.path))
    plan = preflight.plan("sim_arm", str(bundle.path), Options(), installed_share)
    assert [(n.node_package, n.node_executable) for n in nodes] == [
        (p.package, p.executable) for p in plan.processes
    ]


def test_sim_launch_starts_the_simulator_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nodes = started("sim.launch.py", monkeypatch, tmp_path, seed="3")
    assert [n.node_executable for n in nodes] == ["sim_arm"]


def test_a_mistake_ends_launch_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from vla_common.core.errors import ConfigError

    with pytest.raises(ConfigError, match="no_such_bundle"):
        started("robot.launch.py", monkeypatch, tmp_path, bundle="no_such_bundle")
