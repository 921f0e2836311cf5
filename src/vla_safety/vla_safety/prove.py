"""vla_safety_prove: random and adversarial plans against the limiter, judged by the oracle.

A trial has one seed: it draws a robot (2 to 14 joints, or the limits of a real arm), one of the
grids of 200, 100, 50, 20 and 10 Hz, and a series of plans, most of them unreasonable: noise,
reversals at full speed, targets far outside, corners, waves, jumps, stops in between. Every path
that comes out is judged to its end, and what is executed of them as one motion.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vla_common.core.robot import Safety
from vla_common.core.trace import Trace
from vla_safety.campaign import Campaign, command
from vla_safety.core.limiter import Limiter
from vla_safety.core.limits import UNBOUNDED, Array, Limits, check
from vla_safety.core.motion import LEAD_NS, Motion
from vla_safety.core.values import Plan
from vla_safety.oracle import Stated, Track, Verdict

GRIDS_MS = (5.0, 10.0, 20.0, 50.0, 100.0)
KINDS = ("noise", "reversal", "outside", "corner", "wave", "jump", "still")
PLANS = 40
WAITS_NS = tuple(round(ms * 1e6) for ms in (5, 20, 50, 50, 50, 100, 400))
SCALES = (1.0, 1.0, 0.3, 0.05)

# published limits of real arms: q_min, q_max, v, a, j (FR3 at the gate's A=10, J=5000; UR5e)
ARMS: dict[str, tuple[tuple[float, ...], ...]] = {
    "fr3": (
        (-2.7437, -1.7837, -2.9007, -3.0421, -2.8065, 0.5445, -3.0159),
        (2.7437, 1.7837, 2.9007, -0.1518, 2.8065, 4.5169, 3.0159),
        (2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26),
        (10.0,) * 7,
        (5000.0,) * 7,
    ),
    "ur5e": (
        (-6.2832, -6.2832, -3.1416, -6.2832, -6.2832, -6.2832),
        (6.2832, 6.2832, 3.1416, 6.2832, 6.2832, 6.2832),
        (3.1416,) * 6,
        (13.96,) * 6,
        (float("inf"),) * 6,
    ),
}


def random_limits(rng: np.random.Generator) -> Limits:
    """Return the limits of a real arm, or random ones for 2 to 14 joints."""
    if rng.random() < 0.3:
        low, high, v, a, j = (np.array(row) for row in ARMS[str(rng.choice(list(ARMS)))])
        n = len(low)
        d = a.copy()
    else:
        n = int(rng.integers(2, 15))
        low = rng.uniform(-3.0, 3.0, n)
        high = low + 10.0 ** rng.uniform(-2.0, 1.0, n)
        v, a = 10.0 ** rng.uniform(-1.5, 1.0, n), 10.0 ** rng.uniform(-1.0, 1.7, n)
        d = a * np.where(rng.random(n) < 0.5, 1.0, 10.0 ** rng.uniform(-0.5, 0.5, n))
        j = np.where(rng.random(n) < 0.5, np.inf, a * 10.0 ** rng.uniform(0.0, 3.0, n))
    turning = (rng.random(n) < 0.1) & (rng.random() < 0.3)
    low, high = np.where(turning, -UNBOUNDED, low), np.where(turning, UNBOUNDED, high)
    soft = (rng.random(n) < 0.2) & ~turning
    inset = 0.1 * (high - low)
    limits = Limits(
        names=tuple(f"j{i}" for i in range(n)),
        q_min=low,
        q_max=high,
        soft_min=np.where(soft, low + inset, low),
        soft_max=np.where(soft, high - inset, high),
        k_soft=np.where(soft, 10.0, np.inf),
        v_max=v,
        a_max=a,
        d_max=d,
        j_max=j,
        gripper=rng.random(n) < 0.1,
        continuous=turning,
    )
    check(limits, "prove")
    return limits


def rows(
    rng: np.random.Generator, kind: str, limits: Limits, at: np.ndarray, now: float
) -> np.ndarray:
    """Return the positions (8, joints) of a plan of some kind, however unreasonable."""
    n = limits.joints
    low, high = np.maximum(limits.q_min, -10.0), np.minimum(limits.q_max, 10.0)
    steps = np.arange(1, 9)[:, None]
    side = rng.choice([-1.0, 1.0], n)
    if kind == "noise":
        return rng.uniform(low, high, (8, n))
    if kind == "reversal":
        return at + side * limits.v_max * 0.05 * np.where(
            steps % int(rng.integers(2, 5)) == 0, -1, 1
        )
    if kind == "outside":
        return at + side * 10.0 ** rng.uniform(0, 6) * steps
    if kind == "corner":
        return np.broadcast_to(np.where(side > 0, high, low), (8, n)).copy()
    if kind == "wave":
        wave = np.sin(2 * np.pi * rng.uniform(0.1, 5.0) * (now + 0.05 * steps) + side)
        return (low + high) / 2 + (high - low) / 2 * wave
    if kind == "jump":
        return np.broadcast_to(rng.uniform(low - 1.0, high + 1.0, n), (8, n)).copy()
    return np.broadcast_to(at, (8, n)).copy()


def grid_of(seed: int) -> float:
    """Return the grid of a trial [ms]."""
    return GRIDS_MS[seed % len(GRIDS_MS)]


@dataclass
class Trial:
    """What one trial found; ``steps`` of the limiter, each of which the oracle has judged."""

    seed: int
    joints: int
    grid_ms: float
    verdict: Verdict
    steps: int


class Counted:
    """Counts the steps of a limiter."""

    def __init__(self, limiter: Limiter) -> None:
        self.steps = 0
        self._steps = limiter.steps
        limiter.steps = self._count  # type: ignore[method-assign]

    def _count(self, q: Array, v: Array, ref_q: Array, ref_v: Array, scale: float) -> Any:
        self.steps += len(ref_q) - 1
        return self._steps(q, v, ref_q, ref_v, scale)


def trial(seed: int, grid_ms: float | None = None) -> Trial:
    """Send some plans through the gate's motion on one grid and judge all of it."""
    grid_ms = grid_of(seed) if grid_ms is None else grid_ms
    rng, draw = np.random.default_rng(seed), random.Random(seed)
    limits = random_limits(rng)
    ahead = grid_ms * draw.randint(1, max(6, round(80.0 / grid_ms)))
    stop = grid_ms * draw.randint(1, max(1, round(250.0 / grid_ms)))
    safety = Safety(
        step_ms=grid_ms,
        lookahead_ms=ahead,
        max_horizon_ms=ahead + stop,
        follow_ms=draw.uniform(5.0, 100.0),
    )
    motion = Motion(limits, safety, "prove")
    limiter = Counted(motion.planner.limiter)
    now_ns = draw.randrange(1, 1 << 40)
    low, high = np.maximum(limits.q_min, -10.0), np.minimum(limits.q_max, 10.0)
    motion.anchor(rng.uniform(low, high), now_ns)
    track = Track(
        Stated(limits.q_min, limits.q_max, limits.v_max, limits.a_max, limits.d_max, limits.j_max)
    )
    assert motion.path is not None
    track.send(motion.path.start_ns, motion.path.step_ns, motion.path.q, motion.path.v)
    kind, slower = "noise", max(1.0, grid_ms / 20.0)
    for _ in range(PLANS):
        now_ns += round(draw.choice(WAITS_NS) * slower)
        if draw.random() < 0.4:
            kind = draw.choice(KINDS)
        before = motion.path
        if draw.random() < 0.1:
            motion.stop(now_ns)
        else:
            at = motion.command(now_ns + LEAD_NS)[0]
            sent_ns = now_ns - draw.randrange(80_000_000)
            wanted = rows(rng, kind, limits, at, now_ns * 1e-9)
            plan = Plan(1, 1, 50_000_000, sent_ns + 50_000_000, wanted, 1, 1, 1.0, Trace())
            curve, _ = motion.reference(plan, now_ns)
            motion.follow(curve, now_ns, draw.choice(SCALES))
        path = motion.path
        if path is not before:
            track.send(path.start_ns, path.step_ns, path.q, path.v)
    verdict = track.finish(motion.planner.step_ns)
    return Trial(seed, limits.joints, grid_ms, verdict, limiter.steps)


