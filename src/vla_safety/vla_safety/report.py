"""The diagnostic tasks of safety_gate; they read the gate and change nothing."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from vla_common.core.stats import Rise, Window
from vla_common.diagnostics import ERROR, OK, WARN, Diagnostics, number
from vla_safety.core.compiled import COMPILED
from vla_safety.core.gate import Gate
from vla_safety.core.publisher_watch import CommandMode
from vla_safety.core.reasons import CAMERA, INPUT, MINUTE_NS, Reason
from vla_safety.core.state_machine import State

SCALED_WARN = 0.05
SCALED_LEAST = 20  # plans in the last 60 s: a share of fewer says nothing
CLAMPS_WARN = 5
RUNNING_ERROR = 3
RUNNING_NS = 1_000_000_000
"""Refusals in a row that ended longer ago are over, also where no good plan followed."""
HEARTBEAT_WARN_MS = 75.0
OTHER = (Reason.LOW_CONFIDENCE, Reason.CLOCK_JUMP, Reason.JOINT_BAD, Reason.HEALTH_BAD)
"""Counted with the input, but no reasons to refuse a plan."""
KEYS = {Reason.NON_FINITE: "Non-finite", Reason.CLOCK_JUMP: "Clock jumps"}
"""Where a key in diagnostics is not the reason's own name."""


def key_of(reason: Reason) -> str:
    """Return the key under which a reason is counted in diagnostics."""
    return KEYS.get(reason) or reason.value.replace("_", " ").capitalize()


