"""The gate near things: slow, then a hold on the path before; the way out stays open.

Each hazard is injected as a plan that leads there; what was let out is judged row by row, stop
tails included, by space_world.judge, which shares no code with the gate.
"""

from __future__ import annotations

import numpy as np
import pytest
from safety_world import World
from space_world import HOME, clearance_of, judge, limits, make_arm

from vla_safety.core.clearance import Finding
from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State

INTO = {  # where a plan leads to, and why that is refused
    "table": ([0.0, 0.9, 0.3], Reason.COLLISION, "collision"),
    "itself": ([0.0, 0.75, 1.95], Reason.COLLISION, "collision"),
    "room": ([0.0, -0.2, 0.0], Reason.WORKSPACE, "workspace"),
    "case": ([0.75, 0.0, 0.45], Reason.WORKSPACE, "workspace"),
}


def at_home(robot=None, home=HOME):
    robot = robot or make_arm()
    world = World(robot, np.array(home, dtype=float), clearance_of(robot))
    return world.enabled()


def without(*zones):
    """Return an arm without some sections, so that a plan can reach what the test is about."""
    return make_arm(**dict.fromkeys(zones))


def drive(world, goal, ticks, speed=1.2):
    """Send plans towards ``goal`` for some periods of 50 ms; stop early when the gate holds."""
    for _ in range(ticks):
        send(world, goal, speed)
        world.tick(20), world.tick(20), world.tick(10)
        if world.gate.state is State.HOLD:
            break
    return world


def send(world, goal, speed=1.2):
    q = world.gate.motion.command(world.now)[0]
    way = np.array(goal) - q
    step = 0.05 * speed * way / max(np.abs(way).max(), 0.05 * speed)
    return world.chunk(q + step * np.arange(1, 9)[:, None])


def worst(actions, first=None):
    """Return the least margin [m] of all rows that were let out, and what it was to."""
    rows = np.vstack([a.positions for a in actions])
    start = judge(rows[:1] if first is None else np.atleast_2d(first))
    found = [
        (float((d - min(limits()[name], start[name][0])).min()), name)
        for name, d in judge(rows).items()
    ]
    return min(found)


@pytest.mark.parametrize("what", sorted(INTO))
def test_a_plan_into_something_holds_before_it_is_reached(what):
    goal, reason, cause = INTO[what]
    robot = without("workspace") if reason is Reason.COLLISION else make_arm()
    world = drive(at_home(robot), goal, 200)
    assert world.gate.state is State.HOLD
    assert world.gate.machine.cause == cause
    assert world.gate.counts.total[reason] == 1
    world.run(500)
    margin, name = worst(world.actions) if what in ("room", "case") else min(
        (float((judge(np.vstack([a.positions for a in world.actions]))[n] - 0.02).min()), n)
        for n in limits() if ":" in n
    )  # fmt: skip
    assert margin >= -1e-6, name
    assert margin <= 0.05, "it stopped far from anything"
    assert not world.gate.motion.command(world.now)[1].any()
    assert world.gate.last_error is None


def test_it_slows_before_it_stops():
    world = at_home(without("workspace"))
    speeds = []
    for _ in range(200):
        send(world, INTO["table"][0])
        world.tick(20), world.tick(20), world.tick(10)
        if world.gate.state is State.HOLD:
            break
        q, v = world.gate.motion.command(world.now)
        speeds.append((float(judge(q[None, :])["fore:table"][0]), float(np.abs(v).max())))
    far = max(v for d, v in speeds if d > 0.2)
    near = [v for d, v in speeds if d < 0.04]
    assert near, "it stopped before it was near"
    assert max(near) < 0.6 * far


def test_while_plans_lead_in_it_holds_and_counts_once():
    world = drive(at_home(without("workspace")), INTO["table"][0], 200)
    transitions = world.gate.machine.transitions
    stood = world.gate.motion.path.q[-1]
    for _ in range(60):
        send(world, INTO["table"][0], 1.5)
        world.tick(20), world.tick(20), world.tick(10)
    assert world.gate.state is State.HOLD
    assert world.gate.machine.transitions == transitions
    assert world.gate.counts.total[Reason.COLLISION] == 1
    assert world.gate.motion.path.q[-1] == pytest.approx(stood, abs=1e-12)


@pytest.mark.parametrize("what", sorted(INTO))
def test_plans_that_lead_out_go_on(what):
    goal, reason, _ = INTO[what]
    robot = without("workspace") if reason is Reason.COLLISION else make_arm()
    world = drive(at_home(robot), goal, 200)
    world.run(200)
    for _ in range(100):
        send(world, HOME)
        world.tick(20), world.tick(20), world.tick(10)
    assert world.gate.state is State.ACTIVE
    assert world.gate.motion.command(world.now)[0] == pytest.approx(HOME, abs=0.02)


