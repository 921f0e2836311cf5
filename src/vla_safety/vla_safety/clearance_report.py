"""The diagnostic task Collision of safety_gate; it reads the gate and changes nothing."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from vla_common.diagnostics import ERROR, OK, WARN, Diagnostics, number
from vla_safety.core.clearance import Clearance
from vla_safety.core.gate import Gate
from vla_safety.core.motion import LEAD_NS
from vla_safety.core.probe import Probe
from vla_safety.core.reasons import BLOCKED, Reason

LATE_MS = LEAD_NS * 1e-6
"""A check that takes longer makes its path late."""


class ClearanceReport:
    """Says how near the commanded pose is to what it must not touch."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._clearance = gate.motion.clearance
        self._probe = Probe(self._clearance.arm) if self._clearance else None

    def add_to(self, diagnostics: Diagnostics) -> None:
        """Add the task."""
        diagnostics.add("Collision", self.collision)

    def collision(self, stat: Any) -> Any:
        """Report the nearest pair, the workspace's margin, and what a check costs."""
        clearance, motion = self._clearance, self._gate.motion
        if clearance is None or self._probe is None:
            why = "kinematics.enabled is false"
            stat.summary(WARN, f"workspace and collision are not checked: {why}")
            return stat
        if motion.path is None or not clearance.pairs:
            stat.summary(OK, "nothing to check yet" if clearance.pairs else "nothing to check")
            return stat
        distance = self._probe.survey(motion.command(time.monotonic_ns())[0])
        margin = distance - clearance.limit
        check = clearance.check_ms.summary()
        worst = int(np.argmin(margin))
        words = f"{clearance.pairs[worst].name}: {distance[worst]:.3f} m"
        refused = clearance.refused
        if self._gate.machine.cause in {reason.value for reason in BLOCKED} and refused:
            name = clearance.pairs[refused.pair].name
            stat.summary(ERROR, f"holds: the plan leads to {refused.distance:.3f} m, {name}")
        elif not margin[worst] >= 0.0:
            stat.summary(ERROR, f"too near: {words}")
        elif check.p99 > LATE_MS:
            stat.summary(ERROR, f"checks take {check.p99:.1f} ms, more than {LATE_MS:g}")
        elif margin[worst] < clearance.span:
            stat.summary(WARN, f"near: {words}")
        else:
            stat.summary(OK, "clear")
        self._add_values(stat, clearance, distance)
        stat.add("Check p50 (ms)", number(check.p50))
        stat.add("Check p99 (ms)", number(check.p99))
        stat.add("Check max (ms)", number(check.max))
        return stat

    def _add_values(self, stat: Any, clearance: Clearance, distance: Any) -> None:
        for reason, key, who in (
            (Reason.COLLISION, "Min distance (m)", "Pair"),
            (Reason.WORKSPACE, "Box margin (m)", "Boundary"),
        ):
            mine = [k for k, pair in enumerate(clearance.pairs) if pair.reason is reason]
            nearest = min(mine, key=lambda k: float(distance[k]), default=None)
            stat.add(key, number(distance[nearest], 4) if nearest is not None else "")
            stat.add(who, clearance.pairs[nearest].name if nearest is not None else "")
        stat.add("Speed for nearness (%)", number(100.0 * self._gate.motion.ease, 0))
