"""Two arms side by side, through gate and publisher: what their controller executes never meets.

Every millisecond of what the controller commands is judged by two_arms.judge, which shares no code
with the gate; paths may be lost or late on their way to the publisher.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from arm_loop import Link, Loop

from vla_safety.core.reasons import Reason

sys.path.append(str(Path(__file__).resolve().parents[1] / "src" / "vla_safety" / "test"))

from space_world import clearance_of
from two_arms import BOTH_HOME, STOP, TOGETHER, judge, make_arms, nearest

SLACK = 1.03
NEARER = 1e-4
"""[m] A path that comes late is joined by a cubic, whose own poses are not checked."""


def enabled(seed=0, *, checked=True, **link):
    """Return a loop whose gate was enabled, and whose soft start is over."""
    arms = make_arms(**({} if checked else {"kinematics": {"enabled": False}}))
    clearance = clearance_of(arms) if checked else None
    loop = Loop(Link(np.random.default_rng(seed)), arm=arms, clearance=clearance)
    loop.run(300)
    assert loop.gate.enable(loop.now)[0], loop.gate.enable_blocked_by(loop.now)
    loop.run(600)
    assert loop.gate.state.name == "ACTIVE"
    for name, value in link.items():
        setattr(loop.link, name, value)
    return loop


def assert_within_limits(loop):
    v_max, a_max = loop.arm.bound("max_velocity"), loop.arm.bound("max_acceleration")
    q, v = np.array(loop.desired), np.array(loop.velocity)
    assert (np.abs(np.diff(q, axis=0)) / 1e-3 / v_max).max() <= SLACK
    assert (np.abs(np.diff(v, axis=0)) / 1e-3 / a_max).max() <= SLACK
    assert loop.gate.last_error is None
    assert "LATCHED" not in loop.states


def apart(loop, every=5):
    """Return the least distance [m] of each two links over all that was executed."""
    return {name: d.min() for name, d in judge(np.array(loop.desired)[::every]).items()}


@pytest.mark.parametrize("late_ms", [0.5, 25.0])
@pytest.mark.parametrize("speed", [0.5, 1.2])
def test_arms_that_are_driven_into_each_other_hold_apart_and_part_again(speed, late_ms):
    loop = enabled(late_ms=late_ms)
    loop.speed, loop.target = speed, np.array(TOGETHER)
    loop.run(6000)
    assert loop.gate.state.name == "HOLD"
    assert loop.gate.counts.total[Reason.COLLISION] >= 1
    assert not loop.velocity[-1].any()
    found = apart(loop)
    assert min(found.values()) >= STOP - NEARER, found
    held = nearest(loop.desired[-1])[0]
    assert held <= 0.06, "they stopped far from each other"
    begun = len(loop.desired)
    loop.target = np.array(BOTH_HOME)
    loop.run(6000)
    assert loop.gate.state.name == "ACTIVE"
    np.testing.assert_allclose(loop.desired[-1], BOTH_HOME, atol=0.02)
    assert nearest(np.array(loop.desired[begun::5])).min() >= min(held, STOP) - NEARER
    assert_within_limits(loop)


@pytest.mark.parametrize("seed", range(4))
def test_plans_to_and_fro_with_lost_and_late_paths_never_make_them_meet(seed):
    loop = enabled(seed, loss=[0.0, 0.05, 0.3][seed % 3], late_ms=[0.5, 25.0][seed % 2])
    rng = np.random.default_rng(seed)
    for _ in range(10):
        home = rng.random() < 0.2
        loop.target = np.array(BOTH_HOME if home else TOGETHER) + rng.normal(size=6) * 0.5
        loop.speed = float(rng.uniform(0.4, 1.3))
        loop.run(700)
    found = apart(loop)
    assert min(found.values()) >= STOP - NEARER, found
    assert loop.gate.counts.total[Reason.COLLISION] >= 1
    assert_within_limits(loop)


def test_a_stop_while_they_approach_keeps_them_apart():
    loop = enabled()
    loop.speed, loop.target = 1.2, np.array(TOGETHER)
    while nearest(loop.q)[0] > 0.15:
        loop.run(10)
    assert loop.velocity[-1].any()
    loop.gate.press(loop.now)
    loop.run(400)
    assert loop.gate.state.name == "LATCHED"
    assert not loop.velocity[-1].any()
    assert min(apart(loop, every=1).values()) >= STOP - NEARER


def test_without_the_checks_they_collide():
    """So the judge can tell: what holds above does not hold by itself."""
    loop = enabled(checked=False)
    loop.speed, loop.target = 1.2, np.array(TOGETHER)
    loop.run(4000)
    assert min(apart(loop).values()) < -0.02
