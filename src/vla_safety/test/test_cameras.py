"""Camera faults: each kind holds by a reason of its own, clears by itself, and blocks enable."""

import math

import numpy as np
import pytest
from safety_world import MS, World, make_robot

from vla_common.core.errors import ConfigError
from vla_common.core.robot import from_parameters
from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State

NAN = float("nan")


@pytest.fixture
def world():
    return World(make_robot(2)).enabled()


def step(world, ms=20, **changes):
    """Let time pass with a report that is changed, and plans that are flawless."""
    world.cameras_talk = False
    world.now += 1  # the time of sending rises
    world.camera_health(**changes)
    world.tick(ms)
    world.chunk(np.zeros((8, 2)))


def count(world, reason):
    return world.gate.counts.total[reason]


KINDS = [
    ({"age_ms": [150.1]}, Reason.CAMERA_STALE),
    ({"age_ms": [9e6]}, Reason.CAMERA_STALE),
    ({"repeated": [5]}, Reason.CAMERA_FROZEN),
    ({"dark": [10]}, Reason.CAMERA_DARK),
    ({"faults": ["frozen"]}, Reason.CAMERA_FROZEN),
    ({"faults": ["dark"]}, Reason.CAMERA_DARK),
    ({"faults": ["wrong encoding"]}, Reason.CAMERA_STALE),
    ({"faults": ["something new"]}, Reason.CAMERA_STALE),
]


@pytest.mark.parametrize(("changes", "reason"), KINDS)
def test_each_fault_holds_by_name_and_clears_by_itself(world, changes, reason):
    step(world, **changes)
    assert world.gate.state is State.HOLD
    assert world.gate.machine.cause.startswith(f"{reason.value}: c")
    for _ in range(20):
        step(world, **changes)
    assert world.gate.state is State.HOLD
    assert count(world, reason) == 1
    began = world.now
    while world.gate.state is State.HOLD and world.now - began < 1000 * MS:
        step(world)
    assert world.gate.state is State.ACTIVE
    assert 200 * MS < world.now - began <= 260 * MS


@pytest.mark.parametrize(
    "changes", [{"age_ms": [150.0]}, {"repeated": [4]}, {"dark": [9]}, {"repeated": [0]}]
)
def test_just_below_each_threshold_plans_pass(world, changes):
    for _ in range(5):
        step(world, **changes)
    assert world.gate.state is State.ACTIVE


def test_thresholds_come_from_the_robot_file():
    robot = make_robot(2, camera_age_ms=400.0, camera_repeats=9, camera_dark_frames=20)
    world = World(robot).enabled()
    step(world, age_ms=[399.0], repeated=[8], dark=[19])
    assert world.gate.state is State.ACTIVE
    step(world, age_ms=[401.0], repeated=[9], dark=[20])
    assert [reason for reason, _ in world.gate.cameras.faults(world.now)] == [
        Reason.CAMERA_FROZEN,
        Reason.CAMERA_DARK,
        Reason.CAMERA_STALE,
    ]


def test_silence_of_camera_ingest_holds_within_its_time(world):
    world.cameras_talk = False
    began = world.now
    while world.gate.state is State.ACTIVE:
        world.tick(10)
        world.chunk(np.zeros((8, 2)))
        assert world.now - began <= 170 * MS
    assert world.now - began > 150 * MS
    assert world.gate.machine.cause == "camera_health_lost: camera_ingest is silent"
    assert count(world, Reason.CAMERA_SILENT) == 1
    assert count(world, Reason.NO_CHUNK) == 0


UNUSABLE = [
    {"age_ms": [NAN]},
    {"age_ms": [math.inf]},
    {"age_ms": [-1.0]},
    {"age_ms": []},
    {"age_ms": None},
    {"age_ms": ["x"]},
    {"repeated": [1, 1]},
    {"repeated": [-1]},
    {"dark": [10**400]},
    {"cameras": []},
    {"cameras": ["d"]},
    {"cameras": "c"},
    {"cameras": [None]},
    {"cameras": ["c", "c"], "age_ms": [1, 1], "repeated": [1, 1], "dark": [0, 0],
     "faults": ["", ""]},
    {"faults": []},
    {"faults": [None]},
    {"faults": 3},
    {"sent_ns": None},
    {"sent_ns": 1.5},
    {"sent_ns": True},
]  # fmt: skip


@pytest.mark.parametrize("changes", UNUSABLE)
def test_a_report_that_is_not_usable_is_counted_and_counts_as_silence(world, changes):
    for _ in range(9):
        step(world, **changes)
    assert count(world, Reason.CAMERA_BAD) == 9
    assert world.gate.state is State.HOLD
    cause = world.gate.machine.cause
    assert cause == "camera_health_lost: what camera_ingest sends is not usable"
    assert world.gate.last_error is None


