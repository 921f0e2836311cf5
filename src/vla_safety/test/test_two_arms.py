"""Two arms that plans drive into each other: slower, then a hold; the way out stays open.

What was let out is judged row by row, stop tails included, by two_arms.judge, which shares no code
with the gate. Many joints: all that was let out is within the limits, by the oracle.
"""

import numpy as np
import pytest
from gate_fuzz import Judge
from safety_world import World, make_robot
from space_world import clearance_of
from two_arms import BOTH_HOME, STOP, TOGETHER, judge, make_arms, nearest

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State

ROUNDING = 1e-6  # [m]


def at_home(**changes):
    robot = make_arms(**changes)
    checks = clearance_of(robot) if robot.surroundings.kinematics.enabled else None
    return World(robot, np.array(BOTH_HOME), checks).enabled()


def send(world, goal, speed=1.2):
    q = world.gate.motion.command(world.now)[0]
    way = np.array(goal) - q
    step = 0.05 * speed * way / max(np.abs(way).max(), 0.05 * speed)
    return world.chunk(q + step * np.arange(1, 9)[:, None])


def drive(world, goal, periods, speed=1.2):
    """Send plans towards ``goal`` until the gate holds; return distance and speed after each."""
    found = []
    for _ in range(periods):
        send(world, goal, speed)
        world.tick(20), world.tick(20), world.tick(10)
        if world.gate.state is State.HOLD:
            break
        found.append(world.gate.motion.command(world.now))
    return nearest(np.array([q for q, _ in found])), np.array([np.abs(v).max() for _, v in found])


def let_out(world):
    return np.vstack([action.positions for action in world.actions])


def test_the_judge_knows_where_the_arms_are():
    assert nearest(np.array(BOTH_HOME))[0] == pytest.approx(0.6 - 0.08)
    straight = [np.pi / 2, 0.0, 0.0, 0.0, 0.0, 0.0]  # a reaches over to where b stands
    # its forearm ends 0.1 m beyond b's shoulder, and b's upper arm begins 0.05 m in front of it
    assert judge(np.array(straight))["a_fore:b_upper"][0] == pytest.approx(0.05 - 0.08)
    assert len(judge(np.array(BOTH_HOME))) == 2 * 2 + 8


def test_the_judge_and_the_checks_know_the_same_pairs():
    names = {frozenset(pair.name.split(":")) for pair in clearance_of(make_arms()).pairs}
    assert names == {frozenset(name.split(":")) for name in judge(np.array(BOTH_HOME))}


GOALS = {
    "both": TOGETHER,
    "a into b": [1.5, -0.3, 0.6, *BOTH_HOME[3:]],
    "b into a": [*BOTH_HOME[:3], -1.5, -0.3, 0.6],
    "crossed": [0.9, -0.2, 0.3, -0.4, -0.6, 0.9],
}


@pytest.mark.parametrize("speed", [0.4, 1.2])
@pytest.mark.parametrize("goal", GOALS)
def test_arms_that_are_driven_into_each_other_slow_down_and_hold(goal, speed):
    world = at_home()
    distance, moved = drive(world, GOALS[goal], 200, speed)
    assert world.gate.state is State.HOLD
    assert world.gate.machine.cause == Reason.COLLISION.value
    world.run(400)
    apart = {name: d.min() for name, d in judge(let_out(world)).items()}
    assert min(apart.values()) >= STOP - ROUNDING, apart
    between = min(d for name, d in apart.items() if "a_" in name and "b_" in name)
    assert between <= 0.06, "they stopped far from each other"
    assert not world.gate.motion.command(world.now)[1].any()
    near, far = moved[distance < 0.08], moved[distance > 0.2]
    assert near.min() < 0.7 * far.max(), "it was not slower near the other arm"
    assert world.gate.last_error is None


