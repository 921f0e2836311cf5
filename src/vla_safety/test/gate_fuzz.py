"""Mutated messages through the gate's input: no crash, nothing outside the limits.

A trial has one seed: a robot, a gate, and a series of plans of which most have one or more fields
replaced: by values of a wrong type or size, NaN with any payload, infinities, huge and negative
numbers and times, names in other scripts. What the gate sends is judged by the oracle.
``make fuzz`` runs as many as wanted; the tests run ten thousand.
"""

from __future__ import annotations

import functools
import random
import struct
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from safety_world import World, make_robot

from vla_common.core.robot import Robot
from vla_safety.campaign import Campaign, command
from vla_safety.core.reasons import INPUT
from vla_safety.core.state_machine import State
from vla_safety.oracle import Stated, Track

MESSAGES = 200
"""In a trial."""
NAN, INF = float("nan"), float("inf")
ODD = [
    None, True, -1, 0, 1, 3, 1 << 31, 1 << 32, 1 << 63, -(1 << 63), 1 << 64, 10**400, 0.05, -0.0,
    1e308, -1e308, 5e-324, NAN, INF, -INF, "", "j0", "関節", "\ud800", b"\x00", [], [[]], {},
    (), object(), 1 + 2j, np.float32(0.05), np.int64(-5), np.array(0.05), np.array([]),
    [NAN] * 24, [1e308] * 24, [INF] * 24, [0.0] * 23, ["a"] * 24, [None] * 24, np.zeros((8, 3)),
    np.zeros((3, 8)), np.zeros((2, 3, 4)), np.full(24, 1e300), np.zeros(25), np.zeros(3 * 1025),
    [[0.0] * 3] * 8, [[0.0] * 3, [0.0] * 2], range(24), b"\x00" * 24,
    ["j0", "j1", "j2"], ["j2", "j1", "j0"], ("j0", "j1", "j2"), {"j0", "j1", "j2"},
    ["j0", "j1", "j1"], ["j0"], ["J0", "J1", "J2"], ["сустав", "j1", "j2"], ["ｊ0", "j1", "j2"],
    ["j0\u200b", "j1", "j2"], ["مفصل"] * 3, ["j0\x00", "j1", "j2"], 1e5, 2.5, 10**18,
]  # fmt: skip
FIELDS = ("epoch", "seq", "joint_names", "step_dt", "horizon", "start_ns", "positions",
          "capture_ns", "stamp_ns", "confidence")  # fmt: skip
JERK = {"has_jerk_limits": True, "max_jerk": 600.0}
TURNING = {"angle_wraparound": True, "has_position_limits": False}


class Judge:
    """Follows what a publisher would execute, and judges it."""

    def __init__(self, world: World) -> None:
        limits = world.gate.limits
        self.stated = Stated(
            limits.q_min, limits.q_max, limits.v_max, limits.a_max, limits.d_max, limits.j_max
        )
        self.step_ns = world.gate.motion.planner.step_ns
        self.track: Track | None = None
        self.problems: list[str] = []

    def take(self, world: World) -> None:
        """Take what the gate has sent since the last time."""
        for action in world.actions:
            if self.track is None:
                self.track = Track(self.stated)
            self.track.send(action.start_ns, action.step_ns, action.positions, action.velocities)
            if action.state in (State.LATCHED, State.READY) and action.velocities.any():
                self.problems.append(f"motion while {action.state.name}")
        del world.actions[:]

    def finish(self) -> list[str]:
        """Return everything that was wrong."""
        if self.track is not None:
            self.problems += self.track.finish(self.step_ns).violations
        return self.problems


@functools.cache
def robot(kind: int, latch: int) -> Robot:
    """Return one of a few robots; ``latch``: malformed plans in a row that latch, 30 at most."""
    return (
        lambda: make_robot(3, bad_shape_latch=latch),
        lambda: make_robot(3, extra=JERK, bad_shape_latch=latch),
        lambda: make_robot(3, extra=TURNING, bad_shape_latch=latch),
        lambda: make_robot(7, v_max=3.0, a_max=10.0, grippers=(6,), bad_shape_latch=latch),
    )[kind]()


def nan(rng: random.Random) -> float:
    """Return a NaN with any sign and payload, quiet or signalling."""
    bits = 0x7FF << 52 | rng.randrange(1, 1 << 52) | rng.getrandbits(1) << 63
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


def positions(rows: np.ndarray, rng: random.Random) -> np.ndarray:
    """Return rows with a value, or with their number, changed."""
    values = rows.ravel().copy()
    kind = rng.random()
    if kind < 0.2:
        return values[: rng.randrange(values.size)]
    if kind < 0.3:
        return np.concatenate((values, values[: rng.randrange(1, 9)]))
    odd = [nan(rng), INF, -INF, 1e308, -1e9, 5e-324, 2.1, -2.1, rng.uniform(-10, 10)]
    values[rng.randrange(values.size)] = rng.choice(odd)
    return values


