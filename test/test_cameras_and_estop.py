"""Camera faults and emergency stops injected while the arm moves: is it stopped, and how soon?

What camera_ingest says comes from the test, as the plans do, so that each fault is the only thing
that is wrong; that it says it is tested with it. The bounds are those of the hazard table.
"""

from __future__ import annotations

import time
from pathlib import Path

import harness
import pytest
import yaml
from harness import ROBOT_FILE, Graph, PlanSource, wait
from test_faults_below import arm, check, moving, stays  # noqa: F401

TICK = 0.02
PLUGIN = '''
import os, time

class Button:
    """Does what the file says that the environment names."""

    def __init__(self, robot):
        self.path = os.environ["ESTOP_TEST_FILE"]

    def pressed(self):
        with open(self.path) as file:
            word = file.read()
        if word == "hang":
            time.sleep(30.0)
        if word == "raise":
            raise OSError("cable")
        return word != "released"
'''


def camera_fault(graph, change, kind, within):
    """Inject a fault of the camera reports; the gate holds by name, then goes on by itself."""
    fault = time.monotonic_ns()
    graph.cameras.tamper = change
    check(graph, fault, within)
    assert graph.watcher.state == "HOLD"
    assert graph.watcher.safety.cause.startswith(kind), graph.watcher.safety.cause
    stays(graph)
    level, text, _ = graph.watcher.diagnostics["safety_gate: Cameras"]
    assert level == 2, text
    graph.cameras.tamper = lambda message: message
    wait(lambda: graph.watcher.state in ("ACTIVE", "SLOW"), 3.0, "active again")
    wait(lambda: graph.watcher.speed() > 0.1, 5.0, "moving again")


@pytest.mark.parametrize(
    ("field", "value", "kind"),
    [
        ("age_ms", 151.0, "camera_stale"),
        ("repeated", 5, "camera_frozen"),
        ("dark", 10, "camera_dark"),
    ],
)
def test_a_faulty_camera(arm, field, value, kind):  # noqa: F811
    def change(message):
        getattr(message, field)[1] = value
        return message

    camera_fault(arm, change, f"{kind}: wrist", 0.05 + 2 * TICK)


def test_camera_ingest_silent(arm):  # noqa: F811
    camera_fault(arm, lambda message: None, "camera_health_lost", 0.200)


def test_estop_service(arm):  # noqa: F811
    fault = time.monotonic_ns()
    ok, message = arm.watcher.call("estop")
    assert ok, message
    check(arm, fault, 0.160)
    wait(lambda: arm.watcher.state == "LATCHED", 2.0, "latched")
    assert arm.watcher.safety.cause == "estop_pressed: ~/estop"
    assert not arm.watcher.call("enable")[0]
    wait(lambda: arm.watcher.call("reset")[0], 4.0, "reset accepted")
    stays(arm, 0.3)
    assert arm.watcher.state == "READY"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The lower half with an e-stop source in the gate's process; ``say(word)`` tells it."""
    (tmp_path / "estop_test_plugin.py").write_text(PLUGIN)
    word = tmp_path / "word"
    word.write_text("released")
    paths = f"{tmp_path}:{harness.os.environ.get('PYTHONPATH', '')}"
    monkeypatch.setenv("PYTHONPATH", paths)
    monkeypatch.setenv("ESTOP_TEST_FILE", str(word))
    document = yaml.safe_load(ROBOT_FILE.read_text())
    safety = document["/**"]["ros__parameters"]["safety"]
    safety["estop_plugin"] = "estop_test_plugin:Button"
    file = tmp_path / "sim_arm.yaml"
    file.write_text(yaml.safe_dump(document))
    with Graph(64, ("pipeline", "system_monitor"), file) as graph:
        graph.wait_active()
        source = PlanSource(graph.watcher)
        source.start()
        moving(graph, source)

        def say(text):
            replacement = Path(f"{word}.new")
            replacement.write_text(text)
            replacement.replace(word)

        graph.say = say
        yield graph
        source.running = False


@pytest.mark.parametrize(
    ("word", "cause", "within"),
    [
        ("pressed", "estop_pressed", 0.050),
        ("raise", "estop_pressed", 0.050),
        ("hang", "estop_heartbeat_lost", 0.160),
    ],
)
def test_own_source(own, word, cause, within):
    fault = time.monotonic_ns()
    own.say(word)
    check(own, fault, within)
    wait(lambda: own.watcher.state == "LATCHED", 2.0, "latched")
    assert own.watcher.safety.cause.startswith(f"{cause}: estop_plugin")
    assert not own.watcher.call("reset")[0]
    stays(own)
