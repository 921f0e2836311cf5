"""The gate's reactions: what is refused, what holds, what latches, and how it is left again."""

import dataclasses

import numpy as np
import pytest
from safety_world import MS, ROS, World, count, make_robot, moving

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State

NAN = float("nan")


@pytest.fixture
def world():
    return World(make_robot(3)).enabled()


# --- plans -----------------------------------------------------------------------------------
def test_a_good_plan_passes_and_names_its_observation(world):
    output = world.chunk(np.full((8, 3), 0.05))
    action = output.action
    assert action.state is State.ACTIVE
    assert action.start_ns >= world.now + 2 * MS
    assert action.valid_until_ns == world.now + 50 * MS
    assert action.positions[0] == pytest.approx(np.zeros(3))
    assert not action.velocities[-1].any()
    assert action.tail_start == 8


BAD = [
    ("positions", [0.0] * 23 + [NAN], Reason.NON_FINITE),
    ("positions", [float("inf")] + [0.0] * 23, Reason.NON_FINITE),
    ("positions", [0.0] * 23, Reason.SHAPE),
    ("positions", None, Reason.SHAPE),
    ("positions", "0 1 2", Reason.SHAPE),
    ("positions", [10**400] * 24, Reason.SHAPE),
    ("horizon", 7, Reason.SHAPE),
    ("horizon", 0, Reason.SHAPE),
    ("horizon", -8, Reason.SHAPE),
    ("horizon", 8.0, Reason.SHAPE),
    ("horizon", True, Reason.SHAPE),
    ("joint_names", ["j0", "j2", "j1"], Reason.ORDER),
    ("joint_names", ["j0", "j1"], Reason.NAMES),
    ("joint_names", ["j0", "j1", "j3"], Reason.NAMES),
    ("joint_names", [], Reason.NAMES),
    ("joint_names", [1, "j1", None], Reason.NAMES),
    ("joint_names", "j0j1j2", Reason.NAMES),
    ("step_dt", 0.0, Reason.STEP),
    ("step_dt", -0.05, Reason.STEP),
    ("step_dt", 2.0, Reason.STEP),
    ("step_dt", NAN, Reason.NON_FINITE),
    ("step_dt", 10**400, Reason.STEP),
    ("step_dt", None, Reason.STEP),
    ("confidence", NAN, Reason.NON_FINITE),
    ("epoch", -1, Reason.SHAPE),
    ("epoch", 1 << 40, Reason.SHAPE),
    ("seq", None, Reason.SHAPE),
    ("start_ns", 1 << 70, Reason.SHAPE),
    ("capture_ns", 0, Reason.STALE_CAPTURE),
    ("stamp_ns", -1, Reason.FUTURE),
]


@pytest.mark.parametrize(("field", "value", "reason"), BAD)
def test_each_bad_field_is_refused_for_its_reason(world, field, value, reason):
    output = world.chunk(np.zeros((8, 3)), **{field: value})
    assert output.action is None
    assert count(world, reason) == 1
    assert world.gate.last_error is None


@pytest.mark.parametrize(
    ("field", "offset_ms", "reason"),
    [
        ("start_ns", 50 - 100, None),
        ("start_ns", 50 - 101, Reason.STALE),
        ("start_ns", 50 + 20, None),
        ("start_ns", 50 + 21, Reason.FUTURE),
        ("capture_ns", -800, None),
        ("capture_ns", -801, Reason.STALE_CAPTURE),
        ("capture_ns", 20, None),
        ("capture_ns", 21, Reason.FUTURE),
    ],
)
def test_ages_to_the_millisecond(world, field, offset_ms, reason):
    output = world.chunk(np.zeros((8, 3)), **{field: world.now + offset_ms * MS})
    assert (output.action is None) == (reason is not None)
    if reason is not None:
        assert count(world, reason) == 1


def test_a_header_from_the_future_is_refused(world):
    world.chunk(np.zeros((8, 3)), stamp_ns=world.now + ROS + 21 * MS)
    assert count(world, Reason.FUTURE) == 1


def test_sequence(world):
    assert world.chunk(np.zeros((8, 3)), seq=5, epoch=3).action
    assert not world.chunk(np.zeros((8, 3)), seq=5, epoch=3).action
    assert not world.chunk(np.zeros((8, 3)), seq=4, epoch=3).action
    assert not world.chunk(np.zeros((8, 3)), seq=9, epoch=2).action
    assert world.chunk(np.zeros((8, 3)), seq=1, epoch=4).action
    assert count(world, Reason.DUPLICATE) == 1
    assert count(world, Reason.OUT_OF_ORDER) == 2


