"""vla_safety_prove: random and adversarial plans against the limiter, judged by the oracle."""

from __future__ import annotations

import argparse
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from vla_common.core.robot import Safety
from vla_common.core.trace import Trace
from vla_safety.core.limits import UNBOUNDED, Limits, check
from vla_safety.core.motion import LEAD_NS, Motion
from vla_safety.core.values import Plan
from vla_safety.oracle import Stated, Track, Verdict

GRIDS_MS = (5.0, 10.0, 20.0, 50.0, 100.0)
KINDS = ("noise", "reversal", "outside", "corner", "wave", "jump", "still")
PLANS = 40

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


def trial(seed: int, grid_ms: float) -> Verdict:
    """Send some plans through the gate's motion on one grid and judge all of it."""
    rng = np.random.default_rng(seed)
    limits = random_limits(rng)
    ahead = grid_ms * int(rng.integers(1, 1 + max(1, round(80.0 / grid_ms))))
    stop = grid_ms * int(rng.integers(1, 1 + max(1, round(250.0 / grid_ms))))
    safety = Safety(
        step_ms=grid_ms,
        lookahead_ms=ahead,
        max_horizon_ms=ahead + stop,
        follow_ms=float(rng.uniform(5.0, 100.0)),
    )
    motion = Motion(limits, safety, "prove")
    now_ns = int(rng.integers(1, 1 << 40))
    low, high = np.maximum(limits.q_min, -10.0), np.minimum(limits.q_max, 10.0)
    motion.anchor(rng.uniform(low, high), now_ns)
    track = Track(
        Stated(limits.q_min, limits.q_max, limits.v_max, limits.a_max, limits.d_max, limits.j_max)
    )
    assert motion.path is not None
    track.send(motion.path.start_ns, motion.path.step_ns, motion.path.q, motion.path.v)
    kind = "noise"
    for _ in range(PLANS):
        now_ns += int(rng.choice([5e6, 20e6, 50e6, 50e6, 50e6, 100e6, 400e6]))
        if rng.random() < 0.4:
            kind = str(rng.choice(KINDS))
        before = motion.path
        if rng.random() < 0.1:
            motion.stop(now_ns)
        else:
            at = motion.command(now_ns + LEAD_NS)[0]
            sent_ns = now_ns - int(rng.integers(0, 80_000_000))
            wanted = rows(rng, kind, limits, at, now_ns * 1e-9)
            plan = Plan(1, 1, 50_000_000, sent_ns + 50_000_000, wanted, 1, 1, 1.0, Trace())
            curve, _ = motion.reference(plan, now_ns)
            motion.follow(plan, curve, now_ns, float(rng.choice([1.0, 1.0, 0.3, 0.05])))
        path = motion.path
        if path is not before:
            track.send(path.start_ns, path.step_ns, path.q, path.v)
    return track.finish(motion.planner.step_ns)


def campaign(seed: int, steps: int) -> Verdict:
    """Run trials until ``steps`` grid steps were executed."""
    verdict = Verdict()
    number = 0
    while verdict.steps < steps:
        found = trial(seed + number, GRIDS_MS[number % len(GRIDS_MS)])
        found.violations = [f"seed {seed + number}: {text}" for text in found.violations]
        verdict.merge(found)
        number += 1
    return verdict


def _share(work: tuple[int, int]) -> Verdict:
    return campaign(*work)


def main() -> None:
    """Run the proof and print the largest ratio of each quantity; exits 1 on a violation."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--steps", type=float, default=1e5, help="grid steps to execute")
    parser.add_argument("--seed", type=int, default=0, help="first seed; each trial has its own")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    begun = time.monotonic()
    parts = max(1, int(options.steps // 20_000))
    work = [(options.seed + i * 1_000_000, int(options.steps / parts)) for i in range(parts)]
    verdict = Verdict()
    if options.jobs > 1:
        with ProcessPoolExecutor(options.jobs) as pool:
            for found in pool.map(_share, work):
                verdict.merge(found)
    else:
        for part in work:
            verdict.merge(_share(part))
    took = time.monotonic() - begun
    print(f"{verdict.steps} steps in {took:.0f} s, {len(verdict.violations)} violations")
    for quantity, ratio in sorted(verdict.ratios.items()):
        print(f"  largest {quantity} / limit: {ratio:.12f}")
    for text in verdict.violations[:20]:
        print(f"  violation: {text}")
    sys.exit(1 if verdict.violations else 0)


if __name__ == "__main__":
    main()