@pytest.mark.parametrize("goal", GOALS)
def test_arms_that_part_go_on(goal):
    world = at_home()
    drive(world, GOALS[goal], 200)
    world.run(200)
    near = nearest(world.gate.motion.command(world.now)[0])[0]
    del world.actions[:]
    for _ in range(100):
        send(world, BOTH_HOME)
        world.tick(20), world.tick(20), world.tick(10)
    assert world.gate.state is State.ACTIVE
    assert world.gate.motion.command(world.now)[0] == pytest.approx(BOTH_HOME, abs=0.02)
    assert nearest(let_out(world)).min() >= near - ROUNDING


def wander(world, seed, periods=60):
    """Send plans to postures drawn at random, most of them near the other arm, with stops."""
    rng = np.random.default_rng(seed)
    goal, speed = np.array(TOGETHER), 1.0
    for _ in range(periods):
        if rng.random() < 0.12 or (world.gate.state is State.HOLD and rng.random() < 0.4):
            near = np.array([1.0, -0.3, 0.6, -1.0, -0.3, 0.6])
            home = rng.random() < 0.3
            goal = np.array(BOTH_HOME) if home else near + rng.normal(size=6) * 0.7
            speed = float(rng.choice([0.2, 0.7, 1.5, 3.0]))
        if rng.random() < 0.03:
            world.gate.motion.stop(world.now)
        elif rng.random() < 0.95:
            send(world, goal + rng.normal(size=6) * 0.05, speed)
        world.tick(20), world.tick(20), world.tick(10)
    return world


@pytest.mark.parametrize("seed", range(8))
def test_nothing_that_is_let_out_brings_the_arms_too_near_in_any_row_or_tail(seed):
    world = wander(at_home(), seed)
    rows = let_out(world)
    for name, apart in judge(rows).items():
        assert apart.min() >= STOP - ROUNDING, name
    assert world.gate.last_error is None
    assert (np.ptp(rows, axis=0) > 0.1).all()


def test_without_the_checks_the_same_plans_do_collide():
    """So the judge can tell: what holds above does not hold by itself."""
    bad = 0
    for seed in range(5):
        world = wander(at_home(kinematics={"enabled": False}), seed)
        bad += nearest(let_out(world)).min() < -0.01
    assert bad >= 4


# --- many joints --------------------------------------------------------------------------------
@pytest.mark.parametrize("joints", [14, 28])
@pytest.mark.parametrize("seed", range(3))
def test_many_joints_stay_within_the_limits(joints, seed):
    """As of two arms and of four; every plan is followed by all of them."""
    rng = np.random.default_rng(seed)
    v, a = rng.uniform(0.5, 3.0, joints), rng.uniform(2.0, 15.0, joints)
    low = rng.uniform(-3.0, -0.3, joints)
    high = low + rng.uniform(0.3, 1.5, joints)
    jerk = {"has_jerk_limits": True, "max_jerk": 2000.0} if seed == 1 else None
    robot = make_robot(joints, low, high, v, a, extra=jerk)
    world = World(robot, (low + high) / 2).enabled()
    follower, at_limit = Judge(world), np.zeros(joints, dtype=bool)
    for i in range(120):
        q = world.gate.motion.command(world.now)[0]
        if i % 40 == 0:  # corners of the range and beyond, reversals at full speed
            goal = np.where(rng.random(joints) < 0.5, low - 0.2, high + 0.2)
        if rng.random() < 0.05:
            world.gate.motion.stop(world.now)
        rows = q + np.clip(goal - q, -0.07 * v, 0.07 * v) * np.arange(1, 9)[:, None]
        world.chunk(rows)
        world.tick(20), world.tick(20), world.tick(10)
        q = world.gate.motion.command(world.now)[0]
        at_limit |= (q < low + 0.02) | (q > high - 0.02)
        follower.take(world)
    assert follower.finish() == []
    assert world.gate.last_error is None
    assert at_limit.mean() > 0.5  # they were there