def test_old_repeated_and_future_reports_are_not_taken(world):
    first = world.now + 1 * MS
    for sent_ns, taken in (
        (first, True),
        (first, False),
        (first - 1, False),
        (world.now + 21 * MS, False),
        (world.now + 20 * MS, True),
    ):
        before = count(world, Reason.CAMERA_BAD)
        world.camera_health(sent_ns=sent_ns)
        assert (count(world, Reason.CAMERA_BAD) == before) == taken, sent_ns


def test_a_fault_blocks_enable_and_says_which_camera():
    world = World(make_robot(2))
    world.cameras_talk = False
    world.tick()
    assert "camera_ingest was not heard" in world.gate.enable(world.now)[1]
    world.camera_health(dark=[12])
    assert "camera_dark: c" in world.gate.enable(world.now)[1]
    world.tick(1)
    world.camera_health()
    assert world.gate.enable(world.now)[0]


def test_before_enable_and_while_latched_nothing_is_counted():
    world = World(make_robot(2))
    world.cameras_talk = False
    world.run(400)
    assert count(world, Reason.CAMERA_SILENT) == 0
    assert world.gate.state is State.INACTIVE
    world.gate.stop(world.now)
    for _ in range(20):
        step(world, dark=[20])
    assert world.gate.state is State.LATCHED
    assert count(world, Reason.CAMERA_DARK) == 0
    assert world.gate.machine.cause == "stop_requested"


def two_cameras(**safety):
    """Return a robot with a required and an optional camera."""
    values = dict(make_robot(2).parameters)
    camera = {"topic": "/c", "width": 96, "height": 96}
    values["cameras"] = {
        "names": ["main", "extra"],
        "main": camera,
        "extra": {**camera, "required": False},
    }
    values["safety"] = {**values["safety"], **safety}
    return from_parameters(values, "test")


def test_the_text_of_a_fault_does_not_change_while_it_lasts():
    world = World(make_robot(2))
    world.cameras_talk = False
    world.tick()
    reports = []
    for i in range(40):
        age_ms = 160.0 + 20.0 * i
        world.camera_health(
            sent_ns=world.now + 1, age_ms=[age_ms], repeated=[9 + i], dark=[20 + i],
            faults=[f"no usable image for {age_ms:.0f} ms"],
        )  # fmt: skip
        world.tick()
        reports += [world.last.report] if world.last.report else []
    assert len(reports) <= 3
    assert "camera_stale: c" in reports[-1].enable_blocked_by


def test_only_required_cameras_hold():
    world = World(two_cameras()).enabled()
    step(world, age_ms=[10.0, 900.0], faults=["", "no usable image"])
    assert world.gate.state is State.ACTIVE
    step(world, age_ms=[900.0, 10.0])
    assert world.gate.state is State.HOLD
    only = {"age_ms": [1.0], "repeated": [1], "dark": [0], "faults": [""]}
    assert world.gate.cameras.update(world.now + 1, ["main"], *only.values(), world.now)
    assert not world.gate.cameras.update(world.now + 2, ["extra"], *only.values(), world.now)


@pytest.mark.parametrize(("age_ms", "taken"), [(34.0, True), (33.0, False)])
def test_a_camera_slower_than_its_bound_is_refused(age_ms, taken):
    if taken:
        assert World(make_robot(2, camera_age_ms=age_ms))
        return
    with pytest.raises(ConfigError, match=r"camera_age_ms = 33.0 .* cameras.c at 30 Hz, 33.3333"):
        World(make_robot(2, camera_age_ms=age_ms))
    assert World(make_robot(2, camera_age_ms=age_ms, camera_watch=False))


def test_switched_off_by_name_for_robots_without_cameras():
    world = World(make_robot(2, camera_watch=False))
    world.cameras_talk = False
    world.enabled()
    for _ in range(20):
        world.tick()
        world.chunk(np.zeros((8, 2)))
    assert world.gate.state is State.ACTIVE


def test_low_confidence_holds_with_hysteresis():
    world = World(make_robot(1, low_confidence=0.6, hold_confidence=0.3)).enabled()

    def plan(confidence):
        world.tick(20), world.tick(20), world.tick(10)
        world.chunk(np.zeros((8, 1)), confidence=confidence)

    for i in range(5):
        assert world.gate.state is State.ACTIVE, i
        plan(0.1)
    assert world.gate.state is State.HOLD
    assert world.gate.machine.cause == "low_confidence"
    world.tick()
    assert count(world, Reason.LOW_CONFIDENCE) == 5  # plans, not holds
    for _ in range(20):
        plan(0.5)  # better, but not good
    assert world.gate.state is State.HOLD
    for _ in range(4):
        plan(0.9)
    assert world.gate.state is State.HOLD
    for _ in range(6):
        plan(0.9)
    assert world.gate.state is State.ACTIVE
    assert count(world, Reason.LOW_CONFIDENCE) == 25
