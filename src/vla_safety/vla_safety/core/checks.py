"""Checks of an incoming chunk: every field of the raw message is doubted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from vla_common.core.robot import Safety
from vla_safety.core.limits import Array, Limits
from vla_safety.core.reasons import Reason
from vla_safety.core.values import Plan, RawChunk

MAX_ROWS = 1024
MAX_STEP = 1.0
"""Longest time between rows that is taken for a plan [s]."""
MAX_EPOCH = 0xFFFF_FFFF - 1
UNIX_EPOCHS = 1 << 31
"""Epochs begin at the time in Unix seconds, which stays below this until 2038."""
EPOCHS_AHEAD = 1 << 28
"""An epoch further ahead is refused. Later ones void all before: the greatest would leave none."""
INT64 = 1 << 63
MAX_STAMP = (1 << 31) * 1_000_000_000
"""First ROS time that a stamp's 32-bit seconds cannot hold [ns]."""


class Refused(Exception):
    """The chunk is not usable; carries the :class:`Reason`."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


def whole(value: Any, low: int, high: int, reason: Reason) -> int:
    """Return ``value`` if it is a whole number in [low, high]. Raises :class:`Refused`."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, np.integer)):
        raise Refused(reason)
    number = int(value)
    if not low <= number <= high:
        raise Refused(reason)
    return number


def check_names(names: Any, expected: tuple[str, ...]) -> None:
    """Raise :class:`Refused` unless ``names`` are the expected ones in the expected order."""
    if isinstance(names, str) or not isinstance(names, Sequence):
        raise Refused(Reason.NAMES)
    found = tuple(names)
    if found == expected:
        return
    try:
        same = sorted(found) == sorted(expected)
    except TypeError:
        same = False
    raise Refused(Reason.ORDER if same else Reason.NAMES)


def rows_of(positions: Any, horizon: Any, joints: int) -> Array:
    """Return positions as a new (horizon, joints) array. Raises :class:`Refused`."""
    rows = whole(horizon, 1, MAX_ROWS, Reason.SHAPE)
    try:
        values = np.array(positions, dtype=np.float64, order="C")
    except (TypeError, ValueError, OverflowError) as error:
        raise Refused(Reason.SHAPE) from error
    if values.ndim not in (1, 2) or values.size != rows * joints:
        raise Refused(Reason.SHAPE)
    if values.ndim == 2 and values.shape != (rows, joints):
        raise Refused(Reason.SHAPE)
    if not np.isfinite(values).all():
        raise Refused(Reason.NON_FINITE)
    return values.reshape(rows, joints)


def number(value: Any, reason: Reason) -> float:
    """Return ``value`` if it is a finite number. Raises :class:`Refused`."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise Refused(reason)
    try:
        result = float(value)
    except OverflowError as error:
        raise Refused(reason) from error
    if not math.isfinite(result):
        raise Refused(Reason.NON_FINITE)
    return result


class InputCheck:
    """Turns raw chunks into plans, or says why not; remembers what was accepted last."""

    def __init__(self, limits: Limits, safety: Safety) -> None:
        self._limits = limits
        self._min_step = safety.step_ms * 1e-3
        self._age_ns = round(safety.max_action_age_ms * 1e6)
        self._capture_ns = round(safety.max_capture_age_ms * 1e6)
        self._future_ns = round(safety.future_ms * 1e6)
        self.min_epoch = 0
        self.last: tuple[int, int] | None = None

    def void_old_plans(self) -> None:
        """Refuse every plan of the epochs seen so far."""
        if self.last is not None:
            self.min_epoch = max(self.min_epoch, self.last[0] + 1)

    def check(self, raw: RawChunk, now_ns: int, ros_offset_ns: int | None) -> Plan:
        """Return the plan in ``raw``. Raises :class:`Refused` with the first reason found.

        ``ros_offset_ns`` is ROS time minus monotonic time; None while unknown.
        """
        check_names(raw.joint_names, self._limits.names)
        positions = rows_of(raw.positions, raw.horizon, self._limits.joints)
        step = number(raw.step_dt, Reason.STEP)
        if not self._min_step <= step <= MAX_STEP:
            raise Refused(Reason.STEP)
        plan = Plan(
            epoch=whole(raw.epoch, 0, MAX_EPOCH, Reason.SHAPE),
            seq=whole(raw.seq, 0, 2 * INT64 - 1, Reason.SHAPE),
            step_ns=round(step * 1e9),
            start_ns=whole(raw.start_ns, -INT64, INT64 - 1, Reason.SHAPE),
            positions=positions,
            capture_ns=whole(raw.capture_ns, -INT64, INT64 - 1, Reason.SHAPE),
            stamp_ns=whole(raw.stamp_ns, -INT64, INT64 - 1, Reason.SHAPE),
            confidence=number(raw.confidence, Reason.SHAPE),
            trace=raw.trace,
        )
        self._check_order(plan)
        self._check_age(plan, now_ns, ros_offset_ns)
        return plan

    def accept(self, plan: Plan) -> None:
        """Remember a plan that is going to be followed."""
        self.last = (plan.epoch, plan.seq)

    def _check_order(self, plan: Plan) -> None:
        if plan.epoch < self.min_epoch:
            raise Refused(Reason.OLD_EPOCH)
        if plan.epoch > max(self.min_epoch, UNIX_EPOCHS) + EPOCHS_AHEAD:
            raise Refused(Reason.OUT_OF_ORDER)
        if self.last is None:
            return
        if (plan.epoch, plan.seq) == self.last:
            raise Refused(Reason.DUPLICATE)
        if (plan.epoch, plan.seq) < self.last:
            raise Refused(Reason.OUT_OF_ORDER)

    def _check_age(self, plan: Plan, now_ns: int, ros_offset_ns: int | None) -> None:
        latest = now_ns + self._future_ns
        if not 0 <= plan.stamp_ns < MAX_STAMP:
            raise Refused(Reason.FUTURE)
        if plan.sent_ns > latest or plan.capture_ns > latest:
            raise Refused(Reason.FUTURE)
        if ros_offset_ns is not None and plan.stamp_ns - ros_offset_ns > latest:
            raise Refused(Reason.FUTURE)
        if now_ns - plan.sent_ns > self._age_ns:
            raise Refused(Reason.STALE)
        if plan.capture_ns <= 0 or now_ns - plan.capture_ns > self._capture_ns:
            raise Refused(Reason.STALE_CAPTURE)
