"""The motion that was promised downstream: the path now, and how it changes."""

from __future__ import annotations

import numpy as np

from vla_common.core import sections
from vla_common.core.robot import Safety
from vla_safety.core.clearance import Clearance
from vla_safety.core.limits import Array, Limits, Mask, outside_margin
from vla_safety.core.path import Path, rest
from vla_safety.core.planner import Planner
from vla_safety.core.reasons import Reason
from vla_safety.core.reference import Reference, through
from vla_safety.core.values import Plan

LEAD_NS = sections.LEAD_NS
"""A new path begins at least this long after it is made, so that the controller has it in time.

One that comes later than its beginning has to be bridged from the old path, and while both are
accelerated to the limit there is no acceleration left to do that with. A stop is in more of a
hurry: it begins after the lead of the controller, see vla_common's ``Controller.lead_ns``. One that
comes late the publisher makes along the path that it has.
"""
CLAMP_SHARE = 0.02
"""Of a joint's range: a target that is less far outside is clipped too, but not counted. A policy
that opens its gripper fully overshoots by about that."""
TURN = 2.0 * np.pi


class Motion:
    """Continues every new path from the last command, never from a measurement.

    Only :meth:`anchor` jumps to a pose, and :meth:`go_back` to a path of before; all else starts at
    a grid point of the path before. With a ``clearance`` no path is taken, stop tail included, that
    it has not passed; the path before was passed as well, and stays.
    """

    def __init__(
        self,
        limits: Limits,
        safety: Safety,
        where: str,
        clearance: Clearance | None = None,
        lead_ns: int = LEAD_NS,
    ) -> None:
        self._stop_lead_ns = lead_ns
        self._lead_ns = max(LEAD_NS, lead_ns)
        self.clearance = clearance
        self.ease = 1.0  # of the velocity limits: what the last check asked for
        self.planner = Planner(limits, safety, where)
        self._limits = limits
        self._jump = safety.jump_factor * limits.v_max
        self._jump[limits.gripper] = np.inf
        self._turns = bool(limits.continuous.any())
        slack = CLAMP_SHARE * (limits.q_max - limits.q_min)
        self._low, self._high = limits.q_min - slack, limits.q_max + slack
        margin = outside_margin(limits)
        self._lowest, self._highest = limits.q_min - margin, limits.q_max + margin
        self.path: Path | None = None
        self._before: Path | None = None
        self.scale = 1.0
        self.clamped: Mask = np.zeros(limits.joints, dtype=np.bool_)
        self.clamps = np.zeros(limits.joints, dtype=np.int64)  # plans followed that were clamped

    def anchor(self, q: Array, now_ns: int, measured: bool = False) -> None:
        """Stand at ``q`` (joints,), as :meth:`standing` bounds it, from now on."""
        self.path = rest(self.standing(q), now_ns + self._lead_ns, self.planner.step_ns, measured)
        self._before = None

    def inside(self, q: Array) -> Array:
        """Return ``q`` (joints,), clipped into the limits."""
        return np.minimum(np.maximum(q, self._limits.q_min), self._limits.q_max)

    def standing(self, q: Array) -> Array:
        """Return ``q`` (joints,), clipped to where an arm may stand: a little outside the limits.

        A command clipped to the limits would be a step of an arm that rests just outside of them;
        from there the limiter permits no way but inwards.
        """
        return np.minimum(np.maximum(q, self._lowest), self._highest)

    def go_back(self, path: Path) -> None:
        """Go on from a path that was sent before: it is the one that the arm follows."""
        self.path, self._before = path, None

    def command(self, now_ns: int) -> tuple[Array, Array]:
        """Return the state (q, v) commanded at a time. Raises ValueError before an anchor."""
        if self.path is None:
            raise ValueError("there is no path yet")
        if now_ns < self.path.start_ns and self._before is not None:
            return self._before.at(now_ns)
        return self.path.at(now_ns)

    def at_rest(self, now_ns: int) -> bool:
        """Return whether nothing is commanded to move any more."""
        path = self.path
        if path is None or now_ns >= path.end_ns:
            return True
        return self._before is None and len(path.q) == 1

    def rest_of_path(self, now_ns: int) -> Path:
        """Return what is left of the path, from the next grid time on."""
        if self.path is None:
            raise ValueError("there is no path yet")
        return self.path.after(self.path.grid(now_ns + self._stop_lead_ns))

    def stop(self, now_ns: int) -> None:
        """Stop as fast as the limits allow; where that leads too near to something, as planned."""
        if self.path is None or self.at_rest(now_ns):
            return
        switch_ns = self.path.grid(now_ns + self._stop_lead_ns)
        q, v = self.path.row(switch_ns)
        path = self.planner.stop(q, v, switch_ns)
        if self.clearance is None or self.clearance.check(path.q).blocked is None:
            self._take(path)

    def reference(self, plan: Plan, now_ns: int) -> tuple[Reference, bool]:
        """Return the curve through a plan, and whether it begins near enough to the command.

        Before its first row it goes on backwards: the way from the command to it is left to the
        planner, which makes good an error without haste.
        """
        if self.path is None:
            raise ValueError("there is no path yet")
        switch_ns = self.path.grid(now_ns + self._lead_ns)
        q = self.path.row(switch_ns)[0]
        rows = self._clipped(plan.positions, q)
        front = 2.0 * rows[:1] - rows[1:2] if len(rows) > 1 else rows
        curve = through(np.concatenate((front, rows)), plan.sent_ns, plan.step_ns)
        first = curve.position(max(plan.start_ns, switch_ns))
        near = bool((np.abs(first - q) <= self._jump * (plan.step_ns * 1e-9)).all())
        return curve, near

    def _clipped(self, rows: Array, q: Array) -> Array:
        """Return the rows with whole turns taken off continuous joints, clipped to the limits."""
        limits = self._limits
        self.clamped = np.asarray(((rows < self._low) | (rows > self._high)).any(axis=0))
        rows = self.inside(rows)
        turning = limits.continuous
        if self._turns:
            part = np.unwrap(np.vstack((q[turning], rows[:, turning])), axis=0)
            rows[:, turning] = part[1:]
        return rows

    def follow(
        self, curve: Reference, now_ns: int, scale: float, only_try: bool = False
    ) -> Reason | None:
        """Follow a curve from the next grid time on; ``scale`` multiplies velocity limits.

        Returns None, or why not: then all stays as it is. ``only_try``: it stays in any case.
        """
        if self.path is None:
            raise ValueError("there is no path yet")
        switch_ns = self.path.grid(now_ns + self._lead_ns)
        q, v = self.path.row(switch_ns)
        path, factor = self.planner.follow(q, v, switch_ns, curve, scale * self.ease)
        if self.clearance is not None:
            before, found = self.ease, self.clearance.check(path.q)
            if found.blocked is not None and found.ease < before:  # perhaps only too fast
                path, factor = self.planner.follow(q, v, switch_ns, curve, scale * found.ease)
                found = self.clearance.check(path.q)
            self.ease = found.ease
            if found.blocked is not None:
                return found.blocked
        if not only_try:
            self.scale = factor
            self.clamps += self.clamped
            self._take(path)
        return None

    def _take(self, path: Path) -> None:
        if self.path is None or self.path.start_ns < path.start_ns:
            self._before = self.path
        self.path = path
