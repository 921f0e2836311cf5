"""Limits as the controller sees them: samples at 100 Hz, and paths that come late.

A speed may grow by ``A`` and shrink by ``D``; a path may be late, lost, or come between two
samples.
"""

import numpy as np
import pytest
from command_world import MS, path, robot

from vla_command.core.checks import Bounds
from vla_command.core.commander import Commander
from vla_command.core.path import GateState
from vla_command.core.playback import Reach, join
from vla_common.core.robot import from_parameters

NOW = 10_000 * MS
STEP = 0.01
FASTEST = 0.62  # the motion reaches 0.6


def bounds(a, d):
    values = robot().parameters
    values = {**values, "joint_limits": {k: dict(v) for k, v in values["joint_limits"].items()}}
    for limit in values["joint_limits"].values():
        limit.update(
            max_velocity=FASTEST,
            max_acceleration=a,
            has_deceleration_limits=True,
            max_deceleration=d,
        )
    return Bounds.of(from_parameters(values, "test"))


def motion(rng, a, d, rows=400):
    """Return positions and velocities of a random motion within the limits, by rows of 10 ms."""
    q, v, target = [np.zeros(3)], [np.zeros(3)], np.zeros(3)
    for i in range(rows):
        if i % 12 == 0:
            target = rng.uniform(-0.6, 0.6, 3)
        now = v[-1]
        towards = np.sign(target - now)
        grows = now * towards >= 0.0
        new = now + towards * np.where(grows, a, d) * STEP
        new = np.where(towards * (new - target) > 0.0, target, new)
        new = np.where(new * now < 0.0, 0.0, new)  # it stops for a moment where it turns
        q.append(q[-1] + (now + new) / 2 * STEP)
        v.append(new)
    return np.array(q), np.array(v)


def from_row(q, v, i, d, cruise=8):
    """Return the path of the gate at row ``i``: some rows of the motion, then the stop."""
    positions, velocities = list(q[i : i + cruise]), list(v[i : i + cruise])
    while velocities[-1].any():
        now = velocities[-1]
        new = np.sign(now) * np.maximum(np.abs(now) - d * STEP, 0.0)
        positions.append(positions[-1] + (now + new) / 2 * STEP)
        velocities.append(new)
    return np.array(positions), np.array(velocities)


def assert_held(v, dt, a, d, slack=1.03):
    """Check velocities (samples, joints) taken every ``dt`` [s]."""
    assert np.abs(v).max() <= FASTEST + 1e-9
    change = np.diff(v, axis=0) / dt
    turned = v[1:] * v[:-1] < 0.0
    grew = np.abs(v[1:]) > np.abs(v[:-1])
    bound = np.where(turned, max(a, d), np.where(grew, a, d))
    assert (np.abs(change) <= slack * bound + 1e-6).all(), (np.abs(change) / bound).max()


@pytest.mark.parametrize("a, d", [(8.0, 8.0), (8.0, 3.0), (3.0, 8.0)])
@pytest.mark.parametrize("phase_ns", [0, 1 * MS, 4_600_000, 9 * MS])
def test_streamed_samples_hold_the_limits(a, d, phase_ns):
    rng = np.random.default_rng(7)
    q, v = motion(rng, a, d)
    unit = Commander(bounds(a, d), 60 * MS, streamed=True)
    unit.on_gate(GateState.READY, NOW + 60 * MS, NOW)
    unit.on_path(path(NOW, seq=0, start_q=q[0], speed=0.0, state=GateState.READY), NOW)
    samples = []
    for i in range(0, 380, 5):
        now = NOW + i * 10 * MS
        positions, velocities = from_row(q, v, i, d)
        sent = path(
            now, seq=i + 1, horizon=len(positions), positions=positions.ravel(),
            velocities=velocities.ravel(), lead_ns=0,
        )  # fmt: skip
        unit.on_path(sent, now)
        for k in range(5):
            at = now + phase_ns + k * 10 * MS
            unit.on_gate(GateState.ACTIVE, at + 60 * MS, at)
            samples.append(unit.tick(at))
    assert not unit.refused and unit.accepted == 76
    velocity = np.array([s.velocity for s in samples])
    position = np.array([s.position for s in samples])
    assert np.abs(velocity).max() > 0.3
    assert_held(velocity, STEP, a, d)
    assert (np.abs(np.diff(position, axis=0)) <= FASTEST * STEP).all()
    # what is sent is the motion itself, not something behind it: between two rows a parabola
    rows, late = np.arange(len(samples)), phase_ns * 1e-9
    a_now = (v[rows + 1] - v[rows]) / STEP
    np.testing.assert_allclose(velocity, v[rows] + a_now * late, atol=1e-9)
    np.testing.assert_allclose(position, q[rows] + v[rows] * late + a_now * late**2 / 2, atol=1e-9)


@pytest.mark.parametrize("a, d", [(8.0, 3.0), (3.0, 8.0)])
def test_a_late_path_is_joined_within_both_limits_or_not_at_all(a, d):
    rng = np.random.default_rng(3)
    reach = Reach(np.full(3, a), np.full(3, d), np.full(3, FASTEST))
    joined = 0
    for _ in range(300):
        q, v = motion(rng, a, d, 60)
        positions, velocities = from_row(q, v, 0, d, 30)
        whole = path(
            NOW, horizon=len(positions), positions=positions.ravel(),
            velocities=velocities.ravel(), lead_ns=0,
        )  # fmt: skip
        first = join(None, whole, NOW)
        now = NOW + int(rng.integers(250, 330)) * MS
        positions, velocities = from_row(q, v, 25, d, 30)
        late = path(
            NOW, horizon=len(positions), positions=positions.ravel(),
            velocities=velocities.ravel(), lead_ns=250 * MS,
        )  # fmt: skip
        track = join(first, late, now, reach)
        if track is None:
            continue
        joined += 1
        seen = np.array([track.state_at(t)[1] for t in range(now, track.end_ns, MS)])
        if len(seen) > 1:
            assert_held(seen, 1e-3, a, d)
    assert joined > 60


def test_braking_harder_than_speeding_up_is_not_refused():
    a, d = 2.0, 8.0
    reach = Reach(np.full(3, a), np.full(3, d), np.full(3, FASTEST))
    q, v = np.zeros((1, 3)), np.full((1, 3), 0.5)
    positions, velocities = from_row(q, v, 0, d, 1)
    whole = path(
        NOW, horizon=len(positions), positions=positions.ravel(),
        velocities=velocities.ravel(), lead_ns=0,
    )  # fmt: skip
    first = join(None, whole, NOW)
    again = join(first, whole, NOW + 12 * MS, reach)
    assert len(again.times_ns) == len(first.times_ns) - 1
    assert (
        join(first, whole, NOW + 12 * MS, Reach(np.full(3, a), np.full(3, a), np.full(3, FASTEST)))
        is None
    )
