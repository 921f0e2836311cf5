"""The publisher without ROS: what moves the arm, what stops it, what keeps it stopped."""

from dataclasses import replace

import numpy as np
import pytest
from command_world import A_MAX, JOINTS, MS, RUN_UP, V_MAX, parameters, path, robot, run_up
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vla_command.core.checks import Bounds, Refusal
from vla_command.core.commander import Commander
from vla_command.core.path import GateState
from vla_command.core.trajectory import Sample, Trajectory
from vla_command.core.watchdog import Mode
from vla_common.core.robot import from_parameters

NOW = 10_000 * MS
LEASE = 60 * MS
TICK = 10 * MS
BOUNDS = Bounds.of(robot())


class Unit(Commander):
    """A commander whose gate has said where motion begins, and which moves when that path does."""

    def on_path(self, path, now_ns):
        joints = len(BOUNDS.joints)
        q, v = path.positions[:joints], path.velocities[:joints]
        usable = len(q) == joints and np.isfinite(v).all()
        if self.track is None and self.watchdog.mode is Mode.FOLLOWING and usable and v.any():
            first = run_up(path.start_ns, q[0], v[0], a_max=A_MAX)
            self.tell(first.positions[0], first.start_ns - 20 * MS)
            assert super().on_path(first, first.start_ns - 20 * MS) is not None
            self.accepted -= 1
            for at in range(first.start_ns - 10 * MS, now_ns, TICK):
                self.tick(at)
        elif self.watchdog.mode is Mode.FOLLOWING and usable:
            self.tell(q[0] if self.track is None else self.track.positions[-1][0], now_ns)
        return super().on_path(path, now_ns)

    def tell(self, at, now_ns):
        """Let the gate say, before its enable, that motion begins ``at``."""
        if self._fresh and self._start is None:
            said = path(now_ns, start_q=at, speed=0.0, state=GateState.READY)
            assert super().on_path(said, now_ns) is None
            self.ignored -= 1


def commander(streamed=False, enabled=True):
    result = Unit(BOUNDS, LEASE, streamed=streamed)
    if enabled:
        result.on_gate(GateState.READY, NOW + LEASE, NOW)
        result.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
    return result


def test_each_path_becomes_one_trajectory():
    unit = commander()
    first = unit.on_path(path(NOW), NOW)
    assert isinstance(first, Trajectory) and not first.velocities[-1].any()
    assert unit.tick(NOW + TICK) is None
    again = unit.on_path(path(NOW + 50 * MS, seq=2, start_q=0.025), NOW + 50 * MS)
    assert isinstance(again, Trajectory)
    assert unit.accepted == 2 and not unit.refused


def test_a_publisher_that_starts_beside_an_enabled_gate_does_not_move():
    unit = commander(enabled=False)
    for i in range(20):
        now = NOW + i * 50 * MS
        unit.on_gate(GateState.ACTIVE, now + LEASE, now)
        assert unit.on_path(path(now, seq=i + 1), now) is None
    assert unit.watchdog.mode is Mode.WAITING and unit.ignored == 20


def test_lost_lease_brakes_along_the_path_once_then_nothing():
    unit = commander()
    sent = unit.on_path(path(NOW, cruise=12), NOW)
    out = [(t, unit.tick(NOW + t * MS)) for t in range(10, 500, 10)]
    out = [(t, item) for t, item in out if item is not None]
    assert len(out) == 1
    at, rest = out[0]
    assert 60 <= at <= 70
    assert unit.watchdog.mode is Mode.LATCHED and unit.watchdog.trips == 1
    assert not rest.velocities[-1].any() and rest.from_start_ns[0] > 0
    # it stands before the tail would have, and in a pose of the path
    assert at * MS + rest.from_start_ns[-2] < sent.from_start_ns[-2] - 5 * MS
    assert sent.positions[0, 0] < rest.positions[-1, 0] < sent.positions[-1, 0] - 1e-3


