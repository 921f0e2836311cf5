"""The graph: one pure function, the same for launch and for the runner."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from conftest import SIM_ARM, SIM_MODELS

from vla_bringup.core.graph import Options, Process, processes
from vla_common.core import robot as robot_file
from vla_common.core.robot import Robot

PLAIN = Options()


def graph(options: Options = PLAIN) -> tuple[Process, ...]:
    return processes(robot_file.load(SIM_ARM), SIM_ARM, options)


def by_name(found: tuple[Process, ...]) -> dict[str, Process]:
    return {p.name: p for p in found}


NODES = {
    "camera_ingest",
    "feature_cache",
    "vla_inference",
    "safety_gate",
    "joint_command_publisher",
    "system_monitor",
    "sim_arm",
}


@pytest.mark.parametrize("split", [False, True])
def test_every_node_is_in_exactly_one_process(split: bool) -> None:
    nodes = [node for process in graph(Options(split=split)) for node in process.nodes]
    assert sorted(nodes) == sorted(NODES)


def test_gate_and_publisher_never_share_a_process_with_inference() -> None:
    for process in graph():
        if "vla_inference" in process.nodes:
            assert not {"safety_gate", "joint_command_publisher"} & set(process.nodes)


def test_stopping_goes_from_the_planner_down_to_the_arm() -> None:
    stopped = [p.name for p in reversed(graph())]
    order = ["pipeline", "safety_gate", "joint_command_publisher", "sim_arm"]
    assert [name for name in stopped if name in order] == order


def test_split_gives_each_pipeline_node_its_own_process() -> None:
    found = by_name(graph(Options(split=True)))
    for name, package in (
        ("camera_ingest", "vla_camera"),
        ("feature_cache", "vla_features"),
        ("vla_inference", "vla_inference"),
    ):
        assert found[name].package == package
        assert found[name].nodes == (name,)


def test_simulator_follows_the_robot_file_unless_told() -> None:
    assert "sim_arm" in by_name(graph())
    assert "sim_arm" not in by_name(graph(Options(use_sim=False)))


def test_only_the_simulator_is_not_restarted() -> None:
    assert [p.name for p in graph() if not p.respawn] == ["sim_arm"]


def test_simulated_arm_has_something_to_do() -> None:
    for process in graph():
        assert process.overrides["model.instruction"] == "reach the red cube"


def test_an_empty_instruction_is_kept() -> None:
    for process in graph(Options(instruction="")):
        assert process.overrides["model.instruction"] == ""


def test_a_real_robot_waits_for_its_instruction() -> None:
    for process in graph(Options(use_sim=False)):
        assert "model.instruction" not in process.overrides


def test_options_reach_the_processes() -> None:
    options = Options(
        bundle=Path("/b"), seed=7, video=Path("/v.mp4"), log_level="debug", instruction="go"
    )
    found = by_name(graph(options))
    assert found["sim_arm"].overrides["seed"] == 7
    assert found["sim_arm"].overrides["video"] == "/v.mp4"
    assert "seed" not in found["pipeline"].overrides
    assert found["pipeline"].overrides["model.bundle"] == "/b"
    assert all(p.log_level == "debug" for p in found.values())


@pytest.mark.parametrize(
    "sentence", ["no", "1", "yes: {a", 'it\'s "red"', "ö ✓", "a:=b", "- x", "# y", ""]
)
def test_a_sentence_arrives_as_the_same_text_whatever_it_holds(sentence: str) -> None:
    words = graph(Options(instruction=sentence))[0].ros_arguments()
    given = next(w for w in words if w.startswith("model.instruction:="))
    assert yaml.safe_load(given.partition(":=")[2]) == sentence


def test_the_parameter_file_comes_before_the_overrides() -> None:
    words = graph()[0].ros_arguments()
    assert words.index("--params-file") < words.index("-p")


def test_the_function_is_pure() -> None:
    assert graph(Options(seed=3)) == graph(Options(seed=3))


def test_a_relative_urdf_reaches_the_nodes_as_an_absolute_path(tmp_path: Path) -> None:
    shutil.copy(SIM_MODELS / "vla_sim" / "models" / "sim_arm.urdf", tmp_path / "arm.urdf")
    document = yaml.safe_load(SIM_ARM.read_text())
    document["/**"]["ros__parameters"]["robot"]["urdf"] = "arm.urdf"
    path = tmp_path / "arm.yaml"
    path.write_text(yaml.safe_dump(document))
    found = processes(robot_file.load(path), path, PLAIN)
    assert {p.overrides["robot.urdf"] for p in found} == {str(tmp_path / "arm.urdf")}
    assert not any("robot.urdf" in p.overrides for p in graph())


def test_robot_is_the_shipped_one() -> None:
    assert isinstance(robot_file.load(SIM_ARM), Robot)
