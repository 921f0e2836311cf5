"""The publisher gives up, dies or comes anew: the gate knows, and reset and enable go on."""

from __future__ import annotations

import signal
import time

import pytest
import yaml
from harness import ROBOT_FILE, Graph, PlanSource, assert_within_limits
from test_faults_below import moving, stays

DOMAIN = 60
PUBLISHER = "joint_command_publisher"


@pytest.fixture
def arm():
    """The lower half, moving joint1 at a constant speed."""
    with Graph(DOMAIN, leave_out=("pipeline", "system_monitor")) as graph:
        graph.wait_active()
        source = PlanSource(graph.watcher)
        source.start()
        moving(graph, source)
        graph.source = source
        yield graph
        source.running = False


def latched(graph, within, fault_ns):
    """Wait until the gate is latched by its publisher; return its cause."""
    watcher = graph.watcher
    graph.wait(lambda: watcher.state == "LATCHED", within + 1.0, "gate LATCHED")
    ns, _, cause = next(s for s in watcher.states if s[0] > fault_ns and "publisher" in s[2])
    print(f"gate stops after {(ns - fault_ns) * 1e-6:.0f} ms: {cause}")
    assert (ns - fault_ns) * 1e-9 <= within
    assert cause.startswith("publisher: ")
    return cause


def goes_on(graph):
    """Reset and enable, without a stop before; the arm moves again.

    A publisher that was killed is remembered for 5 s by Fast DDS, and until then is a second one.
    """
    watcher = graph.watcher
    graph.wait(lambda: watcher.call("reset")[0], 12.0, "reset accepted")
    stays(graph, 0.3)
    start = time.monotonic_ns()
    ok, message = watcher.call("enable")
    assert ok, message
    moving(graph, graph.source)
    assert watcher.state in ("ACTIVE", "SLOW")
    assert_within_limits(watcher.after(start), graph.robot)


def test_publisher_killed_and_started_anew(arm):
    fault = arm.kill(PUBLISHER)
    assert "silent" in latched(arm, 0.25 + 0.05, fault)
    time.sleep(1.1)
    ok, message = arm.watcher.call("reset")
    assert not ok and "not heard on /vla/command_state" in message
    arm.children[PUBLISHER].start()
    stays(arm)
    goes_on(arm)


def test_publisher_started_anew_at_once(arm):
    """No enable of the gate comes before it; it must not stay waiting beside an ACTIVE gate."""
    fault = arm.kill(PUBLISHER)
    arm.wait(lambda: arm.children[PUBLISHER].pid is None, 2.0, "publisher dead")
    arm.children[PUBLISHER].start()
    latched(arm, 0.25 + 0.05, fault)
    goes_on(arm)


def test_publisher_stopped_for_a_moment(arm):
    fault = arm.kill(PUBLISHER, signal.SIGSTOP)
    time.sleep(0.5)
    arm.kill(PUBLISHER, signal.SIGCONT)
    latched(arm, 0.25 + 0.05, fault)
    goes_on(arm)


def test_publisher_latched_because_the_gate_stood_still_for_a_moment(arm):
    arm.kill("safety_gate", signal.SIGSTOP)
    time.sleep(0.3)
    fault = arm.kill("safety_gate", signal.SIGCONT)
    # Whichever the gate looks at first: the state that the publisher told, or since when it told.
    causes = ("lease lost", "joint_command_publisher is silent")
    cause = latched(arm, 0.1 + 0.05, fault)
    assert any(text in cause for text in causes)
    stays(arm)
    goes_on(arm)


def test_publisher_with_another_robot_file(tmp_path):
    """In its file joint 1 is slower: it refuses what is faster, and the arm stands."""
    document = yaml.safe_load(ROBOT_FILE.read_text(encoding="utf-8"))
    document["/**"]["ros__parameters"]["joint_limits"]["joint1"]["max_velocity"] = 0.1
    other = tmp_path / ROBOT_FILE.name
    other.write_text(yaml.safe_dump(document), encoding="utf-8")
    left_out = ("pipeline", "system_monitor")
    with Graph(DOMAIN, left_out, other_files={PUBLISHER: other}) as graph:
        graph.wait_active()
        source = PlanSource(graph.watcher)
        source.start()
        begun, watcher = time.monotonic_ns(), graph.watcher
        graph.wait(lambda: watcher.state == "LATCHED", 15.0, "gate LATCHED")
        ns, _, cause = watcher.states[-1]
        print(f"gate latches {(ns - begun) * 1e-9:.2f} s after plans began")
        assert 3.0 <= (ns - begun) * 1e-9 <= 4.5  # the first ones begin softly, and are followed
        assert cause.startswith(f"publisher: {PUBLISHER} follows no path that is sent"), (
            graph.explain()
        )
        stays(graph)
        assert max(abs(sample.velocity[0]) for sample in watcher.desired) <= 0.11
        said = watcher.diagnostics[f"{PUBLISHER}: Output"][1]
        assert "outside the joint limits" in said
        assert_within_limits(watcher.desired, graph.robot)
        source.running = False
