"""Whatever comes in, in whatever order: no exception, nothing outside the limits, no motion after
a latch without reset and enable."""

import random

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from safety_world import MS, ROS, World, make_robot

from vla_safety.core.state_machine import State
from vla_safety.oracle import Stated, Track

NAN, INF = float("nan"), float("inf")
ODD = [
    None, True, -1, 0, 1, 3, 1 << 31, 1 << 32, 1 << 63, -(1 << 63), 1 << 64, 10**400, 0.05, -0.0,
    1e308, -1e308, 5e-324, NAN, INF, -INF, "", "j0", "関節", "\ud800", b"\x00", [], [[]], {},
    (), object(),
    [NAN] * 24, [1e308] * 24, [INF] * 24, [0.0] * 23, ["a"] * 24, [None] * 24, np.zeros((8, 3)),
    np.zeros((3, 8)), np.zeros((2, 3, 4)), np.full(24, 1e300),
    ["j0", "j1", "j2"], ["j2", "j1", "j0"],
    ["j0", "j1", "j1"], ["j0"], ["J0", "J1", "J2"], ["сустав", "j1", "j2"], 1e5, 2.5, 10**18,
]  # fmt: skip
FIELDS = ("epoch", "seq", "joint_names", "step_dt", "horizon", "start_ns", "positions",
          "capture_ns", "stamp_ns", "confidence")  # fmt: skip


class Judge:
    """Follows what a publisher would execute, and judges it."""

    def __init__(self, world: World) -> None:
        limits = world.gate.limits
        self.stated = Stated(
            limits.q_min, limits.q_max, limits.v_max, limits.a_max, limits.d_max, limits.j_max
        )
        self.track: Track | None = None
        self.violations: list[str] = []

    def take(self, world: World) -> None:
        for action in world.actions:
            if self.track is None:
                self.track = Track(self.stated)
            self.track.send(action.start_ns, action.step_ns, action.positions, action.velocities)
        del world.actions[:]

    def anchor(self) -> None:
        """A new anchor at the measured pose begins a new track."""
        self.finish()
        self.track = None

    def finish(self) -> list[str]:
        if self.track is not None:
            self.violations += self.track.finish(10 * MS).violations
        return self.violations


def mutated(world: World, rng: random.Random, rows: np.ndarray):
    """Return a good chunk with some fields replaced."""
    changes = {}
    for _ in range(rng.choice([0, 0, 0, 0, 1, 1, 2, 3])):
        field = rng.choice(FIELDS)
        kind = rng.random()
        if kind < 0.5:
            changes[field] = rng.choice(ODD)
        elif field == "positions":
            values = rows.ravel().copy()
            values[rng.randrange(values.size)] = rng.choice(
                [NAN, INF, -INF, 1e308, -1e9, 2.1, -2.1]
            )
            changes[field] = values
        elif field in ("start_ns", "capture_ns", "stamp_ns"):
            changes[field] = world.now + rng.randrange(-(10**10), 10**10)
        elif field in ("epoch", "seq"):
            changes[field] = rng.randrange(0, 1 << rng.choice([2, 8, 31]))
        else:
            changes[field] = rng.choice([rng.uniform(-1, 1), rng.randrange(-5, 20)])
    return world.raw(rows, **changes)


def fuzz(messages: int, seed: int) -> dict[str, int]:
    """Send mutated messages; a fresh gate every 200. Return what was counted."""
    rng = random.Random(seed)
    numbers = np.random.default_rng(seed)
    passed = refused = 0
    for _ in range(messages // 200):
        world = World(make_robot(3, bad_shape_latch=rng.choice([3, 1000]))).enabled()
        judge = Judge(world)
        for _ in range(200):
            if rng.random() < 0.6:
                world.tick(rng.choice([5, 20, 20, 50]))
            q = world.gate.motion.command(world.now)[0]
            rows = q + numbers.uniform(-0.05, 0.05, 3) * np.arange(1, 9)[:, None]
            output = world.take(world.gate.on_chunk(mutated(world, rng, rows), world.now))
            passed, refused = (
                passed + (output.action is not None),
                refused + (output.action is None),
            )
            if rng.random() < 0.02:
                odd = [rng.choice(ODD) for _ in range(3)]
                world.gate.on_joint_state(*odd, world.now)
            assert world.gate.last_error is None
            judge.take(world)
        assert not judge.finish()
    return {"passed": passed, "refused": refused}


def test_ten_thousand_mutated_messages():
    counted = fuzz(10_000, 1)
    assert counted["passed"] > 500
    assert counted["refused"] > 2000


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