def test_a_lease_that_has_ended_is_not_renewed_by_what_comes_after():
    unit = commander()
    unit.on_path(path(NOW, cruise=12), NOW)
    now = NOW + LEASE + 1
    unit.on_gate(GateState.ACTIVE, now + LEASE, now)
    assert unit.on_path(path(now, seq=2, start_q=0.03), now) is None
    assert unit.ignored == 1 and unit.watchdog.mode is Mode.FOLLOWING
    assert unit.tick(now) is not None
    assert unit.watchdog.mode is Mode.LATCHED
    unit.on_gate(GateState.LATCHED, now + LEASE, now)
    assert unit.watchdog.mode is Mode.ARMED


@pytest.mark.parametrize("away", [0.12, 0.25, 0.8])
def test_a_latched_gate_that_stands_elsewhere_does_not_keep_it_waiting(away):
    unit = commander()
    unit.on_path(path(NOW), NOW)
    for i in range(1, 60):
        now = NOW + i * 10 * MS
        unit.on_gate(GateState.LATCHED, now + LEASE, now)
        if i % 5 == 0:
            unit.on_path(standing(now, 1 + i, away, GateState.LATCHED), now)
        unit.tick(now)
    assert unit.watchdog.mode is Mode.ARMED


def standing(now, seq, q, state):
    """Return what the gate sends while it holds: one row, a little later."""
    return path(now, seq=seq, start_q=q, speed=0.0, cruise=1, horizon=1, tail_start=0,
                positions=np.full(3, q), velocities=np.zeros(3), state=state,
                lead_ns=13 * MS)  # fmt: skip


@pytest.mark.parametrize("away", [0.005, -0.03, 0.06, 0.14])
def test_an_arm_that_fell_behind_is_commanded_to_where_it_stands(away):
    unit = commander(streamed=True)
    unit.on_path(path(NOW), NOW)
    there = unit.track.positions[-1] + away
    now, speeds, before = unit.track.end_ns, [0.0], unit.track.positions[-1]
    for at in range(NOW, now, TICK):
        unit.on_gate(GateState.ACTIVE, at + LEASE, at)
        unit.tick(at)
    for i in range(60):
        unit.on_gate(GateState.HOLD, now + LEASE, now)
        if i % 5 == 0:
            said = standing(now, 2 + i, there[0], GateState.HOLD)
            unit.on_path(replace(said, measured=True), now)
        position = unit.tick(now).position
        speeds.append((position - before)[0] / 0.01)
        before, now = position, now + TICK
    assert not unit.refused
    np.testing.assert_allclose(before, there)
    assert np.abs(speeds).max() <= V_MAX * 1.02
    assert np.abs(np.diff(speeds)).max() / 0.01 <= A_MAX * 1.03


@pytest.mark.parametrize("late_ns", [0, 5 * MS, 15 * MS, 25 * MS, 35 * MS, 45 * MS])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_first_path_that_comes_late_is_not_stepped_into(late_ns, streamed):
    unit = commander(streamed=streamed)
    start = NOW - 12 * MS + late_ns
    unit.on_gate(GateState.ACTIVE, start + LEASE, start)
    first = run_up(NOW + RUN_UP, speed=1.0, seq=1, a_max=A_MAX)
    sent = unit.on_path(replace(first, valid_until_ns=start + LEASE), start)
    if sent is None:
        assert sum(unit.refused.values()) == 1 and late_ns >= 35 * MS
        return
    at = np.arange(start, unit.track.end_ns, MS)
    q, v = (np.array(found) for found in zip(*[unit.track.state_at(int(t)) for t in at]))
    np.testing.assert_array_equal(q[0], first.positions[:3])
    assert not v[0].any()
    assert np.abs(np.diff(v, axis=0)).max() / 1e-3 <= A_MAX * 1.03
    assert np.abs(np.diff(q, axis=0)).max() / 1e-3 <= np.abs(v).max() + 1e-9


