"""Whatever comes in, in whatever order: no exception, nothing outside the limits, no motion after
a latch without reset and enable."""

import numpy as np
from gate_fuzz import Judge, fuzz, trial
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from safety_world import ROS, World, interpreted, make_robot

from vla_safety.core import checks, limiter
from vla_safety.core.reasons import INPUT
from vla_safety.core.state_machine import State

NAN = float("nan")


def test_ten_thousand_mutated_messages():
    found, _ = fuzz(10_000, 1, jobs=1)
    assert not found.problems
    assert found.passed > 1000
    assert found.refused > 2000
    assert set(found.reasons) == {reason.value for reason in INPUT}


def test_a_crash_is_found(monkeypatch):
    def careless(value, low, high, reason):
        return int(value)

    monkeypatch.setattr(checks, "whole", careless)
    problems = [text for seed in range(20) for text in trial(seed).problems]
    assert any("crash" in text for text in problems)


def test_an_unsafe_output_is_found(monkeypatch):
    interpreted(monkeypatch)
    monkeypatch.setattr(limiter, "slowest", lambda v, a, d: v - 1.1 * a)
    problems = [text for seed in range(5) for text in trial(seed).problems]
    assert any("acceleration" in text for text in problems)


def test_a_trial_is_the_same_again():
    assert trial(3) == trial(3)


class GateMachine(RuleBasedStateMachine):
    """Random events; the model knows only: a latch ends by reset and enable, and not otherwise."""

    def __init__(self):
        super().__init__()
        self.world = World(make_robot(2, soft_start_ms=100.0))
        self.world.tick()
        self.judge = Judge(self.world)
        self.granted = False  # enabled since the last latch or start
        self.standing = None  # commanded pose while nothing was granted
        self.pressed = False

    def after(self):
        if self.world.gate.state in (State.STOPPING, State.LATCHED, State.READY, State.INACTIVE):
            self.granted = False
        for action in self.world.actions:
            if action.state in (State.LATCHED, State.READY):
                assert not action.velocities.any()
        self.judge.take(self.world)

    @rule(direction=st.floats(-0.06, 0.06), kind=st.integers(0, 9))
    def plan(self, direction, kind):
        world = self.world
        q = world.gate.motion.command(world.now)[0]
        rows = q + direction * np.arange(1, 9)[:, None] * [1.0, -0.5]
        if kind == 0:
            world.chunk(rows, positions=[NAN] * 16)
        elif kind == 1:
            world.chunk(rows, joint_names=["x", "y"])
        else:
            world.chunk(rows)
        self.after()

    @rule(ms=st.sampled_from([5, 20, 20, 20, 50, 200]))
    def tick(self, ms):
        if self.pressed is not None:
            self.world.gate.on_estop("button", self.pressed, self.world.now)
        self.world.tick(ms)
        self.after()

    @rule(pressed=st.sampled_from([False, False, True]))
    def estop(self, pressed):
        self.pressed = pressed
        self.world.take(self.world.gate.on_estop("button", pressed, self.world.now))
        self.after()

    @rule()
    def second(self):
        for _ in range(60):
            self.world.gate.on_estop("button", self.pressed, self.world.now)
            self.world.tick(20)
        self.after()

    @rule(seconds=st.sampled_from([0.2, -3600.0]))
    def clock_step(self, seconds):
        world = self.world
        world.take(world.gate.tick(world.now, world.now + ROS + round(seconds * 1e9)))
        self.after()

    @rule(name=st.sampled_from(["stop", "reset", "enable", "reset", "enable"]))
    def service(self, name):
        gate = self.world.gate
        before = gate.state
        pose = gate.motion.command(self.world.now)[0].copy()
        ok, message = getattr(gate, name)(self.world.now)
        assert message
        if name == "reset":
            assert not ok or before is State.LATCHED
            assert not (ok and self.pressed)
            assert gate.state not in (State.ACTIVE, State.SLOW, State.HOLD) or gate.state is before
            assert np.array_equal(pose, gate.motion.command(self.world.now)[0])
        if name == "enable" and ok:
            assert before in (State.INACTIVE, State.READY)
            assert not self.pressed
            self.granted = True
        self.after()

    @rule()
    def deactivate(self):
        self.world.take(self.world.gate.deactivate(self.world.now))
        self.after()

    @invariant()
    def motion_only_after_enable(self):
        gate, world = self.world.gate, self.world
        if gate.state in (State.ACTIVE, State.SLOW, State.HOLD):
            assert self.granted
        if gate.state in (State.READY, State.LATCHED):
            assert not gate.motion.command(world.now)[1].any()
        if self.pressed:
            assert gate.state in (State.STOPPING, State.LATCHED)
        assert gate.last_error is None

    def teardown(self):
        assert not self.judge.finish()


GateMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestGateMachine = GateMachine.TestCase
