"""Where a gate stands that is not in motion: with the arm, whatever was lost or moved."""

import numpy as np
import pytest
from safety_world import MS, World, count, make_robot, moving

from vla_safety.core.anchoring import STAYS
from vla_safety.core.limits import limits_of
from vla_safety.core.reasons import Reason
from vla_safety.core.sources import LAG_SHARE
from vla_safety.core.state_machine import State
from vla_safety.oracle import Stated, Track

FOLLOWING = 2
LAG = LAG_SHARE * 0.15  # of safety.tracking_tolerance
MARGIN = np.deg2rad(0.5)


def held(world):
    """Let the gate hold by a clock step; return the number of the path followed until then."""
    before = world.gate.announcer.seq
    world.take(world.gate.tick(world.now, world.now + 10**18))
    assert world.gate.state is State.HOLD
    return before


def test_a_stop_that_was_lost_is_made_again_from_the_path_that_the_arm_follows():
    world = moving(World(make_robot(3)).enabled())
    followed = held(world)
    path = dict(world.gate.announcer.handover._sent)[followed]
    world.gate.on_command_state(FOLLOWING, "", followed, [], world.now)
    assert world.gate.on_followed(followed, followed + 1, world.now).action is None
    assert count(world, Reason.PATH_LOST) == 1
    sent = world.take(world.gate.tick(world.now, world.now + 10**18)).action
    switch = sent.start_ns
    np.testing.assert_array_equal(sent.positions[0], path.row(switch)[0])  # it goes on from there
    assert sent.start_ns + (len(sent.positions) - 1) * sent.step_ns < path.end_ns  # and stops
    assert world.gate.state is State.HOLD and not sent.measured


def test_while_it_holds_old_news_of_the_publisher_does_not_undo_a_stop():
    """It would be made anew from a path that the arm has left, and later."""
    world = moving(World(make_robot(3)).enabled())
    followed = held(world)
    stop = world.gate.motion.path
    for _ in range(4):
        world.now += 20 * MS
        world.gate.on_command_state(FOLLOWING, "", followed, [], world.now)
        world.gate.on_followed(followed, followed, world.now)
        assert world.gate.motion.path is stop
    assert not count(world, Reason.PATH_LOST)


def test_it_stands_where_a_stop_of_the_publisher_left_the_arm():
    world = moving(World(make_robot(3)).enabled())
    held(world)
    stop, stood = world.gate.motion.path, set()
    there = stop.q[-1] - 0.03
    for _ in range(12):  # until all is at rest
        assert world.gate.motion.path is stop or world.now > stop.end_ns
        stood |= {id(world.gate.motion.path)} if world.gate.motion.path is not stop else set()
        world.now += 20 * MS
        world.gate.on_joint_state(list(world.robot.joints), there.tolist(), [0.0] * 3, world.now)
        world.gate.on_command_state(FOLLOWING, "", world.gate.announcer.seq, [], world.now)
        world.gate.on_rest(there.tolist(), world.now)
        world.take(world.gate.tick(world.now, world.now + 10**18))
    assert world.gate.state is State.HOLD
    np.testing.assert_array_equal(world.actions[-1].positions, there[None])
    assert not world.actions[-1].measured and len(stood) == 1  # it stands there once and for all


def test_after_a_gap_in_motion_nothing_says_where_it_would_begin():
    """The publisher would be told to stand still, in the middle of a path."""
    world = moving(World(make_robot(3)).enabled())
    gate = world.gate
    before = gate.motion.path, gate.announcer.seq, gate.announcer.waits, gate.standing.begin_seq
    gate.standing.again_after_a_gap(world.now + 10**9)
    after = gate.motion.path, gate.announcer.seq, gate.announcer.waits, gate.standing.begin_seq
    assert after == before and gate.state is State.ACTIVE


def test_while_joint_states_are_stale_the_command_stays():
    world = World(make_robot(3, joint_state_ms=30.0)).enabled()
    world.run(100)
    world.gate.causes.holding[Reason.LAGGING] = world.now
    held(world)
    before = world.gate.motion.command(world.now)[0].copy()
    world.joints_talk = False
    for _ in range(3):
        world.tick(20)
    world.gate.joints.q[:] = 0.1  # what was measured last
    world.gate.causes.holding[Reason.LAGGING] = world.now
    world.tick(20)
    np.testing.assert_array_equal(world.gate.motion.command(world.now)[0], before)


class Outside(World):
    """A gate whose arm rests where the test says until it is enabled."""

    def joint_state(self):
        if self.gate.state is not State.INACTIVE:
            super().joint_state()
            return
        self.gate.on_joint_state(list(self.robot.joints), self.q.tolist(), [0.0] * 3, self.now)