def test_without_a_last_command_a_path_that_moves_is_not_followed():
    unit = Commander(BOUNDS, LEASE, streamed=False)
    unit.on_gate(GateState.READY, NOW + LEASE, NOW)
    unit.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
    assert unit.on_path(path(NOW), NOW) is None and unit.refused[Refusal.UNREACHABLE] == 1
    stop = path(NOW, seq=2, tail_start=0, state=GateState.LATCHED)
    assert unit.on_path(stop, NOW) is None and unit.track is None
    unit.on_gate(GateState.LATCHED, NOW + LEASE, NOW)
    assert unit.watchdog.mode is Mode.ARMED


@pytest.mark.parametrize("v_max, scale", [(1.0, 1.0), (0.3, 1.0), (1.0, 0.25)])
def test_on_the_way_to_a_path_no_joint_is_faster_than_it_may(v_max, scale):
    top, rng, joined = v_max * scale, np.random.default_rng(0), 0
    values = {**parameters(), "safety": {"velocity_scale": scale}}
    for limit in values["joint_limits"].values():
        limit["max_velocity"] = v_max
    for _ in range(150):
        missing, speed = int(rng.integers(40, 131)), rng.uniform(0.5, 1.0) * top
        unit = Unit(Bounds.of(from_parameters(values, "test")), LEASE, streamed=False)
        unit.on_gate(GateState.READY, NOW + LEASE, NOW)
        unit.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
        unit.on_path(path(NOW, speed=speed, lead_ns=0), NOW)
        now = NOW + missing * MS
        for at in range(NOW, now, TICK):
            unit.on_gate(GateState.ACTIVE, at + LEASE, at)
        start_q = speed * missing * 1e-3 + rng.uniform(-0.02, 0.02)
        if unit.on_path(path(now, seq=9, start_q=start_q, speed=speed, lead_ns=0), now) is None:
            assert sum(unit.refused.values()) == 1 and not unit.ignored
            continue
        joined += 1
        at = np.arange(now, unit.track.end_ns, MS)
        v = np.array([unit.track.state_at(int(t))[1] for t in at])
        assert np.abs(v).max() <= top * 1.0201
    assert joined > 20


def test_motion_begins_where_the_gate_last_said_before_its_enable():
    unit = Commander(BOUNDS, LEASE, streamed=False)
    unit.on_gate(GateState.READY, NOW + LEASE, NOW)
    for seq, at in ((1, 0.3), (2, 0.1)):
        old = path(NOW, seq=seq, speed=0.0, start_q=at, state=GateState.READY)
        assert unit.on_path(replace(old, valid_until_ns=NOW + LEASE), NOW) is None
    assert unit.ignored == 2
    unit.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
    sent = unit.on_path(path(NOW, seq=3, start_q=0.1, speed=0.0), NOW)
    assert (sent.positions == 0.1).all()


@pytest.mark.parametrize("away", [0.0005, -0.0166, 0.02, 0.05])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_first_path_from_rest_elsewhere_is_not_stepped_to(away, streamed):
    unit = Commander(BOUNDS, LEASE, streamed=streamed)
    unit.on_gate(GateState.READY, NOW + LEASE, NOW)
    unit.on_path(path(NOW, speed=0.0, state=GateState.READY, valid_until_ns=NOW + LEASE), NOW)
    unit.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
    first = run_up(NOW + RUN_UP, speed=1.0, seq=2, a_max=A_MAX)
    shifted = replace(first, positions=first.positions - first.positions[0] + away)
    sent = unit.on_path(replace(shifted, valid_until_ns=NOW + LEASE), NOW - 5 * MS)
    if sent is None:
        assert sum(unit.refused.values()) == 1 and abs(away) >= 0.02
        return
    at = np.arange(NOW, unit.track.end_ns, MS)
    q, v = (np.array(found) for found in zip(*[unit.track.state_at(int(t)) for t in at]))
    assert not q[0].any() and not v[0].any()
    assert np.abs(np.diff(v, axis=0)).max() / 1e-3 <= A_MAX * 1.03
    assert np.abs(np.diff(q, axis=0)).max() / 1e-3 <= np.abs(v).max() + 1e-9


