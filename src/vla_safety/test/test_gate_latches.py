"""The gate's latches, and how they are left again: reset, then enable."""

from operator import attrgetter

import numpy as np
import pytest
from safety_world import MS, World, count, make_robot, moving

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State


@pytest.fixture
def world():
    return World(make_robot(3)).enabled()


# --- latches ---------------------------------------------------------------------------------
def stand_still(world, ms=1200):
    world.run(ms)
    return world


def test_an_estop_ramps_down_within_limits_and_latches(world):
    moving(world)
    output = world.take(world.gate.on_estop("button", True, world.now))
    assert world.gate.state is State.STOPPING
    assert output.action.state is State.STOPPING
    a = np.diff(output.action.velocities, axis=0) / 0.01
    assert np.abs(a).max() <= 6.0 + 1e-9
    speeds = np.abs(output.action.velocities)
    assert speeds[0].any() and (np.diff(speeds, axis=0) <= 1e-12).all()
    world.run(200)
    assert world.gate.state is State.LATCHED
    world.chunk(np.full((8, 3), 0.1))
    assert not world.actions[-1].velocities.any()


def test_reset_is_refused_while_pressed_then_too_early_then_allowed(world):
    world.gate.on_estop("button", True, world.now)
    assert world.gate.state is State.LATCHED
    assert "e-stop pressed: button" in world.gate.reset(world.now)[1]
    for _ in range(40):
        world.gate.on_estop("button", False, world.now)
        ok, message = world.gate.reset(world.now)
        assert not ok
        assert "ago" in message
        world.tick()
    for _ in range(15):
        world.gate.on_estop("button", False, world.now)
        world.tick()
    assert world.gate.reset(world.now)[0]
    assert world.gate.state is State.READY
    world.chunk(np.full((8, 3), 0.1))
    assert not world.actions[-1].velocities.any()
    world.gate.on_estop("button", False, world.now)
    assert world.gate.enable(world.now)[0]
    assert world.chunk(np.full((8, 3), 0.05)).action.velocities.any()


def test_a_heartbeat_once_heard_must_go_on(world):
    world.gate.on_estop("button", False, world.now)
    started = world.now
    while world.gate.state is not State.LATCHED:
        world.tick(10)
        world.chunk(np.zeros((8, 3)))
    assert world.now - started <= 170 * MS
    stand_still(world)
    assert "heartbeat lost: button" in world.gate.reset(world.now)[1]


def test_anything_but_false_is_pressed(world):
    world.gate.on_estop("odd", None, world.now)
    assert world.gate.state is State.LATCHED


def test_three_malformed_plans_latch(world):
    for _ in range(3):
        world.chunk(np.zeros((8, 3)), joint_names=["a", "b", "c"])
    assert world.gate.state is State.LATCHED
    stand_still(world)
    world.chunk(np.zeros((8, 3)), joint_names=["a", "b", "c"])
    assert not world.gate.reset(world.now)[0]
    stand_still(world)
    assert world.gate.reset(world.now)[0]


def test_good_plans_in_between_do_not_latch(world):
    for _ in range(10):
        world.chunk(np.zeros((8, 3)), horizon=3)
        world.chunk(np.zeros((8, 3)), horizon=3)
        world.chunk(np.zeros((8, 3)))
    assert world.gate.state is State.ACTIVE


def test_tracking_error_latches_after_three_measurements(world):
    world.joints_talk = False
    for tick in range(3):
        assert world.gate.state is State.ACTIVE, tick
        world.gate.on_joint_state(["j0", "j1", "j2"], [0.16, 0, 0], [0.0] * 3, world.now)
        world.tick()
        world.tick(0)  # the same measurement does not count twice
    assert world.gate.state is State.LATCHED
    assert world.gate.machine.cause == "tracking_error"


def test_stop_service_latches_from_every_state():
    for state in State:
        world = World(make_robot(2))
        world.tick()
        world.gate.machine.state = state
        assert world.gate.stop(world.now)[0]
        world.tick()
        assert world.gate.state is State.LATCHED


def test_an_exception_inside_latches_and_stops(world, monkeypatch):
    moving(world)
    monkeypatch.setattr(world.gate.checks, "check", lambda *a: 1 / 0)
    output = world.chunk(np.zeros((8, 3)))
    assert world.gate.state is State.STOPPING
    assert output.action is not None
    assert isinstance(world.gate.last_error, ZeroDivisionError)
    world.run(200)
    assert world.gate.state is State.LATCHED
    assert world.gate.machine.cause == "internal_error"


@pytest.mark.parametrize(
    "where", ["_watch_joints", "_settle", "following.watch", "standing.repeat"]
)
def test_an_exception_in_the_tick_latches(world, monkeypatch, where):
    part, method = ("gate." + where).rsplit(".", 1)
    monkeypatch.setattr(attrgetter(part)(world), method, lambda now: 1 / 0)
    world.tick()
    assert world.gate.state is State.LATCHED


def test_an_exception_inside_voids_the_plans_of_before_once(world, monkeypatch):
    moving(world)
    old = world.gate.checks.last[0]
    with monkeypatch.context() as broken:
        broken.setattr(world.gate, "_settle", lambda now: 1 / 0)
        world.tick()
        assert world.gate.state in (State.STOPPING, State.LATCHED)
        assert world.gate.report(world.now).min_epoch == old + 1
        world.tick()
    assert world.gate.report(world.now).min_epoch == old + 1
    world.chunk(np.zeros((8, 3)), epoch=old, seq=10_000)
    assert count(world, Reason.OLD_EPOCH) == 1


