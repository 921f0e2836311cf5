"""Each hazard injected into the lower half of the graph: is it found, answered, and in time?

Where the plan leads (objects, zones, the arm itself), what the arm does (held fast, moved, outside
its limits), how sure the policy is, the controller, and exceptions and clock steps in the gate's
process. Faults and bounds are those of `make reactions`, one injection of each; that the motion
kept to its limits, and the arm clear, by kinematics other than the gate's, is part of it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from itertools import groupby

import numpy as np
import pytest
from harness import ROOT, assert_within_limits, wait

sys.path[:0] = [str(ROOT / "bench" / "reactions"), str(ROOT / "bench")]

from fault import Fault  # noqa: E402
from hazards import HAZARDS, INSIDE  # noqa: E402
from rig import Rig  # noqa: E402
from run import injection  # noqa: E402
from space import Space  # noqa: E402
from table import Tally  # noqa: E402
from variants import VARIANTS  # noqa: E402

from vla_common.core.robot import load  # noqa: E402

DOMAIN = 67
TIME_TO_TELL = 1.1
"""[s] until a count is heard that changes no state: the gate then reports every second."""


def setup(fault: Fault) -> tuple[bool, str]:
    """Return which graph a fault needs."""
    return fault.door, fault.variant


FAULTS = sorted((*HAZARDS, *INSIDE), key=setup)
GRAPHS = [graph for graph, _ in groupby(FAULTS, key=setup)]


@pytest.fixture(scope="module")
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    """The lower half of the graph, started once for all faults that need the same one."""
    door, variant = request.param
    with Rig(DOMAIN, door=door, variant=variant) as result:
        yield result


def on(*graphs: tuple[bool, str]) -> pytest.MarkDecorator:
    """Return the mark of a test that needs this graph."""
    return pytest.mark.parametrize("rig", graphs, indirect=True, scope="module")


def answered(rig: Rig, fault: Fault) -> None:
    """Inject a fault once; fail with everything that was wrong.

    Again where the machine itself stood still meanwhile, up to five times.
    """
    rig.source.speed = fault.speed
    tally = Tally(fault.name, fault.what, fault.bound)
    while not tally.injections and len(tally.disturbed) < 5:
        rig.ready()
        injection(rig, fault, tally)
    found = tally.figures()
    print(f"{fault.what}: {found['begins_ms']} ms of {found['bound_ms']:.0f}", end=", ")
    print(f"at rest after {found['at_rest_ms']} ms")
    assert tally.passed, found


def of(*names: str) -> pytest.MarkDecorator:
    """Return the mark of a test for these faults, each in its graph."""
    chosen = [fault for fault in FAULTS if fault.name in names]
    assert len(chosen) == len(names)
    pairs = [(setup(fault), fault) for fault in chosen]
    return pytest.mark.parametrize(
        ("rig", "fault"), pairs, indirect=["rig"], ids=[f.name for f in chosen], scope="module"
    )


@of("into_object")
def test_a_plan_into_a_declared_object(rig, fault):
    answered(rig, fault)


@of("out_of_workspace")
def test_a_plan_out_of_the_workspace(rig, fault):
    answered(rig, fault)


@of("keep_out")
def test_a_plan_into_a_keep_out_zone(rig, fault):
    answered(rig, fault)


@of("into_itself")
def test_a_plan_into_the_arm_itself(rig, fault):
    answered(rig, fault)


@of("held_fast", "held_fast_at_speed", "moved")
def test_the_arm_does_not_follow(rig, fault):
    answered(rig, fault)


@of("outside")
def test_measured_outside_the_limits(rig, fault):
    answered(rig, fault)


@of("unsure", "lost")
def test_low_confidence(rig, fault):
    answered(rig, fault)


@of("cmd_timeout", "controller_gone", "controller_mute")
def test_the_controller_is_no_guard_any_more(rig, fault):
    answered(rig, fault)


@of(*(fault.name for fault in INSIDE if fault.name.startswith("raise_")))
def test_an_exception_in_every_callback(rig, fault):
    answered(rig, fault)


@of(*(fault.name for fault in INSIDE if fault.name.startswith("clock")))
def test_clock_steps(rig, fault):
    answered(rig, fault)


@pytest.mark.parametrize(
    ("variant", "way", "words"),
    [
        ("near", {"joint2": 0.1}, "mm from something, 20 allowed"),
        ("near", {"joint2": -0.1}, "outside its workspace"),
        ("keep_out", {"joint2": 0.1}, "outside its workspace"),
        ("folded", {"joint4": -0.27, "joint6": -0.4}, "mm from something, 20 allowed"),
    ],
)
def test_what_comes_too_near_would_be_found(tmp_path, variant, way, words):
    robot = load(VARIANTS[variant].written(tmp_path))
    space, q = Space(robot), np.array(robot.identity.home)
    for name, value in VARIANTS[variant].posture.items():
        q[robot.joints.index(name)] = value
    rows = [q]
    assert space.too_near(rows) == ""
    gone = q.copy()
    for name, by in way.items():
        gone[robot.joints.index(name)] += by
    assert words in space.too_near([*rows, gone])


def counted(rig: Rig, reason: str, change, ends: tuple[str, ...] = ("ACTIVE",)) -> list[np.ndarray]:
    """Send plans changed by ``change``: they are counted, and limits are kept.

    ``ends``: one of these states the gate is in afterwards; as long as that is ACTIVE the arm
    goes on. Returns where the arm was told to go.
    """
    rig.source.speed = 0.4
    rig.ready()
    before = rig.watcher.counts.get(reason, 0)
    begun_ns = time.monotonic_ns()
    rig.source.tamper = change
    try:
        took = wait(lambda: rig.watcher.counts.get(reason, 0) > before, 2.0, f"{reason} counted")
        time.sleep(0.6)
        assert rig.watcher.state in ends, rig.graph.explain()
        after = rig.watcher.after(begun_ns)
    finally:
        rig.source.tamper = lambda message: message
    print(f"{reason}: told after {1e3 * took:.0f} ms")
    assert took <= TIME_TO_TELL
    assert_within_limits(after, rig.graph.robot)
    assert max(np.abs(s.velocity).max() for s in after[-50:]) > 0.1 or "HOLD" in ends
    return [s.position for s in after]


@on((False, "strict"))
def test_a_target_outside_the_limits_is_limited(rig):
    """Joint 5 is asked for 0.3 rad, in a range that ends at 5 mrad."""

    def change(message):
        rows = np.array(message.positions).reshape(message.horizon, -1)
        rows[1:, 4] += 0.3  # the first row is where the arm is: not a plan that begins elsewhere
        message.positions = type(message.positions)("d", rows.tobytes())
        return message

    q = np.stack(counted(rig, "clamped", change))
    limit = rig.graph.robot.bound("max_position")
    assert (q <= limit + 1e-6).all()
    assert q[:, 4].max() > limit[4] - 0.004  # it goes as far as it may


@on((False, ""))
def test_a_plan_that_is_too_fast_and_turns_at_once_is_limited(rig):
    """Joint 6 is asked to go to and fro by 0.06 rad from row to row: 24 rad/s^2 and more.

    All joints become slower together, so that the arm falls behind a plan that does not wait.
    When that is a jump ahead it is refused, and the gate holds.
    """

    def change(message):
        rows = np.array(message.positions).reshape(message.horizon, -1)
        rows[1::2, 5] += 0.06
        message.positions = type(message.positions)("d", rows.tobytes())
        return message

    counted(rig, "held_back", change, ("ACTIVE", "HOLD"))