def name(rng: random.Random) -> str:
    """Return a name of a few characters from anywhere in Unicode."""
    return "".join(chr(rng.randrange(0x11_0000)) for _ in range(rng.randrange(1, 5)))


def mutated(world: World, rng: random.Random, rows: np.ndarray):
    """Return a good chunk with some fields replaced."""
    changes = {}
    for _ in range(rng.choice([0, 0, 0, 0, 1, 1, 2, 3])):
        key = rng.choice(FIELDS)
        if rng.random() < 0.5:
            changes[key] = rng.choice(ODD)
        elif key == "positions":
            changes[key] = positions(rows, rng)
        elif key in ("start_ns", "capture_ns", "stamp_ns"):
            size = rng.choice([10**7, 10**9, 10**10, 1 << 63, 1 << 80])
            changes[key] = world.now + rng.randrange(-size, size)
        elif key in ("epoch", "seq"):
            last = world.gate.checks.last
            if last is not None and rng.random() < 0.3:
                changes["epoch"], changes["seq"] = last
            else:
                changes[key] = rng.randrange(0, 1 << rng.choice([2, 8, 31]))
        elif key == "joint_names":
            names = [*world.robot.joints]
            rng.shuffle(names)
            if rng.random() < 0.5:
                names[rng.randrange(len(names))] = name(rng)
            changes[key] = names
        else:
            changes[key] = rng.choice([rng.uniform(-1, 1), rng.randrange(-5, 20), nan(rng)])
    return world.raw(rows, **changes)


@dataclass
class Fuzz:
    """What one trial found, or all of them; ``reasons``: what was refused for which."""

    messages: int = 0
    passed: int = 0
    refused: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def take(self, other: Fuzz) -> int:
        """Take over the figures of a trial; return the messages so far."""
        self.messages += other.messages
        self.passed += other.passed
        self.refused += other.refused
        self.reasons += other.reasons
        self.problems += other.problems
        return self.messages

    def lines(self) -> list[str]:
        """Return the figures in words."""
        reasons = ", ".join(f"{name} {count:,}" for name, count in sorted(self.reasons.items()))
        return [f"{self.passed:,} led to a path, {self.refused:,} did not", reasons]


def trial(seed: int) -> Fuzz:
    """Send mutated messages to one gate; whatever is wrong is in ``problems``."""
    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    chosen = robot(rng.randrange(4), rng.choice([3, 30]))
    world = World(chosen).enabled()
    judge, found = Judge(world), Fuzz(messages=MESSAGES)
    try:
        for _ in range(MESSAGES):
            output = _one(world, rng, numbers)
            found.passed += output.action is not None
            found.refused += output.action is None
            judge.take(world)
    except Exception as error:  # the finding itself
        judge.problems.append(f"crash: {error!r}")
    if world.gate.last_error is not None:
        judge.problems.append(f"crash inside the gate: {world.gate.last_error!r}")
    counts = {r.value: world.gate.counts.total[r] for r in INPUT}
    found.reasons = Counter({name: count for name, count in counts.items() if count})
    found.problems = [f"seed {seed}: {text}" for text in judge.finish()]
    return found


def _one(world: World, rng: random.Random, numbers: np.random.Generator):
    """Let some time pass, send a message, and now and then an odd joint state or a reset."""
    if rng.random() < 0.6:
        world.tick(rng.choice([5, 20, 20, 50]))
    if world.gate.state is State.LATCHED and rng.random() < 0.1:
        world.tick(1200)
        world.gate.reset(world.now)
        world.gate.enable(world.now)
    if world.gate.checks.last is not None and rng.random() < 0.3:
        world.epoch, world.seq = world.gate.checks.last  # a source that goes on from there
    q = world.gate.motion.command(world.now)[0]
    rows = q + numbers.uniform(-0.05, 0.05, len(q)) * np.arange(1, 9)[:, None]
    output = world.take(world.gate.on_chunk(mutated(world, rng, rows), world.now))
    if rng.random() < 0.02:
        odd = [rng.choice(ODD) for _ in range(3)]
        world.gate.on_joint_state(*odd, world.now)
    if rng.random() < 0.001:
        world.take(world.gate.on_estop(rng.choice(ODD), rng.choice(ODD), world.now))
    return output


def fuzz(messages: int, seed: int, jobs: int) -> tuple[Fuzz, Campaign[Fuzz]]:
    """Send mutated messages; a fresh gate for each trial."""
    found = Fuzz()
    campaign = Campaign(trial, found.take)
    campaign.run(messages, seed, jobs, "messages")
    return found, campaign


def main(arguments: list[str] | None = None) -> None:
    """Send mutated messages to the gate; exits 1 on a crash or an unsafe output."""
    again = 'make fuzz ARGS="--replay SEED"'
    command(main.__doc__, "messages", 1e6, trial, Fuzz(), arguments, again=again)


if __name__ == "__main__":
    main()