def test_when_the_first_paths_are_missed_there_is_no_step():
    unit = commander()
    unit.on_path(path(NOW, cruise=12), NOW)
    unit.tick(NOW + LEASE)
    stands, now = unit.rest, NOW + 500 * MS
    unit.on_gate(GateState.READY, now + LEASE, now)
    unit.tell(stands[0], now)
    late = path(now, seq=5, start_q=stands[0] + 0.02, speed=0.5, lead_ns=10 * MS)
    assert unit.on_path(late, now) is None and unit.refused[Refusal.UNREACHABLE] == 1
    first = path(now, seq=6, start_q=stands[0], speed=0.0, lead_ns=10 * MS)
    assert unit.on_path(first, now) is not None


def test_it_says_where_it_left_the_arm():
    unit = commander()
    assert unit.rest.shape == (0,)
    unit.on_path(path(NOW, cruise=12), NOW)
    assert unit.rest.shape == (0,)
    braked = unit.tick(NOW + 60 * MS)
    np.testing.assert_array_equal(unit.rest, braked.positions[-1])


def test_lost_lease_in_the_tail_sends_the_rest_of_the_tail():
    unit = commander()
    sent = unit.on_path(path(NOW, lead_ns=0, speed=0.48), NOW)
    rest = unit.tick(NOW + 90 * MS)  # the tail brakes as hard as it may
    np.testing.assert_array_equal(rest.positions[-1], sent.positions[-1])
    assert rest.from_start_ns[-2] == sent.from_start_ns[-2] - 90 * MS


def test_a_stop_that_comes_too_late_to_be_joined_is_made_along_the_path():
    unit = commander()
    unit.on_path(path(NOW), NOW)
    now = NOW + 20 * MS
    unit.on_gate(GateState.LATCHED, now + LEASE, now)
    at = 13 * MS  # where it begins to brake; it comes 4 ms later
    stop = path(
        NOW, seq=2, start_q=0.5 * 0.008, lead_ns=at, cruise=1, tail_start=0,
        state=GateState.LATCHED, valid_until_ns=now + LEASE,
    )  # fmt: skip
    braked = unit.on_path(stop, NOW + at + 4 * MS)
    assert unit.refused[Refusal.UNREACHABLE] == 1
    assert not braked.velocities[-1].any()
    assert braked.from_start_ns[-2] == BOUNDS.lead_ns + round(0.5 / 8.0 * 1e9)


def test_latched_until_a_fresh_enable():
    unit = commander()
    unit.on_path(path(NOW), NOW)
    unit.tick(NOW + 70 * MS)
    now = NOW + 300 * MS
    for state in (GateState.ACTIVE, GateState.SLOW, GateState.HOLD, GateState.STOPPING):
        unit.on_gate(state, now + LEASE, now)
        assert unit.on_path(path(now, seq=9, state=state), now) is None
    assert unit.watchdog.mode is Mode.LATCHED
    unit.on_gate(GateState.READY, now + LEASE, now)
    said = path(now, seq=10, state=GateState.READY, start_q=0.9, speed=0.0)
    assert unit.on_path(said, now) is None
    assert unit.watchdog.mode is Mode.ARMED
    # a gate that was started anew counts from the beginning, and starts at the measured pose
    assert unit.on_path(path(now, seq=1, start_q=0.9, speed=0.0), now) is not None
    assert unit.watchdog.mode is Mode.FOLLOWING


def test_a_gate_that_was_reset_between_two_leases_is_a_fresh_enable():
    unit = commander()
    unit.tick(NOW + 70 * MS)
    now = NOW + 3000 * MS
    unit.on_gate(GateState.LATCHED, now + LEASE, now)
    unit.on_gate(GateState.ACTIVE, now + LEASE, now)
    assert unit.watchdog.mode is Mode.FOLLOWING