def test_a_refused_plan_does_not_spoil_the_sequence(world):
    world.chunk(np.zeros((8, 3)), seq=1 << 60, positions=[NAN] * 24)
    assert world.chunk(np.zeros((8, 3)), seq=2).action


def test_a_jump_is_refused_but_not_for_a_gripper():
    robot = make_robot(3, q_min=[-2, -2, 0], q_max=[2, 2, 0.04], grippers=(2,))
    world = World(robot).enabled()
    allowed = 2.0 * 1.5 * 0.05
    assert world.chunk(np.full((8, 3), [allowed - 1e-6, 0, 0.04])).action
    assert not world.chunk(np.full((8, 3), [allowed + 1e-2, 0, 0])).action
    assert count(world, Reason.JUMP) == 1


def test_a_dropped_plan_changes_nothing(world):
    moving(world)
    path = world.gate.motion.path
    world.chunk(np.zeros((8, 3)), positions=[NAN] * 24)
    assert world.gate.motion.path is path
    assert world.gate.state is State.ACTIVE


def test_targets_outside_are_clamped_and_counted(world):
    for _ in range(200):
        q = world.gate.motion.command(world.now)[0]
        world.chunk(np.vstack((q + 0.1, np.full((7, 3), 50.0))))
        world.tick(20), world.tick(20), world.tick(10)
    assert count(world, Reason.CLAMPED) > 0
    assert (world.gate.motion.path.q <= 2.0).all()
    assert world.gate.motion.command(world.now)[0] == pytest.approx(np.full(3, 2.0), abs=0.02)


def test_continuous_joints_take_the_short_way():
    extra = {"angle_wraparound": True, "has_position_limits": False}
    world = World(make_robot(2, extra=extra), q=np.array([3.1, 0.0])).enabled()
    assert world.chunk(np.full((8, 2), [-3.1, 0.0])).action
    assert world.gate.motion.path.q[-1, 0] > 3.1
    assert world.chunk(np.full((8, 2), [3.14 + 20 * np.pi, 0.0])).action


# --- holds -----------------------------------------------------------------------------------
def test_two_nan_plans_in_a_row_hold_and_good_ones_end_it(world):
    moving(world)
    world.chunk(np.zeros((8, 3)), positions=[NAN] * 24)
    output = world.chunk(np.zeros((8, 3)), positions=[NAN] * 24)
    assert world.gate.state is State.HOLD
    assert output.action.state is State.HOLD
    assert output.report.cause == "non_finite"
    assert not world.chunk(np.zeros((8, 3)), epoch=1).action  # void: of before the hold
    assert count(world, Reason.OLD_EPOCH) == 1
    for _ in range(11):
        world.tick()
        world.chunk(np.zeros((8, 3)) + world.gate.motion.command(world.now)[0])
    assert world.gate.state is State.ACTIVE


def test_silence_holds_and_the_arm_rests(world):
    moving(world)
    started = world.now
    while world.gate.state is State.ACTIVE:
        world.tick(10)
    assert world.now - started <= 160 * MS
    assert count(world, Reason.NO_CHUNK) == 1
    world.run(300)
    assert not world.gate.motion.command(world.now)[1].any()
    assert world.gate.state is State.HOLD


def test_while_holding_paths_are_published_at_20_hz(world):
    world.run(400)
    assert world.gate.state is State.HOLD
    del world.actions[:]
    world.run(2000)
    assert 38 <= len(world.actions) <= 42
    assert all(len(a.positions) == 1 and not a.velocities.any() for a in world.actions)


@pytest.mark.parametrize("clear", [True, False])
def test_stale_joint_states_hold_until_they_are_back(world, clear):
    world.joints_talk = False
    world.run(80)
    assert world.gate.state is State.HOLD
    assert count(world, Reason.JOINT_STALE) == 1
    world.joints_talk = clear
    for _ in range(30):
        world.tick()
        world.chunk(np.zeros((8, 3)))
    assert world.gate.state is (State.ACTIVE if clear else State.HOLD)


