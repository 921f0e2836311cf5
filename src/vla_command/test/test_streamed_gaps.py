"""Streamed outputs: no sample that is a step, after an enable and after a gap in the samples."""

import numpy as np
import pytest
from command_world import MS, RUN_UP, path, robot, run_up

from vla_command.core.checks import Bounds
from vla_command.core.commander import Commander
from vla_command.core.path import GateState
from vla_command.core.watchdog import Mode

NOW = 10_000 * MS
LEASE = 60 * MS
TICK = 10 * MS
BOUNDS = Bounds.of(robot(type="forward_command"))


class World:
    """A publisher, its gate, and a clock."""

    def __init__(self, streamed=True):
        self.unit = Commander(BOUNDS, LEASE, streamed=streamed)
        self.now, self.seq = NOW, 0

    def gate(self, state):
        self.unit.on_gate(state, self.now + LEASE, self.now)

    def stand(self, q, state):
        self.seq += 1
        return self.unit.on_path(
            path(self.now, seq=self.seq, horizon=1, tail_start=0, positions=np.full(3, q),
                 velocities=np.zeros(3), state=state), self.now,
        )  # fmt: skip

    def enable(self, q=0.0):
        self.gate(GateState.READY)
        self.stand(q, GateState.READY)
        self.gate(GateState.ACTIVE)

    def move(self, speed=0.6):
        """Begin a motion; it has reached ``speed`` after ``RUN_UP``."""
        moves = run_up(self.now + RUN_UP, speed=speed, seq=99)
        positions = moves.positions - moves.positions[0]
        sent = path(
            self.now, seq=99, lead_ns=0, horizon=moves.horizon, tail_start=moves.tail_start,
            positions=positions, velocities=moves.velocities,
        )  # fmt: skip
        return self.unit.on_path(sent, self.now)

    def run(self, ms, state=GateState.ACTIVE):
        """Let time pass; return what was sent."""
        sent = []
        for _ in range(ms // 10):
            self.now += TICK
            self.gate(state)
            sent.append(self.unit.tick(self.now))
        return [item for item in sent if item is not None]


def stopped_elsewhere(streamed):
    """Return a world that followed a path standing at 1.0, and was latched and armed."""
    world = World(streamed)
    world.enable(1.0)
    world.stand(1.0, GateState.ACTIVE)
    world.run(50)
    world.gate(GateState.LATCHED)
    world.stand(1.0, GateState.LATCHED)
    world.run(100, GateState.LATCHED)
    assert world.unit.watchdog.mode is Mode.ARMED
    np.testing.assert_array_equal(world.unit.rest, np.ones(3))
    world.now += 60_000 * MS
    return world


def test_after_a_fresh_enable_the_arm_is_not_sent_back_to_where_it_was():
    world = stopped_elsewhere(streamed=True)
    world.gate(GateState.READY)
    world.stand(0.2, GateState.READY)  # somebody moved it
    assert world.run(50, GateState.READY) == []
    sent = world.run(30)
    assert len(sent) == 3
    for item in sent:
        np.testing.assert_array_equal(item.position, np.full(3, 0.2))
        assert not item.velocity.any()
    assert world.unit.followed == 0 and world.unit.rest.size == 0
    world.run(30, GateState.READY)
    np.testing.assert_array_equal(world.unit.rest, np.full(3, 0.2))


def test_without_a_word_where_motion_begins_nothing_is_sent():
    world = stopped_elsewhere(streamed=True)
    world.gate(GateState.READY)
    assert world.run(30) == [] and world.unit.watchdog.mode is Mode.FOLLOWING
    assert world.move() is None  # and no path is joined from the old command
    world.now += LEASE
    assert world.unit.tick(world.now) is None and world.unit.watchdog.mode is Mode.LATCHED
    assert world.unit.rest.size == 0


def test_where_motion_begins_may_be_heard_just_after_the_enable():
    world = stopped_elsewhere(streamed=True)
    world.gate(GateState.READY)
    said = path(world.now, seq=7, horizon=1, tail_start=0, positions=np.full(3, 0.2),
                velocities=np.zeros(3), state=GateState.READY)  # fmt: skip
    world.run(20)
    assert world.unit.on_path(said, world.now) is None
    sent = world.run(20)
    assert len(sent) == 2
    np.testing.assert_array_equal(sent[0].position, np.full(3, 0.2))


def test_a_trajectory_controller_is_sent_nothing_at_an_enable():
    world = stopped_elsewhere(streamed=False)
    world.gate(GateState.READY)
    world.stand(0.2, GateState.READY)
    assert world.run(30) == []
    world.now += LEASE
    assert world.unit.tick(world.now) is None and world.unit.watchdog.mode is Mode.LATCHED


def test_an_enable_while_the_arm_still_brakes_goes_on_from_there():
    world = World()
    world.enable()
    world.move()
    before = world.run(RUN_UP // MS)[-1].position[0]
    for state in (GateState.READY, GateState.ACTIVE):
        world.gate(state)
    world.stand(0.9, GateState.ACTIVE)
    samples = [before] + [item.position[0] for item in world.run(100)]
    assert np.abs(np.diff(samples)).max() <= 0.6 * 0.01 + 1e-6


@pytest.mark.parametrize("stall_ms", [31, 40, 55, 100, 300])
@pytest.mark.parametrize("first_heard", ["lease", "path", "nothing"])
def test_after_a_stall_it_stands_at_the_last_sample_and_latches(stall_ms, first_heard):
    world = World()
    world.enable()
    world.move()
    last = world.run(RUN_UP // MS)[-1]
    assert last.velocity[0] > 0.5
    world.now += stall_ms * MS
    if first_heard == "lease":
        world.gate(GateState.ACTIVE)
    out = world.stand(last.position[0], GateState.ACTIVE) if first_heard == "path" else None
    out = out or world.unit.tick(world.now)
    np.testing.assert_array_equal(out.position, last.position)
    assert not out.velocity.any()
    watchdog = world.unit.watchdog
    assert watchdog.mode is Mode.LATCHED and watchdog.trips == 1
    assert watchdog.cause == f"no sample was sent for {stall_ms} ms"
    np.testing.assert_array_equal(world.unit.rest, last.position)
    assert world.unit.followed == 0
    assert world.run(200) == []  # until a fresh enable
    world.gate(GateState.LATCHED)
    assert watchdog.mode is Mode.ARMED


@pytest.mark.parametrize("stall_ms", [10, 25, 30])
def test_a_short_gap_is_followed(stall_ms):
    world = World()
    world.enable()
    world.move()
    last = world.run(RUN_UP // MS)[-1]
    world.now += stall_ms * MS
    world.gate(GateState.ACTIVE)
    out = world.unit.tick(world.now)
    assert out.position[0] - last.position[0] == pytest.approx(0.6 * stall_ms * 1e-3, rel=0.05)
    assert world.unit.watchdog.mode is Mode.FOLLOWING


def test_a_stall_while_it_brakes_is_no_step_either():
    world = World()
    world.enable()
    world.move()
    world.run(RUN_UP // MS)
    world.now += LEASE // 2
    world.unit.tick(world.now)
    world.now += LEASE // 2
    braking = world.unit.tick(world.now)
    assert world.unit.watchdog.cause == "the gate fell silent: lease lost"
    world.now += 40 * MS
    after = world.unit.tick(world.now)
    np.testing.assert_array_equal(after.position, braking.position)
    np.testing.assert_array_equal(world.unit.rest, braking.position)
    assert world.unit.watchdog.trips == 1


def test_a_stall_of_an_arm_that_stands_changes_nothing():
    world = World()
    world.enable()
    world.stand(0.0, GateState.ACTIVE)
    world.run(50)
    world.now += 45 * MS
    world.gate(GateState.ACTIVE)
    assert not world.unit.tick(world.now).position.any()
    assert world.unit.watchdog.mode is Mode.FOLLOWING


def test_a_trajectory_controller_needs_no_samples():
    world = World(streamed=False)
    world.enable()
    world.move()
    world.run(100)
    world.now += 45 * MS
    world.gate(GateState.ACTIVE)
    assert world.unit.tick(world.now) is None
    assert world.unit.watchdog.mode is Mode.FOLLOWING