@dataclass
class Proof:
    """What all trials found."""

    steps: int = 0
    verdict: Verdict = field(default_factory=Verdict)
    joints: set[int] = field(default_factory=set)
    grids_ms: set[float] = field(default_factory=set)

    @property
    def problems(self) -> list[str]:
        """The violations of all trials."""
        return self.verdict.violations

    def take(self, found: Trial) -> int:
        """Take over a trial; return the steps so far."""
        texts = [f"seed {found.seed}: {text}" for text in found.verdict.violations]
        found.verdict.violations = texts
        self.verdict.merge(found.verdict)
        self.joints.add(found.joints)
        self.grids_ms.add(found.grid_ms)
        self.steps += found.steps
        return self.steps

    def lines(self) -> list[str]:
        """Return the figures in words."""
        rates = sorted(round(1000.0 / grid) for grid in self.grids_ms)
        verdict = self.verdict
        found = [
            f"{verdict.judged:,} rows of paths judged, {verdict.steps:,} of them executed; "
            f"{min(self.joints)} to {max(self.joints)} joints; "
            f"{', '.join(str(rate) for rate in rates)} Hz"
        ]
        ratios = sorted(verdict.ratios.items())
        return found + [f"largest {quantity} / limit: {ratio:.12f}" for quantity, ratio in ratios]


def prove(steps: int, seed: int, jobs: int) -> tuple[Proof, Campaign[Trial]]:
    """Run trials until the limiter has made ``steps`` steps."""
    proof = Proof()
    campaign = Campaign(trial, proof.take)
    campaign.run(steps, seed, jobs)
    return proof, campaign


def main(arguments: list[str] | None = None) -> None:
    """Run the proof and print the largest ratio of each quantity; exits 1 on a violation."""
    again = "vla_safety_prove --replay SEED"
    command(main.__doc__, "steps", 1e7, trial, Proof(), arguments, bad="violations", again=again)


if __name__ == "__main__":
    main()