def test_measured_outside_holds(world):
    world.joints_talk = False
    world.gate.on_joint_state(["j0", "j1", "j2"], [2.02, 0.0, 0.0], [0.0] * 3, world.now)
    world.tick()
    assert world.gate.state is State.HOLD
    assert count(world, Reason.JOINT_OUTSIDE) == 1


@pytest.mark.parametrize("step_s", [0.1, -0.1, 3600.0, -3600.0])
def test_a_clock_step_holds_with_a_new_epoch(world, step_s):
    world.chunk(np.zeros((8, 3)), epoch=7)
    world.now += 20 * MS
    world.joint_state()
    world.take(world.gate.tick(world.now, world.now + ROS + round(step_s * 1e9)))
    assert world.gate.state is State.HOLD
    assert world.gate.checks.min_epoch == 8
    assert count(world, Reason.CLOCK_JUMP) == 1


# --- reports ---------------------------------------------------------------------------------
def test_state_is_reported_on_change_and_every_second(world):
    world.run(400)
    reports = []
    for _ in range(150):
        world.tick()
        if world.last.report:
            reports.append(world.last.report)
    assert 2 <= len(reports) <= 4
    assert reports[-1].state is State.HOLD
    assert dict(zip(reports[-1].reasons, reports[-1].counts))["no_chunk"] == 1


def test_every_tick_gives_a_lease(world):
    before = world.leases
    world.run(1000)
    assert world.leases - before == 50
    assert world.last.lease.valid_until_ns == world.now + 50 * MS


def test_joint_states_may_come_in_parts_and_in_any_order():
    world = World(make_robot(3))
    world.joints_talk = False
    gate = world.gate
    gate.on_joint_state(["j2", "other", "j0"], [0.2, 9.0, 0.1], [], world.now)
    assert not gate.joints.known
    gate.on_joint_state(["j1"], [0.3], [0.0], world.now)
    assert gate.joints.known
    assert gate.joints.q.tolist() == [0.1, 0.3, 0.2]
    for names, q in ((["j0"], [NAN]), (["j0"], []), (["j0"], "x"), ("j0", [0.0]), (None, None)):
        gate.on_joint_state(names, q, [], world.now)
    assert count(world, Reason.JOINT_BAD) == 5
    assert gate.joints.q.tolist() == [0.1, 0.3, 0.2]


def test_speed_is_estimated_where_the_driver_sends_none():
    world = World(make_robot(1))
    world.gate.on_joint_state(["j0"], [0.0], [], world.now)
    assert not world.gate.joints.still()  # who was never seen to stand moves
    world.gate.on_joint_state(["j0"], [0.1], [], world.now + 100 * MS)
    assert world.gate.joints.v[0] == pytest.approx(1.0)


def test_values_are_frozen(world):
    action = world.chunk(np.zeros((8, 3))).action
    with pytest.raises(dataclasses.FrozenInstanceError):
        action.seq = 3


# --- halfway between two ticks ------------------------------------------------------------------
def test_silence_is_answered_halfway_between_two_ticks(world):
    moving(world)
    for ms in (10, 10, 9):
        world.now += ms * MS
        assert world.take(world.gate.watch(world.now)).lease is not None
    assert world.gate.state is State.ACTIVE
    world.now += 2 * MS
    output = world.take(world.gate.watch(world.now))
    assert world.gate.state is State.HOLD
    assert world.gate.machine.cause == "joint_state_stale"
    assert output.action is not None and not output.action.velocities[-1].any()


def test_a_heartbeat_lost_latches_halfway_between_two_ticks():
    world = World(make_robot(3, no_chunk_ms=1000.0)).enabled()
    moving(world)
    world.gate.on_estop("button", False, world.now)
    for _ in range(12):
        world.now += 10 * MS
        world.joint_state(), world.publisher(), world.camera_health()
        world.gate.watch(world.now)
    assert world.gate.state is State.ACTIVE
    assert world.gate.due_ns(world.now) == world.now + 5 * MS + 1
    world.now += 5 * MS + 1
    world.gate.watch(world.now)
    assert world.gate.state in (State.STOPPING, State.LATCHED)
    assert world.gate.machine.cause == "estop_heartbeat_lost: button"


def test_a_bug_halfway_latches(world, monkeypatch):
    monkeypatch.setattr(world.gate.estop, "silent", lambda now_ns: 1 / 0)
    world.gate.watch(world.now)
    assert world.gate.state is State.LATCHED
    assert isinstance(world.gate.last_error, ZeroDivisionError)