@pytest.mark.parametrize("off", [0.004, 0.0087, -0.008])
def test_an_arm_that_rests_just_outside_its_limits_is_not_stepped_inside(off):
    robot = make_robot(3)
    world = Outside(robot, q=np.array([2.0 + abs(off), 0.0, 0.0]) * np.sign(off)).enabled()
    limits = limits_of(robot)
    np.testing.assert_array_equal(world.gate.motion.command(world.now)[0], world.q)
    wide = np.where(np.arange(3) == 0, abs(off), 0.0)
    track = Track(
        Stated(limits.q_min - wide, limits.q_max + wide, limits.v_max, limits.a_max,
               limits.d_max, limits.j_max)
    )  # fmt: skip
    away = []
    for _ in range(40):
        q = world.gate.motion.command(world.now)[0]
        world.chunk(np.clip(q + 0.01 * np.sign(off) * np.arange(1, 9)[:, None], -2.0, 2.0))
        for _ in range(3):
            world.tick(50 / 3)
        away.append(abs(world.gate.motion.command(world.now)[0][0]))
    for action in world.actions:
        track.send(action.start_ns, action.step_ns, action.positions, action.velocities)
    assert not track.finish(world.gate.motion.planner.step_ns).violations
    assert (np.diff(away) <= 1e-12).all()  # nowhere but inwards
    assert away[-1] <= 2.0 + 1e-6 and world.gate.state is State.ACTIVE


def test_further_outside_nothing_is_enabled():
    world = Outside(make_robot(3), q=np.array([2.0 + MARGIN + 0.001, 0.0, 0.0]))
    world.tick()
    ok, why = world.gate.enable(world.now)
    assert not ok and "outside its position limits" in why


def test_a_gate_started_anew_begins_in_the_turn_of_the_last_command():
    """The driver tells angles in (-pi, pi], the arm was commanded beyond."""
    turning = {"angle_wraparound": True, "has_position_limits": False}
    world = Outside(make_robot(3, extra=turning), q=np.array([-2.3, 0.0, 0.0]))
    rest = np.array([-2.3 + 2 * np.pi + 0.1, 0.0, 0.0])  # further off than an arm that sags
    world.gate.on_rest(rest.tolist(), world.now)
    world.tick()
    begins = world.gate.motion.command(world.now)[0]
    np.testing.assert_allclose(begins, [-2.3 + 2 * np.pi, 0.0, 0.0])


def test_where_motion_begins_does_not_flicker():
    """An arm that sags by as much as one that was moved, measured with noise."""
    world = Outside(make_robot(3), q=np.array([-LAG + 0.001, 0.0, 0.0]))
    rng, begins = np.random.default_rng(2), set()
    for _ in range(100):
        world.q[0] = -LAG + 0.001 * rng.uniform(-1.0, 1.0) if begins else -LAG + 0.001
        world.gate.on_rest([0.0] * 3, world.now)
        world.tick()
        begins.add(float(world.gate.motion.command(world.now)[0][0]))
    assert begins == {0.0}
    world.q[0] = -LAG * STAYS - 0.001
    world.gate.on_rest([0.0] * 3, world.now)
    world.tick()
    assert world.gate.motion.command(world.now)[0][0] == world.q[0]


def test_every_change_of_state_says_why():
    world = World(make_robot(3, low_confidence=0.5)).enabled()
    moving(world)
    for confidence in [0.1] * 5 + [1.0] * 5:
        world.chunk(world.gate.motion.command(world.now)[0] + np.zeros((8, 3)),
                    confidence=confidence)  # fmt: skip
        world.run(40)
    held(world)
    for _ in range(40):  # the clock jumps back, and the hold ends
        world.tick()
        world.chunk(world.gate.motion.command(world.now)[0] + np.zeros((8, 3)))
    world.gate.stop(world.now)
    world.run(1600)
    assert world.gate.reset(world.now)[0]
    world.tick()
    causes = [(change.state.name, change.cause) for change in world.changes]
    assert causes == [
        ("ACTIVE", "~/enable"), ("SLOW", "low_confidence"), ("ACTIVE", "over: low_confidence"),
        ("HOLD", "clock_jump"), ("ACTIVE", "over: clock_jump"), ("STOPPING", "stop_requested"),
        ("LATCHED", "stop_requested"), ("READY", "~/reset"),
    ]  # fmt: skip


def test_an_enable_of_its_own_accord_says_so():
    world = World(make_robot(3, auto_enable=True))
    world.run(100)
    assert world.gate.state is State.ACTIVE and world.gate.machine.cause == "auto_enable"


def test_a_stop_that_was_not_sent_yet_is_not_forgotten_by_an_error():
    """Otherwise what is left of it would be sent from its middle, whose beginning nobody heard."""
    world = moving(World(make_robot(3)).enabled())
    sent = world.gate.motion.path  # what the publisher follows
    world.gate.stop(world.now)
    world.now += 10 * MS
    world.gate.following.throttle.late = lambda now_ns: 1 / 0
    action = world.take(world.gate.tick(world.now)).action
    q, v = sent.at(action.start_ns)
    np.testing.assert_allclose(action.positions[0], q, atol=1e-9)
    np.testing.assert_allclose(action.velocities[0], v, atol=1e-9)
    assert not action.velocities[-1].any() and world.gate.state is State.STOPPING
