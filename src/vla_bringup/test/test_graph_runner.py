"""The runner with small stand-ins for the nodes: restart, order of stopping, no orphans."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from vla_bringup import graph_runner
from vla_bringup.child import Child, command
from vla_bringup.core.graph import Process
from vla_bringup.graph_runner import GraphFailed, GraphRunner, run_folder
from vla_common.core.errors import UserError

# Writes "<name> <event>" to the journal that $JOURNAL names, then waits.
NODE = """#!{python}
import os, signal, sys, time
name = os.path.basename(sys.argv[0])
def note(event):
    with open(os.environ["JOURNAL"], "a") as stream:
        stream.write(f"{{name}} {{event}}\\n")
def end(number, frame):
    note(signal.Signals(number).name)
    if os.environ.get("STUBBORN") != name:
        sys.exit(0)
signal.signal(signal.SIGINT, end)
signal.signal(signal.SIGTERM, end)
note("start")
if os.environ.get("BROKEN") == name:
    print("cannot configure: bad luck")
    sys.exit(1)
while True:
    time.sleep(0.01)
"""


def wait_for(condition: Callable[[], bool], timeout: float = 20.0) -> None:
    end = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


class Stage:
    """A prefix with stand-in executables, and their journal."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.journal = path / "journal"
        self.journal.touch()
        self.announced: list[str] = []

    def process(self, name: str, respawn: bool = True, nodes: tuple[str, ...] = ()) -> Process:
        file = self.path / "lib" / "pkg" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(NODE.format(python=sys.executable))
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return Process(name, "pkg", name, nodes or (name,), Path("robot.yaml"), {}, "info", respawn)

    def runner(self, *processes: Process, **environment: str) -> GraphRunner:
        logs = self.path / "logs"
        logs.mkdir(exist_ok=True)
        return GraphRunner(
            processes,
            lambda package: self.path,
            logs,
            {**os.environ, "JOURNAL": str(self.journal), **environment},
            self.announced.append,
        )

    def lines(self) -> list[str]:
        return self.journal.read_text().splitlines()


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_start_and_stop_in_order(stage: Stage) -> None:
    names = ("sim_arm", "publisher", "gate", "pipeline")
    runner = stage.runner(*(stage.process(name) for name in names))
    runner.start()
    try:
        wait_for(lambda: len(stage.lines()) == len(names))
        pids = list(runner.pids().values())
    finally:
        assert runner.stop() == []
    ended = [line for line in stage.lines() if "SIGINT" in line]
    assert ended == [f"{name} SIGINT" for name in reversed(names)]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_the_arm_gets_time_to_rest_after_the_planner(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    real = time.sleep
    monkeypatch.setattr(graph_runner.time, "sleep", lambda s: (slept.append(s), real(s)))
    runner = stage.runner(stage.process("gate"), stage.process("pipe", nodes=("vla_inference",)))
    runner.start()
    wait_for(lambda: len(stage.lines()) == 2)
    runner.stop()
    assert graph_runner.REST in slept


def test_a_killed_process_is_started_again(stage: Stage) -> None:
    runner = stage.runner(stage.process("gate"))
    runner.start()
    try:
        wait_for(lambda: stage.lines() == ["gate start"])
        first = runner.pids()["gate"]
        os.kill(first, signal.SIGKILL)

        def again() -> bool:
            runner.poll(time.monotonic_ns())
            return stage.lines() == ["gate start", "gate start"]

        wait_for(again)
        assert runner.pids()["gate"] != first
        assert runner.restarts() == {"gate": 1}
        assert "gate ended (signal SIGKILL)" in stage.announced[0]
    finally:
        runner.stop()


def test_a_process_that_cannot_start_ends_the_graph_with_its_log(stage: Stage) -> None:
    runner = stage.runner(stage.process("gate"), BROKEN="gate")
    runner.start()
    with pytest.raises(GraphFailed, match=r"(?s)gate ended: exit code 1.*bad luck"):
        wait_for(lambda: runner.poll(time.monotonic_ns()))
    runner.stop()


def test_the_end_of_the_simulator_ends_the_graph(stage: Stage) -> None:
    runner = stage.runner(stage.process("sim_arm", respawn=False))
    runner.start()
    wait_for(lambda: len(stage.lines()) == 1)
    os.kill(runner.pids()["sim_arm"], signal.SIGKILL)
    with pytest.raises(GraphFailed, match="not restarted"):
        wait_for(lambda: runner.poll(time.monotonic_ns()))


def test_a_stubborn_process_is_killed_in_the_end(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = tuple((number, 0.3) for number, _ in graph_runner.ESCALATION)
    monkeypatch.setattr(graph_runner, "ESCALATION", quick)
    runner = stage.runner(stage.process("gate"), STUBBORN="gate")
    runner.start()
    wait_for(lambda: len(stage.lines()) == 1)
    assert runner.stop() == ["gate"]
    assert stage.lines() == ["gate start", "gate SIGINT", "gate SIGTERM"]
    assert runner.pids() == {}


def test_children_die_with_a_runner_that_was_killed(stage: Stage) -> None:
    """A runner that is gone cannot stop anything: the kernel does."""
    stage.process("gate")
    code = (
        "import sys, os, time; from pathlib import Path\n"
        "from vla_bringup.child import Child\n"
        "child = Child('gate', [sys.argv[1]], Path(sys.argv[2]), dict(os.environ))\n"
        "child.start(); print(child.pid, flush=True); time.sleep(60)\n"
    )
    words = [str(stage.path / "lib/pkg/gate"), str(stage.path / "log")]
    environment = {**os.environ, "JOURNAL": str(stage.journal)}
    with subprocess.Popen(
        [sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        wait_for(lambda: stage.lines() == ["gate start"])
        parent.kill()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_ctrl_c_in_the_terminal_does_not_reach_the_children(stage: Stage) -> None:
    runner = stage.runner(stage.process("gate"))
    runner.start()
    try:
        assert os.getpgid(runner.pids()["gate"]) != os.getpgid(0)
    finally:
        runner.stop()


def test_an_executable_that_was_not_built(tmp_path: Path, stage: Stage) -> None:
    process = stage.process("gate")
    with pytest.raises(UserError, match="make build"):
        command(process, tmp_path / "elsewhere")


def test_tail_of_a_log_that_is_not_there(tmp_path: Path) -> None:
    assert Child("a", ["true"], tmp_path / "none", {}).tail() == []


def test_old_logs_go(tmp_path: Path) -> None:
    for number in range(5):
        folder = tmp_path / f"20200101-00000{number}"
        folder.mkdir()
        (folder / "gate.log").touch()
    (tmp_path / "mine").mkdir()
    newest = run_folder(tmp_path, keep=3)
    left = sorted(p.name for p in tmp_path.iterdir())
    assert newest.is_dir()
    assert len(left) == 4
    assert "mine" in left
    assert "20200101-000004" in left