def test_a_stop_of_the_gate_is_followed_to_its_end():
    unit = commander()
    unit.on_path(path(NOW), NOW)
    for i, state in enumerate((GateState.STOPPING, GateState.LATCHED)):
        now = NOW + 20 * MS * (i + 1)
        unit.on_gate(state, now + LEASE, now)
        ramp = path(now, seq=2 + i, start_q=0.01 * (i + 1), state=state)
        assert unit.on_path(ramp, now) is not None


def test_a_bad_path_changes_nothing():
    unit = commander()
    unit.on_path(path(NOW), NOW)
    track = unit.track
    bad = path(NOW + TICK, seq=2).positions.copy()
    bad[3] = np.nan
    assert unit.on_path(path(NOW + TICK, seq=2, positions=bad), NOW + TICK) is None
    assert unit.on_path(path(NOW + TICK, seq=3, start_q=1.5), NOW + TICK) is None
    assert unit.on_path(path(NOW + TICK, seq=1), NOW + TICK) is None
    assert unit.on_path(path(NOW, seq=5), NOW + 61 * MS) is None
    assert unit.track is track
    assert unit.refused == {
        Refusal.FINITE: 1, Refusal.JUMP: 1, Refusal.SEQ: 1, Refusal.EXPIRED: 1
    }  # fmt: skip


def test_a_lease_promises_no_more_than_its_length():
    unit = commander()
    unit.on_path(path(NOW, valid_until_ns=2**62), NOW)
    assert unit.tick(NOW + 59 * MS) is None
    assert unit.tick(NOW + 60 * MS) is not None
    assert unit.watchdog.mode is Mode.LATCHED


def test_leases_alone_keep_it_following():
    unit = commander()
    unit.on_path(path(NOW), NOW)
    for t in range(20, 1000, 20):
        unit.on_gate(GateState.HOLD, NOW + t * MS + LEASE, NOW + t * MS)
        assert unit.tick(NOW + t * MS) is None
    assert unit.watchdog.mode is Mode.FOLLOWING