def test_enabled_too_near_only_the_way_out_is_open():
    near = [0.0, np.arcsin(0.35 / 0.4), -np.arcsin(0.35 / 0.4)]  # forearm 1 cm above the table
    robot = without("workspace")
    world = World(robot, np.array(near), clearance_of(robot)).enabled()
    assert float(judge(np.array([near]))["fore:table"][0]) == pytest.approx(0.01, abs=1e-9)
    drive(world, INTO["table"][0], 20)
    assert world.gate.state is State.HOLD
    assert min(judge(np.vstack([a.positions for a in world.actions]))["fore:table"]) > 0.01 - 1e-6
    for _ in range(100):
        send(world, HOME)
        world.tick(20), world.tick(20), world.tick(10)
    assert world.gate.state is State.ACTIVE
    assert world.gate.motion.command(world.now)[0] == pytest.approx(HOME, abs=0.02)


def test_a_stop_that_leads_too_near_leaves_the_path_before(monkeypatch):
    """The quickest stop is another line than the path; that is passed already."""
    world = drive(at_home(), [0.3, -0.9, 1.2], 6)
    path = world.gate.motion.path
    blocked = Finding(Reason.COLLISION, 0, 0.01, 0.1)
    monkeypatch.setattr(world.gate.motion.clearance, "check", lambda rows: blocked)
    output = world.take(world.gate.on_estop("button", True, world.now))
    assert world.gate.state is State.STOPPING
    assert world.gate.motion.path is path
    assert output.action.positions[-1] == pytest.approx(path.q[-1])
    world.run(300)
    assert world.gate.state is State.LATCHED
    assert world.gate.motion.command(world.now)[0] == pytest.approx(path.q[-1])


def test_a_stop_near_nothing_is_the_quickest():
    world = drive(at_home(), [0.3, -0.9, 1.2], 6)
    path = world.gate.motion.path
    world.gate.on_estop("button", True, world.now)
    assert world.gate.motion.path.end_ns < path.end_ns


def test_an_exception_in_the_check_latches_and_lets_nothing_out(monkeypatch):
    world = drive(at_home(), [0.3, -0.9, 1.2], 6)
    path = world.gate.motion.path
    calls = []

    def fail_once(rows):
        calls.append(rows)
        if len(calls) == 1:
            raise RuntimeError("no")
        return Finding(None, -1, 0.0, 1.0)

    monkeypatch.setattr(world.gate.motion.clearance, "check", fail_once)
    action = send(world, [0.3, -0.9, 1.2]).action
    assert world.gate.state is State.STOPPING
    assert world.gate.machine.cause == "internal_error"
    # nothing but a stop, from where the path before is, on its way and no further than its end
    assert action.state is State.STOPPING
    q, v = path.row(action.start_ns)
    assert action.positions[0] == pytest.approx(q, abs=1e-12)
    assert action.velocities[0] == pytest.approx(v, abs=1e-12)
    assert (np.diff(np.abs(action.velocities), axis=0) <= 1e-12).all()
    assert q[0] < action.positions[-1, 0] < path.q[-1, 0]


# --- the invariant -------------------------------------------------------------------------------
def wander(world, seed, periods=80):
    """Send plans to postures drawn at random, most of them bad, with stops in between."""
    rng = np.random.default_rng(seed)
    goal, speed = rng.uniform(-2.8, 2.8, 3), 1.0
    for _ in range(periods):
        if rng.random() < 0.12 or (world.gate.state is State.HOLD and rng.random() < 0.4):
            goal = np.array(HOME) if rng.random() < 0.3 else rng.uniform(-2.8, 2.8, 3)
            speed = float(rng.choice([0.2, 0.7, 1.5, 3.0]))
        if rng.random() < 0.03:  # a motion stopped anywhere, along another line
            world.gate.motion.stop(world.now)
        elif rng.random() < 0.95:
            send(world, goal + rng.normal(size=3) * 0.05, speed)
        world.tick(20), world.tick(20), world.tick(10)
        path = world.gate.motion.path
        world.actions[-1:] = [*world.actions[-1:], Let(path.q)]
    return world


class Let:
    """A path that :class:`Motion` holds: what an e-stop would be taken from."""

    def __init__(self, positions):
        self.positions = positions


@pytest.mark.parametrize("seed", range(40))
def test_nothing_that_is_let_out_is_too_near_in_any_row_or_tail(seed):
    world = wander(at_home(), seed)
    margin, name = worst(world.actions, HOME)
    assert margin >= -1e-6, name
    assert world.gate.last_error is None
    assert np.ptp(np.vstack([a.positions for a in world.actions]), axis=0).max() > 0.1


def test_without_the_checks_the_same_plans_do_collide():
    """So the judge can tell: what holds above does not hold by itself."""
    bad = 0
    for seed in range(10):
        robot = make_arm(kinematics={"enabled": False})
        world = wander(World(robot, np.array(HOME)).enabled(), seed)
        bad += worst(world.actions, HOME)[0] < -0.01
    assert bad >= 5