class GateReport:
    """State, Limits, Input and Emergency stop."""

    def __init__(self, gate: Gate, check_ms: Window) -> None:
        self._gate = gate
        self._check_ms = check_ms
        self._scaled = Rise(MINUTE_NS)
        self._clamps = Rise(MINUTE_NS)

    def add_to(self, diagnostics: Diagnostics) -> None:
        """Add the tasks."""
        diagnostics.add("State", self.state)
        diagnostics.add("Limits", self.limits)
        diagnostics.add("Input", self.input)
        diagnostics.add("Cameras", self.cameras)
        diagnostics.add("Emergency stop", self.emergency_stop)
        diagnostics.add("Publisher", self.publisher)

    def state(self, stat: Any) -> Any:
        """Report the state, its cause and what blocks reset."""
        gate, now_ns = self._gate, time.monotonic_ns()
        state, machine = gate.state, gate.machine
        blocked = gate.reset_blocked_by(now_ns)
        plans, held = self._scaled.look(
            (gate.following.plans, gate.counts.total[Reason.HELD_BACK]), now_ns
        ).tolist()
        share = held / plans if plans else 0.0
        text = state.name + (f": {machine.cause}" if machine.cause else "")
        if state in (State.HOLD, State.STOPPING, State.LATCHED):
            stat.summary(ERROR, text)
        elif share > SCALED_WARN and plans >= SCALED_LEAST:
            words = f"{100 * share:.0f} % of plans of the last 60 s held back by limits"
            stat.summary(WARN, f"{text}; {words}")
        else:
            stat.summary(OK, text)
        plan, check = gate.announcer.last_plan, self._check_ms.summary()
        stat.add("State", state.name)
        stat.add("Latched", str(state is State.LATCHED))
        stat.add("Cause", machine.cause)
        stat.add("Epoch", str(plan.epoch if plan else 0))
        stat.add("Seq", str(gate.announcer.seq))
        stat.add("Minimum epoch", str(gate.checks.min_epoch))
        stat.add("Transitions", str(machine.transitions))
        stat.add("Reset blocked by", "; ".join(blocked))
        stat.add("Enable blocked by", "; ".join(gate.enable_blocked_by(now_ns)))
        stat.add("Throttled", gate.following.throttle.reasons(now_ns))
        stat.add("Plans held back (60 s) (%)", number(100 * share))
        stat.add("Plan to path p50 (ms)", number(check.p50))
        stat.add("Plan to path p99 (ms)", number(check.p99))
        stat.add("Plan to path max (ms)", number(check.max))
        stat.add("Limiter", "machine code" if COMPILED else "plain Python (numba is missing)")
        return stat

    def limits(self, stat: Any) -> Any:
        """Report each joint's margin and ratios: the path now against the robot file."""
        gate, now_ns = self._gate, time.monotonic_ns()
        limits, path = gate.limits, gate.motion.path
        outside = gate.joints.known and gate.joints.outside()
        clamps = dict(
            zip(limits.names, self._clamps.look(gate.motion.clamps.tolist(), now_ns).tolist())
        )
        often = [f"{name} ({n})" for name, n in clamps.items() if n >= CLAMPS_WARN]
        if outside:
            stat.summary(ERROR, "measured outside the position limits")
        elif often:
            stat.summary(WARN, f"plans with targets outside the limits in 60 s: {', '.join(often)}")
        else:
            stat.summary(OK, "within limits")
        for name, n in clamps.items():
            stat.add(f"{name} Clamps (60 s)", str(n))
        if path is None:
            return stat
        margin = np.minimum(path.q - limits.q_min, limits.q_max - path.q).min(axis=0)
        dt = path.step_ns * 1e-9
        a = np.diff(path.v, axis=0, prepend=path.v[:1]) / dt
        j = np.diff(a, axis=0, prepend=a[:1]) / dt
        ratios = (
            np.abs(path.v).max(axis=0) / limits.v_max,
            np.abs(a).max(axis=0) / np.maximum(limits.a_max, limits.d_max),
            np.abs(j).max(axis=0) / limits.j_max,
        )
        for i, name in enumerate(limits.names):
            stat.add(f"{name} margin (rad)", number(margin[i], 4))
            stat.add(f"{name} Velocity ratio", number(ratios[0][i]))
            stat.add(f"{name} Acceleration ratio", number(ratios[1][i]))
            stat.add(f"{name} Jerk ratio", number(ratios[2][i]))
            stat.add(f"{name} Plans held back", str(gate.following.clamps[name]))
        return stat

    def input(self, stat: Any) -> Any:
        """Report what was refused, and why."""
        gate, now_ns = self._gate, time.monotonic_ns()
        recent = gate.refusals(now_ns)
        jumps = gate.counts.minute(Reason.CLOCK_JUMP, now_ns)
        last_ns = max(gate.counts.last_ns[reason] for reason in INPUT)
        running = gate.following.streaks.refused >= RUNNING_ERROR and now_ns - last_ns <= RUNNING_NS
        found = [f"{recent} plans refused in 60 s"] * bool(recent)
        found += [f"{jumps} clock jumps in 60 s"] * bool(jumps)
        if running:
            stat.summary(ERROR, f"{gate.following.streaks.refused} plans refused in a row")
        elif found:
            stat.summary(WARN, "; ".join(found))
        else:
            stat.summary(OK, "no plan refused in 60 s")
        for reason in (*INPUT, *OTHER):
            stat.add(key_of(reason), str(gate.counts.total[reason]))
        age = gate.joints.age_ns(now_ns) * 1e-6 if gate.joints.known else float("nan")
        stat.add("Joint state age (ms)", number(age, 1))
        return stat

    def cameras(self, stat: Any) -> Any:
        """Report what the gate knows of the cameras."""
        gate, now_ns = self._gate, time.monotonic_ns()
        watch = gate.cameras
        faults, age_ns = watch.faults(now_ns), watch.age_ns(now_ns)
        if not watch.watched:
            stat.summary(WARN, "not watched: safety.camera_watch is false")
        elif faults:
            stat.summary(ERROR, "; ".join(f"{reason.value}: {text}" for reason, text in faults))
        else:
            stat.summary(OK, "all required cameras live")
        stat.add("Required", ", ".join(watch.required))
        stat.add("Report age (ms)", number(float("nan") if age_ns is None else age_ns * 1e-6, 1))
        for reason in CAMERA:
            stat.add(key_of(reason), str(gate.counts.total[reason]))
        return stat

    def emergency_stop(self, stat: Any) -> Any:
        """Report the stop sources and their heartbeats."""
        gate, now_ns = self._gate, time.monotonic_ns()
        age_ms = gate.estop.age_ns(now_ns) * 1e-6
        pressed = gate.estop.pressed()
        lost = gate.estop.silent(now_ns)
        source: list[str] = []
        if pressed or lost or gate.state in (State.STOPPING, State.LATCHED):
            why = [f"pressed: {n}" for n in pressed] + [f"heartbeat lost: {n}" for n in lost]
            source = pressed + lost or [gate.estop.tripped_by]
            stat.summary(ERROR, "; ".join(why) or f"latched: {gate.machine.cause}")
        elif not gate.estop.seen and gate.robot.safety.estop_required:
            stat.summary(ERROR, "no heartbeat on /vla/estop, but safety.estop_required is true")
        elif age_ms > HEARTBEAT_WARN_MS:
            stat.summary(WARN, f"heartbeat {age_ms:.0f} ms old")
        else:
            stat.summary(OK, "released" if gate.estop.seen else "no source (not required)")
        stat.add("Latched", str(gate.state is State.LATCHED))
        stat.add("Source", ", ".join(source))
        stat.add("Heartbeat age (ms)", number(age_ms, 1))
        stat.add("Trips", str(gate.estop.trips))
        return stat

    def publisher(self, stat: Any) -> Any:
        """Report what the publisher told of itself."""
        publisher, now_ns = self._gate.publisher, time.monotonic_ns()
        if publisher.silent(now_ns):
            stat.summary(ERROR, "not heard on /vla/command_state")
        elif publisher.problems:
            stat.summary(ERROR, "; ".join(publisher.problems))
        elif publisher.mode in (CommandMode.ARMED, CommandMode.FOLLOWING):
            stat.summary(OK, publisher.mode.name.lower())
        else:
            stat.summary(WARN, f"{publisher.mode.name.lower()}: {publisher.cause}")
        age_ms = (now_ns - publisher.heard_ns) * 1e-6 if publisher.heard_ns >= 0 else float("nan")
        stat.add("Mode", publisher.mode.name)
        stat.add("Cause", publisher.cause)
        stat.add("Seq", str(publisher.seq))
        stat.add("Heartbeat age (ms)", number(age_ms, 1))
        return stat
