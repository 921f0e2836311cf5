"""An independent judge of what the gate let through; it shares no code with the gate.

It knows only the stated limits and what was sent: rows of positions and velocities at times. From
these it rebuilds the motion that was executed, each new path replacing the rest of the one
before, and measures positions, velocities, accelerations and jerks by finite differences and
between the rows. Everything is judged at once, at the end, in a few passes over large arrays.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

TOLERANCE = 1e-9
REST_ROWS = 2
"""A longer rest between two paths is this many rows of it: differences across it are taken."""


@dataclass
class Stated:
    """Limits as the robot file states them, each (joints,); infinite where there is none."""

    q_min: np.ndarray
    q_max: np.ndarray
    v_max: np.ndarray
    a_max: np.ndarray
    d_max: np.ndarray
    j_max: np.ndarray


@dataclass
class Verdict:
    """Largest ratio to the limit per quantity, and every violation in words.

    ``steps``: steps between rows of the motion that was executed. ``judged``: rows of all paths,
    also those that a later path replaced before they were executed.
    """

    ratios: dict[str, float] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    steps: int = 0
    judged: int = 0

    def note(self, quantity: str, value: np.ndarray, limit: np.ndarray) -> None:
        """Compare |value| (rows, joints) with a limit (joints,); NaN is a violation."""
        if value.size == 0:
            return
        top = np.abs(value).max(axis=0)
        ratio = float((top / limit).max())
        self.ratios[quantity] = max(self.ratios.get(quantity, 0.0), ratio)
        if not (top <= limit * (1.0 + TOLERANCE) + TOLERANCE).all():
            self.violations.append(f"{quantity}: {ratio!r} x limit")

    def merge(self, other: Verdict) -> None:
        """Take over another verdict."""
        for quantity, ratio in other.ratios.items():
            self.ratios[quantity] = max(self.ratios.get(quantity, 0.0), ratio)
        self.violations += other.violations
        self.steps += other.steps
        self.judged += other.judged


@dataclass(frozen=True)
class Sent:
    """Rows (n, joints), row i due at ``start_ns + i * step_ns``."""

    start_ns: int
    step_ns: int
    q: np.ndarray
    v: np.ndarray


class Track:
    """What the arm was told to do, put together from paths as they were sent."""

    def __init__(self, stated: Stated) -> None:
        self.stated = stated
        self._sent: list[Sent] = []

    def send(self, start_ns: int, step_ns: int, q: np.ndarray, v: np.ndarray) -> None:
        """Take a path (rows, joints); it replaces everything from ``start_ns`` on."""
        self._sent.append(Sent(start_ns, step_ns, q, v))

    def finish(self, step_ns: int) -> Verdict:
        """Judge all that was sent, on a grid of ``step_ns``; return the verdict."""
        verdict = Verdict()
        sent = [path for path in self._sent if self._usable(path, step_ns, verdict)]
        if sent:
            self._judge_promises(sent, verdict)
            executed = self._executed(sent, verdict)
            q, v = (np.concatenate([rows[i] for rows in executed]) for i in (0, 1))
            verdict.steps = len(q) - 1
            linked = np.ones(len(q) - 1, dtype=np.bool_)
            self._measure(q, v, linked, step_ns * 1e-9, verdict)
        return verdict

    @staticmethod
    def _usable(path: Sent, step_ns: int, verdict: Verdict) -> bool:
        if path.step_ns != step_ns:
            verdict.violations.append(f"a step of {path.step_ns} ns instead of {step_ns}")
        elif not (np.isfinite(path.q).all() and np.isfinite(path.v).all()):
            verdict.violations.append("not finite")
        else:
            return True
        return False

    def _judge_promises(self, sent: list[Sent], verdict: Verdict) -> None:
        """Check every path to its very end: nothing may follow it."""
        q = np.concatenate([path.q for path in sent])
        v = np.concatenate([path.v for path in sent])
        last = np.cumsum([len(path.q) for path in sent]) - 1
        if v[last].any():
            verdict.violations.append("does not end at rest")
        linked = np.ones(len(q) - 1, dtype=np.bool_)
        linked[last[:-1]] = False
        verdict.judged += len(q)
        self._measure(q, v, linked, sent[0].step_ns * 1e-9, verdict)

    def _executed(self, sent: list[Sent], verdict: Verdict) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the pieces of the paths that were executed, in order."""
        pieces: list[tuple[np.ndarray, np.ndarray]] = []
        begun: list[int] = []
        for path in sent:
            while begun and begun[-1] > path.start_ns:  # replaced before it began
                begun.pop()
                pieces.pop()
            if begun:
                q, v = pieces.pop()
                pieces.append(self._cut(q, v, path, path.start_ns - begun[-1], verdict))
            elif path is not sent[0]:
                verdict.violations.append("begins before the first path did")
            begun.append(path.start_ns)
            pieces.append((path.q, path.v))
        return pieces

    @staticmethod
    def _cut(
        q: np.ndarray, v: np.ndarray, path: Sent, after_ns: int, verdict: Verdict
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what is executed of a piece until ``path`` begins, ``after_ns`` after it did.

        The new path must begin where the old one was at that time.
        """
        row, between = divmod(after_ns, path.step_ns)
        last = min(row, len(q) - 1)
        if between and row < len(q) - 1:
            verdict.violations.append("begins between two rows")
        off = max(np.abs(path.q[0] - q[last]).max(), np.abs(path.v[0] - v[last]).max())
        if off > TOLERANCE:
            verdict.violations.append("does not begin where the last path was")
        if row == last:
            return q[:last], v[:last]
        rest = np.repeat(q[-1:], min(row - last - 1, REST_ROWS), axis=0)
        return np.concatenate((q, rest)), np.concatenate((v, np.zeros_like(rest)))

    def _measure(
        self, q: np.ndarray, v: np.ndarray, linked: np.ndarray, dt: float, verdict: Verdict
    ) -> None:
        """Compare rows (n, joints), and the steps (n - 1,) that are ``linked``, with the limits.

        Between two rows a position is a parabola: it is largest at a row or at its vertex.
        """
        stated = self.stated
        middle, half = (stated.q_max + stated.q_min) / 2.0, (stated.q_max - stated.q_min) / 2.0
        verdict.note("position", q - middle, half)
        verdict.note("velocity", v, stated.v_max)
        if not linked.any():
            return
        q0, v0, v1 = q[:-1][linked], v[:-1][linked], v[1:][linked]
        moved = q[1:][linked] - q0 - (v1 + v0) * (0.5 * dt)
        if not np.abs(moved).max() <= TOLERANCE:
            verdict.violations.append("positions and velocities disagree")
        a = (v1 - v0) / dt
        faster = np.abs(v1) > np.abs(v0)
        bound = np.where(faster, stated.a_max, stated.d_max)
        bound = np.where(v1 * v0 < 0.0, np.minimum(stated.a_max, stated.d_max), bound)
        verdict.note("acceleration", a / bound, np.ones(q.shape[1]))
        at = np.flatnonzero(linked)
        follows = at[1:] == at[:-1] + 1
        verdict.note("jerk", np.diff(a, axis=0)[follows] / dt, stated.j_max)
        vertex = np.clip(-v0 / np.where(a == 0.0, 1.0, a), 0.0, dt)
        verdict.note("position", q0 + (v0 + 0.5 * a * vertex) * vertex - middle, half)