def test_an_exception_while_plans_are_voided_stops_all_the_same(world, monkeypatch):
    moving(world)
    monkeypatch.setattr(world.gate.checks, "check", lambda *a: 1 / 0)
    monkeypatch.setattr(world.gate.checks, "void_old_plans", lambda: 1 / 0)
    world.chunk(np.zeros((8, 3)))
    assert world.gate.state is State.STOPPING


@pytest.mark.parametrize("where", ["announcer.drop", "motion.stop"])
def test_an_exception_while_it_is_answered_latches_all_the_same(world, monkeypatch, where):
    moving(world)
    part, method = ("gate." + where).rsplit(".", 1)
    with monkeypatch.context() as broken:
        broken.setattr(world.gate, "_settle", lambda now: 1 / 0)
        broken.setattr(attrgetter(part)(world), method, lambda *a: 1 / 0)
        output = world.tick()
    assert world.gate.state is State.STOPPING and output.action is None
    world.run(400)
    assert world.gate.state is State.LATCHED


# --- enable ----------------------------------------------------------------------------------
def test_nothing_is_sent_before_the_pose_is_known():
    world = World(make_robot(3))
    world.joints_talk = False
    world.run(200)
    assert not world.actions
    assert world.leases > 0
    assert "joint states" in world.gate.enable(world.now)[1]


def test_before_enable_the_command_stays_with_the_arm():
    world = World(make_robot(3), q=np.full(3, 0.5))
    world.run(200)
    world.joints_talk = False
    world.gate.on_joint_state(["j0", "j1", "j2"], [0.9, 0.5, 0.5], [0.0] * 3, world.now)
    world.run(40)
    assert world.actions[-1].positions[0] == pytest.approx([0.9, 0.5, 0.5])
    assert world.actions[-1].state is State.INACTIVE


def test_enable_is_refused_while_the_arm_moves(world):
    world = World(make_robot(3))
    world.tick()
    world.gate.on_joint_state(["j0", "j1", "j2"], [0.0] * 3, [0.5, 0, 0], world.now)
    assert "arm moves" in world.gate.enable(world.now)[1]


def test_motion_begins_at_the_measured_pose_after_a_latch(world):
    world.joints_talk = False
    names = ["j0", "j1", "j2"]
    for _ in range(70):
        world.gate.on_joint_state(names, [0.3, 0, 0], [0.0] * 3, world.now)
        world.tick()
    assert world.gate.state is State.LATCHED
    assert world.actions[-1].positions[-1] == pytest.approx([0, 0, 0])
    assert world.gate.reset(world.now)[0]
    assert world.actions[-1].positions[-1] == pytest.approx([0, 0, 0])
    world.gate.on_joint_state(names, [0.3, 0, 0], [0.0] * 3, world.now)
    said = world.tick().action  # where motion is to begin; not enabled, nobody follows it
    assert said.state is State.READY and said.positions.tolist() == [[0.3, 0, 0]]
    assert world.gate.enable(world.now)[0]
    assert world.gate.motion.command(world.now)[0] == pytest.approx([0.3, 0, 0])


def test_a_small_offset_does_not_step_the_command_at_enable():
    world = World(make_robot(3))
    world.run(120)  # it has come to rest
    before = world.gate.motion.path
    world.gate.on_joint_state(["j0", "j1", "j2"], [0.01, 0, 0], [0.0] * 3, world.now)
    assert world.gate.enable(world.now)[0]
    assert world.gate.motion.path is before


def test_a_required_estop_must_have_been_seen():
    world = World(make_robot(2, estop_required=True))
    world.tick()
    assert "no e-stop heartbeat" in world.gate.enable(world.now)[1]
    world.gate.on_estop("button", False, world.now)
    assert world.gate.enable(world.now)[0]


def test_auto_enable_works_once_and_never_after_a_latch():
    world = World(make_robot(2, auto_enable=True))
    world.run(40)
    assert world.gate.state is State.ACTIVE
    world.gate.stop(world.now)
    world.run(2000)
    assert world.gate.state is State.LATCHED
    assert world.gate.reset(world.now)[0]
    world.run(1000)
    assert world.gate.state is State.READY


def test_deactivation_keeps_a_latch_and_stops_motion(world):
    moving(world)
    path = world.gate.motion.path
    output = world.gate.deactivate(world.now)
    assert output.action.state is State.INACTIVE
    assert not output.action.velocities[-1].any()
    speeds = np.abs(output.action.velocities)
    assert (np.diff(speeds, axis=0) <= 1e-12).all() and speeds[0].any()
    assert world.gate.motion.path.end_ns < path.end_ns  # sooner than the path would have
    world.gate.stop(world.now)
    world.run(400)
    world.gate.deactivate(world.now)
    assert world.gate.state is State.LATCHED


def test_soft_start_ramps_the_speed():
    world = World(make_robot(1, soft_start_ms=1000.0)).enabled()
    speeds = []
    for _ in range(30):
        q = world.gate.motion.command(world.now)[0]
        world.chunk(q + 0.03 * np.arange(1, 9)[:, None])
        speeds.append(float(np.abs(world.gate.motion.path.v).max()))
        world.tick(20), world.tick(20), world.tick(10)
    assert speeds[4] < 0.3 * 0.78
    assert max(speeds) > 0.5
    assert all(s <= 0.78 * max(0.05, i * 0.05 + 0.051) + 1e-9 for i, s in enumerate(speeds[:20]))


def test_low_confidence_slows_down_with_hysteresis():
    robot = make_robot(1, low_confidence=0.5)
    world = World(robot).enabled()
    for i in range(5):
        assert world.gate.state is State.ACTIVE, i
        world.chunk(np.zeros((8, 1)), confidence=0.2)
    assert world.gate.state is State.SLOW
    for _ in range(5):
        assert world.gate.state is State.SLOW
        world.chunk(np.zeros((8, 1)), confidence=0.9)
    assert world.gate.state is State.ACTIVE