def test_streamed_output_runs_the_tail_to_its_end_and_falls_silent():
    unit = commander(streamed=True)
    assert isinstance(unit.on_path(path(NOW), NOW), Sample)
    samples = [unit.tick(NOW + t * MS) for t in range(10, 600, 10)]
    samples = [s for s in samples if s is not None]
    assert unit.watchdog.mode is Mode.LATCHED
    end = unit.track.positions[-1]
    np.testing.assert_allclose(samples[-1].position, end, atol=0.02)
    speeds = np.array([s.velocity[0] for s in samples])
    assert (np.diff(speeds) >= -8.0 * 0.01 - 1e-9).all()
    # the last one says that it stands
    assert len(samples) == int((unit.track.end_ns - NOW - 1) // TICK) + 1
    np.testing.assert_array_equal(samples[-1].position, end)
    assert not samples[-1].velocity.any()


def test_streamed_output_goes_on_while_the_gate_holds():
    unit = commander(streamed=True)
    unit.on_path(path(NOW), NOW)
    for t in range(10, 1000, 10):
        unit.on_gate(GateState.HOLD, NOW + t * MS + LEASE, NOW + t * MS)
        assert unit.tick(NOW + t * MS) is not None
    assert not unit.tick(NOW + 1000 * MS).velocity.any()


def test_a_second_publisher_latches_silently_until_it_is_gone_and_a_fresh_enable():
    unit = commander()
    unit.on_path(path(NOW), NOW)
    unit.hold(("2 publishers",), NOW)
    assert unit.watchdog.mode is Mode.LATCHED and unit.watchdog.cause == "2 publishers"
    assert unit.tick(NOW + TICK) is None
    for state in (GateState.READY, GateState.ACTIVE):
        unit.on_gate(state, NOW + TICK + LEASE, NOW + TICK)
    assert unit.watchdog.mode is Mode.LATCHED
    unit.hold((), NOW)
    unit.on_gate(GateState.ACTIVE, NOW + TICK + LEASE, NOW + TICK)
    assert unit.watchdog.mode is Mode.LATCHED
    for state in (GateState.READY, GateState.ACTIVE):
        unit.on_gate(state, NOW + TICK + LEASE, NOW + TICK)
    assert unit.watchdog.mode is Mode.FOLLOWING


@pytest.mark.parametrize("cruise", [8, 60])
def test_beside_a_second_publisher_a_streamed_arm_stands_as_soon_as_it_can(cruise):
    """The rest of what is followed may be long: the way to where an arm was measured."""
    unit = commander(streamed=True)
    unit.on_path(path(NOW, cruise=cruise), NOW)
    now = NOW + 20 * MS
    speeds = [np.abs(unit.tick(now).velocity).max()]
    for _ in range(40):
        now += TICK
        unit.hold(("2 publishers",), now)
        sample = unit.tick(now)
        if sample is None:
            break
        speeds.append(np.abs(sample.velocity).max())
    assert sample is None and speeds[-1] == 0.0  # said once
    assert (np.diff(speeds[2:]) < 0.0).all() and len(speeds) * 0.01 < speeds[0] / A_MAX + 0.06
    assert (np.abs(np.diff(speeds)) <= 1.02 * A_MAX * 0.01 + 1e-9).all()
    assert unit.watchdog.mode is Mode.LATCHED and not unit.followed


def test_what_was_overtaken_on_the_way_says_nothing():
    unit = commander()
    unit.on_gate(GateState.READY, NOW + LEASE - 1, NOW)
    assert unit.watchdog.mode is Mode.FOLLOWING
    unit.on_gate(GateState.READY, NOW + LEASE + 1, NOW + 1)
    assert unit.watchdog.mode is Mode.ARMED
    assert unit.on_path(path(NOW, lead_ns=0), NOW + 2) is None  # sent while the gate was enabled
    assert unit.watchdog.mode is Mode.ARMED


def test_armed_as_soon_as_the_stop_of_a_latched_gate_has_ended():
    unit = commander()
    unit.on_path(path(NOW), NOW)
    stop = path(NOW + TICK, seq=2, start_q=0.005, state=GateState.STOPPING)
    assert unit.on_path(stop, NOW + TICK) is not None
    for t in range(20, 1000, 10):  # the stop has ended: the gate says so, and repeats where
        now = NOW + t * MS
        unit.on_gate(GateState.LATCHED, now + LEASE, now)
        assert unit.watchdog.mode is Mode.FOLLOWING
    last = unit.track.positions[-1].copy()
    now += TICK
    unit.on_path(path(now, seq=3, start_q=last, speed=0.0, state=GateState.LATCHED), now)
    assert unit.watchdog.mode is Mode.FOLLOWING and unit.accepted == 3
    for _ in range(10):
        now += TICK
        unit.on_gate(GateState.LATCHED, now + LEASE, now)
    now = unit.track.end_ns
    unit.on_gate(GateState.LATCHED, now + LEASE, now)
    assert unit.watchdog.mode is Mode.ARMED and unit.heard == 0
    unit.on_path(path(now, seq=4, start_q=last, speed=0.0, state=GateState.LATCHED), now)
    assert unit.heard == 4


def test_finish_takes_no_more_paths_and_comes_to_rest():
    unit = commander()
    unit.on_path(path(NOW), NOW)
    unit.finish()
    assert unit.on_path(path(NOW + TICK, seq=2, start_q=0.005), NOW + TICK) is None
    assert not unit.resting(NOW + 20 * MS) and unit.resting(NOW + 400 * MS)


def end_of(sent):
    """Return the ns from now until the arm stands where a trajectory ends."""
    elsewhere = (sent.positions != sent.positions[-1]).any(axis=1) | sent.velocities.any(axis=1)
    before = np.flatnonzero(elsewhere)
    return int(sent.from_start_ns[before[-1] + 1]) if len(before) else 0


class LatchMachine(RuleBasedStateMachine):
    """After a loss, whatever the gate sends, nothing moves before disabled and then enabled."""

    def __init__(self):
        super().__init__()
        self.now, self.seq = NOW, 0
        self.unit = Commander(BOUNDS, LEASE, streamed=False)
        self.may_move, self.seen_idle, self.until = False, False, 0
        self.stopped_ns = None  # when the path of a latched gate, followed last, comes to its end
        self.left = False  # the gate was disabled while a path was followed: it may brake
        self.rests_ns = 0  # when what was sent last comes to its end
        self.told = False  # since the gate was seen disabled it said where motion begins
        self.placed = False  # so the arm is known to stand, or move, somewhere

    def hear(self, state, until):
        before = self.may_move, self.seen_idle
        if until < self.until:
            return  # overtaken on the way
        silent = self.seen_idle and until - LEASE >= self.until
        self.until = min(until, self.now + LEASE)
        over = self.stopped_ns is not None and self.now >= self.stopped_ns
        if state in (0, 1) or (state == 6 and (over or not self.may_move)):
            self.left = self.left or self.may_move
            self.seen_idle, self.may_move = True, False
        elif state in (2, 3, 4) and self.seen_idle and (silent or self.now < self.until):
            self.seen_idle, self.may_move = False, not silent
        if silent or (self.seen_idle and not before[1]):
            self.told = False
        if self.may_move and not before[0] and self.now >= self.rests_ns:
            self.placed = self.told

    @rule(state=st.integers(0, 6), late=st.sampled_from([0, 0, 0, 1, 30, 90]))
    def lease(self, state, late):
        until = self.now + LEASE - late * MS
        self.hear(state, until)
        self.unit.on_gate(state, until, self.now)

    @rule(state=st.integers(0, 6), good=st.booleans())
    def path(self, state, good):
        self.seq += 1
        at = 0.0 if self.unit.track is None else float(self.unit.track.state_at(self.now)[0][0])
        names = JOINTS if good else JOINTS[::-1]
        stands = state in (0, 1, 6)  # a gate that is not enabled
        speed = 0.0 if stands else 0.1
        sent = path(self.now, seq=self.seq, start_q=at, state=state, speed=speed, joint_names=names)
        if good:
            self.hear(state, sent.valid_until_ns)
            self.told = self.told or (stands and not self.may_move)
            self.may_move = self.may_move and (self.placed or state not in (2, 3))
        out = self.unit.on_path(sent, self.now)
        assert out is None or (good and (self.may_move or self.left))
        assert out is None or not out.velocities[-1].any()
        if out is not None:
            self.left = False
            self.rests_ns = self.now + end_of(out)
            self.stopped_ns = self.rests_ns if state == GateState.LATCHED else None
        elif good and self.may_move and state in (4, 5, 6) and self.now >= self.rests_ns:
            self.stopped_ns = self.now if state == GateState.LATCHED else None  # it stands already

    @rule(ms=st.integers(1, 120))
    def pass_time(self, ms):
        self.now += ms * MS
        out = self.unit.tick(self.now)
        lost = self.may_move and self.now >= self.until
        self.may_move = self.may_move and not lost
        assert out is None or ((lost or self.left) and not out.velocities[-1].any())
        if out is not None:
            self.rests_ns = self.now + end_of(out)
        self.left = False

    @invariant()
    def agrees(self):
        assert (self.unit.watchdog.mode is Mode.FOLLOWING) == self.may_move


TestLatch = LatchMachine.TestCase
TestLatch.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_machine_of_the_latch_moves_the_arm():
    machine = LatchMachine()
    machine.path(good=True, state=0)
    machine.path(good=True, state=2)
    assert machine.may_move and machine.rests_ns > machine.now and machine.unit.accepted == 1
    machine.agrees()
