"""A gate that holds, too, sets nothing in motion: an arm that stands stays where it is."""

from dataclasses import replace

import numpy as np
import pytest
from command_world import JOINTS, MS, path, robot

from vla_command.core.checks import Bounds, Refusal
from vla_command.core.commander import Commander
from vla_command.core.path import GateState
from vla_command.core.playback import Track, standing
from vla_command.core.trajectory import Sample
from vla_command.core.watchdog import Mode

NOW = 10_000 * MS
LEASE = 60 * MS
BOUNDS = Bounds.of(robot())


def at_rest(streamed=False):
    """Return a publisher that follows, and whose arm came to rest at 0; and when that is."""
    unit = Commander(BOUNDS, LEASE, streamed=streamed)
    unit.on_gate(GateState.READY, NOW + LEASE, NOW)
    unit.on_path(stand(NOW, 0, 0.0, GateState.READY), NOW)
    unit.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
    unit.on_path(stand(NOW, 1, 0.0, GateState.ACTIVE), NOW)
    now = NOW + 40 * MS
    unit.on_gate(GateState.HOLD, now + LEASE, now)
    assert unit.resting(now) and unit.watchdog.mode is Mode.FOLLOWING
    return unit, now


def stand(now, seq, q, state, **changes):
    return path(
        now, seq=seq, horizon=1, tail_start=0, positions=np.full(len(JOINTS), q),
        velocities=np.zeros(len(JOINTS)), state=state, **changes,
    )  # fmt: skip


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    ("state", "measured"),
    [
        (GateState.HOLD, False),
        (GateState.STOPPING, False),
        (GateState.LATCHED, False),
        (GateState.STOPPING, True),  # it held where the arm was measured when it was latched
        (GateState.LATCHED, True),
    ],
)
def test_an_arm_at_rest_stays(streamed, state, measured):
    """The paths that led to where the gate stands were lost."""
    unit, now = at_rest(streamed)
    out = unit.on_path(stand(now, 5, 0.05, state, measured=measured), now)
    assert out is None and unit.refused[Refusal.UNREACHABLE] == 1
    assert unit.followed == 1  # so that the gate knows where the arm is
    assert not unit.track.positions[-1].any()


@pytest.mark.parametrize("streamed", [False, True])
def test_but_where_the_arm_was_measured_it_is_commanded_to(streamed):
    """It fell behind: otherwise it would be pulled to where it was commanded when let go."""
    unit, now = at_rest(streamed)
    sent = unit.on_path(replace(stand(now, 5, 0.05, GateState.HOLD), measured=True), now)
    assert sent is not None and unit.followed == 5
    np.testing.assert_array_equal(unit.track.positions[-1], np.full(len(JOINTS), 0.05))


@pytest.mark.parametrize("measured", [False, True])
def test_on_the_way_to_where_it_was_measured_a_latch_stops_it(measured):
    unit, now = at_rest()
    unit.on_path(replace(stand(now, 5, 0.14, GateState.HOLD), measured=True), now)
    arrives = unit.track.end_ns
    assert arrives - now > 150 * MS
    now += 50 * MS
    sent = unit.on_path(stand(now, 6, 0.14, GateState.LATCHED, measured=measured), now)
    assert sent is not None and not sent.velocities[-1].any()
    assert unit.track.end_ns < arrives - 20 * MS and unit.followed == 0
    assert 0.0 < unit.track.positions[-1][0] < 0.13
    there = unit.track.positions[-1]
    for seq in range(7, 12):  # and it does not set out again
        now += 50 * MS
        unit.on_path(stand(now, seq, 0.14, GateState.LATCHED, measured=measured), now)
    np.testing.assert_array_equal(unit.track.positions[-1], there)
    assert unit.watchdog.mode is Mode.ARMED


def test_after_a_stop_of_its_own_it_tells_a_gate_that_holds_where_the_arm_stands():
    unit = Commander(BOUNDS, LEASE, streamed=False)
    unit.on_gate(GateState.READY, NOW + LEASE, NOW)
    unit.on_path(stand(NOW, 0, 0.0, GateState.READY), NOW)
    unit.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
    assert unit.rest.shape == (0,)  # enabled, and not moved yet: the gate knows that
    unit.on_path(path(NOW, seq=1, speed=0.0), NOW)
    assert unit.rest.shape == (0,)
    moving = Track(
        NOW + np.array([0, 50, 300], dtype=np.int64) * MS,
        np.outer([0.0, 0.01, 0.1], np.ones(3)), np.outer([0.0, 0.3, 0.0], np.ones(3)),
    )  # fmt: skip
    unit.track, now = moving, NOW + 50 * MS
    out = unit.on_path(stand(now, 4, 0.5, GateState.HOLD), now)  # only the place is left of a stop
    assert out is not None and unit.followed == 0
    np.testing.assert_array_equal(unit.rest, unit.track.positions[-1])


def test_an_arm_stands_from_the_last_knot_that_moves():
    q = np.zeros(2)
    assert standing(q, NOW, NOW + 100 * MS).stands_from(NOW - 1)
    track = Track(
        NOW + np.array([0, 10, 20, 30], dtype=np.int64) * MS,
        np.array([[0.0, 0.0], [0.1, 0.0], [0.2, 0.0], [0.2, 0.0]]),
        np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]),
    )
    found = [track.stands_from(NOW + ms * MS) for ms in (-1, 0, 10, 19, 20, 25, 30, 99)]
    assert found == [False] * 4 + [True] * 4


@pytest.mark.parametrize("lead_ms", [5, 60, 110])
def test_hold_paths_that_begin_after_the_next_one_comes_do_not_keep_it_from_arming(lead_ms):
    """With a slow controller a latched gate's paths all lie in the future."""
    unit, now = at_rest()
    for seq in range(5, 30):
        unit.on_path(stand(now, seq, 0.0, GateState.LATCHED, lead_ns=lead_ms * MS), now)
        now += 50 * MS
    assert unit.watchdog.mode is Mode.ARMED


def test_a_streamed_output_ends_with_the_sample_that_stands():
    unit = Commander(BOUNDS, LEASE, streamed=True)
    unit.on_gate(GateState.READY, NOW + LEASE, NOW)
    unit.on_path(stand(NOW, 0, 0.0, GateState.READY), NOW)
    unit.on_gate(GateState.ACTIVE, NOW + LEASE, NOW)
    unit.on_path(path(NOW, seq=1, speed=0.0), NOW)
    unit.track = Track(
        NOW + np.array([0, 107], dtype=np.int64) * MS,
        np.outer([0.0, 0.02], np.ones(3)), np.outer([0.3, 0.0], np.ones(3)),
    )  # fmt: skip
    unit.tick(NOW)
    unit.watchdog.latch("test")
    sent = [unit.tick(NOW + t * MS) for t in range(10, 400, 10)]
    told = [item for item in sent if item is not None]
    assert len(told) == 11 and isinstance(told[-1], Sample)
    np.testing.assert_array_equal(told[-1].position, np.full(3, 0.02))
    assert not told[-1].velocity.any()
