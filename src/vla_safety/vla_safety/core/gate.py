"""The gate: everything that decides whether and how the arm may move, without ROS."""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_common.core.clock import ClockOffset
from vla_common.core.robot import Robot
from vla_safety.core.announcer import Announcer
from vla_safety.core.checks import InputCheck, Refused
from vla_safety.core.limits import limits_of
from vla_safety.core.motion import Motion
from vla_safety.core.permits import Permits
from vla_safety.core.publisher_watch import PublisherWatch
from vla_safety.core.reasons import INPUT, LATCHING, REASONS, SHAPE_FAULTS, Counts, Reason
from vla_safety.core.sources import EstopWatch, JointWatch
from vla_safety.core.state_machine import ENABLED, MOVING, Event, Machine, State
from vla_safety.core.values import Output, Plan, RawChunk, Report

CONFIDENCE_TICKS = 5
NON_FINITE_HOLD = 2
ANCHOR_SHARE = 0.05
"""At enable the command jumps to the measured pose if a joint is off by more than this share of
its range, or by more than ANCHOR."""
ANCHOR = 0.02
NAMES = tuple(reason.value for reason in REASONS)


class Gate:
    """Inputs in, outputs to publish out; see the README of the safety gate for the rules.

    Every method takes the monotonic time. Not thread safe: the caller serialises. No input
    raises: an exception inside latches with :attr:`Reason.INTERNAL` and is kept in
    :attr:`last_error`.
    """

    def __init__(self, robot: Robot) -> None:
        safety = robot.safety
        self.robot = robot
        self.limits = limits_of(robot)
        self.motion = Motion(self.limits, safety, robot.source)
        self.checks = InputCheck(self.limits, safety)
        self.joints = JointWatch(self.limits, safety)
        self.estop = EstopWatch(safety)
        self.publisher = PublisherWatch(round(safety.publisher_ms * 1e6))
        self.machine = Machine()
        self.permits = Permits(
            self.joints, self.estop, self.publisher, self.motion, safety.estop_required
        )
        self.announcer = Announcer(round(safety.lease_ms * 1e6), round(1e9 / robot.control.rate))
        self.counts = Counts()
        self.clock = ClockOffset()
        self.last_error: BaseException | None = None
        self.plans = 0  # followed after the soft start
        self.refused_running = 0
        self.clamps: dict[str, int] = dict.fromkeys(self.limits.names, 0)
        self._running: dict[str, int] = {"shape": 0, "finite": 0, "low": 0, "sure": 0}
        self._holding: dict[Reason, int] = {}
        self._latched: dict[Reason, int] = {}
        self._enabled_ns = 0
        self._plan_ns = 0
        self._auto = False
        self._no_chunk_ns = round(safety.no_chunk_ms * 1e6)
        self._recover_ns = round(safety.recover_ms * 1e6)
        self._soft_ns = round(safety.soft_start_ms * 1e6)
        span = ANCHOR_SHARE * (self.limits.q_max - self.limits.q_min)
        self._anchor = np.minimum(ANCHOR, span)

    @property
    def state(self) -> State:
        """The current state."""
        return self.machine.state

    # --- inputs -------------------------------------------------------------------------------
    def activate(self, now_ns: int) -> None:
        """Begin to work: from here on plans can be let through once enabled."""
        self._auto = self.robot.safety.auto_enable

    def deactivate(self, now_ns: int) -> Output:
        """Stop, and stay stopped; a latch is kept."""
        if self.machine.raise_event(Event.DEACTIVATE, now_ns, "deactivated"):
            self._stop_motion(now_ns)
        self._auto = False
        return self._output(now_ns)

    def on_chunk(self, raw: RawChunk, now_ns: int) -> Output:
        """Take a chunk; the output carries the path to follow when it is accepted."""
        try:
            self._chunk(raw, now_ns)
            return self._output(now_ns)
        except Exception as error:
            return self.internal_error(error, now_ns)

    def on_joint_state(self, names: Any, positions: Any, velocities: Any, now_ns: int) -> Output:
        """Take a joint state."""
        try:
            usable = self.joints.update(names, positions, velocities, now_ns)
        except Exception as error:
            return self.internal_error(error, now_ns)
        if not usable:
            self.counts.add(Reason.JOINT_BAD, now_ns)
        return Output()

    def on_estop(self, source: Any, pressed: Any, now_ns: int) -> Output:
        """Take the heartbeat of an emergency stop source; a press stops at once."""
        try:
            self.estop.update(source, pressed, now_ns)
            self._watch_estop(now_ns)
            return self._output(now_ns)
        except Exception as error:
            return self.internal_error(error, now_ns)

    def on_command_state(
        self, mode: Any, cause: Any, seq: Any, problems: Any, now_ns: int
    ) -> Output:
        """Take the publisher's state; the next tick judges it."""
        try:
            self.publisher.update(mode, cause, seq, problems, now_ns)
        except Exception as error:
            return self.internal_error(error, now_ns)
        return Output()

    def tick(self, now_ns: int, ros_ns: int | None = None) -> Output:
        """Watch the sources; called at a fixed rate. ``ros_ns`` is ROS time at ``now_ns``."""
        try:
            self._watch_clock(now_ns, ros_ns)
            self._watch_estop(now_ns)
            self._watch_joints(now_ns)
            self._watch_publisher(now_ns)
            self._watch_plans(now_ns)
            self._settle(now_ns)
            self._hold_action(now_ns)
            return self._output(now_ns, lease=True)
        except Exception as error:
            return self.internal_error(error, now_ns)

    def stop(self, now_ns: int) -> tuple[bool, str]:
        """Stop and latch."""
        self._trip(Reason.STOP, now_ns)
        return True, f"stopping: state {self.state.name}"

    def reset(self, now_ns: int) -> tuple[bool, str]:
        """End a latch. Nothing moves until :meth:`enable`."""
        if self.state is not State.LATCHED:
            return False, f"nothing to reset: state {self.state.name}"
        blocked = self.reset_blocked_by(now_ns)
        if blocked:
            return False, "refused: " + "; ".join(blocked)
        self._latched.clear()
        self._holding.clear()
        self.machine.raise_event(Event.RESET, now_ns)
        return True, "reset; nothing moves until ~/enable"

    def enable(self, now_ns: int) -> tuple[bool, str]:
        """Let plans pass from here on, beginning at the measured pose."""
        blocked = self.enable_blocked_by(now_ns)
        if blocked:
            return False, "refused: " + "; ".join(blocked)
        if (
            self.motion.path is None
            or (self.joints.error(self._command(now_ns)) > self._anchor).any()
        ):
            self.motion.anchor(self.joints.q, now_ns)
        self.checks.void_old_plans()
        self.joints.off_ticks = self.joints.lag_ticks = 0
        self._holding.clear()
        self._running = dict.fromkeys(self._running, 0)
        self._enabled_ns = self._plan_ns = now_ns
        self.machine.raise_event(Event.ENABLE, now_ns)
        return True, "enabled"

    def internal_error(self, error: BaseException, now_ns: int) -> Output:
        """Latch because of a bug; what was promised already ends in a verified stop."""
        self.last_error = error
        self.announcer.drop()
        self.counts.add(Reason.INTERNAL, now_ns)
        self._latched[Reason.INTERNAL] = now_ns
        self.machine.raise_event(Event.TRIP, now_ns, Reason.INTERNAL.value)
        try:
            self._stop_motion(now_ns)
            return self._output(now_ns)
        except Exception:  # the path sent before runs out by itself
            return Output()

    def reset_blocked_by(self, now_ns: int) -> list[str]:
        """Return why reset would be refused now; empty outside STOPPING and LATCHED."""
        return self.permits.reset_blocked_by(self.state, self._latched, self.announcer.seq, now_ns)

    def enable_blocked_by(self, now_ns: int) -> list[str]:
        """Return why enable would be refused now."""
        return self.permits.enable_blocked_by(self.state, self.announcer.seq, now_ns)

    # --- plans --------------------------------------------------------------------------------
    def _chunk(self, raw: RawChunk, now_ns: int) -> None:
        try:
            plan = self.checks.check(raw, now_ns, self.clock.offset_ns)
            curve = None
            if self.motion.path is not None:
                curve, near = self.motion.reference(plan, now_ns)
                if self.state in MOVING and not near:
                    raise Refused(Reason.JUMP)
        except Refused as refusal:
            self._refuse(refusal.reason, now_ns)
            return
        self.checks.accept(plan)
        self._running["shape"] = self._running["finite"] = self.refused_running = 0
        self._plan_ns = now_ns
        self.announcer.last_plan = plan
        self._weigh(plan, now_ns)
        if self.state not in MOVING or curve is None:
            return
        self.motion.follow(plan, curve, now_ns, self._speed(now_ns))
        self._note_limits(now_ns)
        if self.motion.path is not None:
            self.announcer.path(self.motion.path, plan, self.state, now_ns)

    def _refuse(self, reason: Reason, now_ns: int) -> None:
        self.counts.add(reason, now_ns)
        self.refused_running += 1
        shape = reason in SHAPE_FAULTS
        self._running["shape"] = self._running["shape"] + 1 if shape else 0
        finite = reason is Reason.NON_FINITE
        self._running["finite"] = self._running["finite"] + 1 if finite else 0
        if shape and (
            reason in self._latched or self._running["shape"] >= self.robot.safety.bad_shape_latch
        ):
            self._trip(reason, now_ns, count=False)
        elif self._running["finite"] >= NON_FINITE_HOLD:
            self._hold(reason, now_ns, count=False)

    def _weigh(self, plan: Plan, now_ns: int) -> None:
        """Slow down after plans of low confidence, and speed up again after good ones."""
        low = plan.confidence < self.robot.safety.low_confidence
        self._running["low"] = self._running["low"] + 1 if low else 0
        self._running["sure"] = 0 if low else self._running["sure"] + 1
        if low:
            self.counts.add(Reason.LOW_CONFIDENCE, now_ns)
        if self._running["low"] >= CONFIDENCE_TICKS:
            self.machine.raise_event(Event.SLOW, now_ns, Reason.LOW_CONFIDENCE.value)
        elif self._running["sure"] >= CONFIDENCE_TICKS:
            self.machine.raise_event(Event.NORMAL, now_ns)

    def _speed(self, now_ns: int) -> float:
        """Return the factor of the velocity limits: soft start, and slow."""
        elapsed = now_ns - self._enabled_ns
        ramp = 1.0 if elapsed >= self._soft_ns else max(0.05, elapsed / self._soft_ns)
        return ramp * (self.robot.safety.slow_scale if self.state is State.SLOW else 1.0)

    def _note_limits(self, now_ns: int) -> None:
        if self.motion.clamped.any():
            self.counts.add(Reason.CLAMPED, now_ns)
        held = self.motion.clamped | self.motion.planner.held
        for index in np.flatnonzero(held):
            self.clamps[self.limits.names[index]] += 1
        if now_ns - self._enabled_ns >= self._soft_ns:
            self.plans += 1
            if held.any():
                self.counts.add(Reason.HELD_BACK, now_ns)

    # --- watching -----------------------------------------------------------------------------
    def _watch_clock(self, now_ns: int, ros_ns: int | None) -> None:
        if ros_ns is not None and self.clock.update(ros_ns, now_ns):
            self.counts.add(Reason.CLOCK_JUMP, now_ns)
            self.checks.void_old_plans()
            self._hold(Reason.CLOCK_JUMP, now_ns, count=False)

    def _watch_estop(self, now_ns: int) -> None:
        if self.estop.pressed():
            self._trip(Reason.ESTOP, now_ns)
        if self.estop.silent(now_ns):
            self._trip(Reason.HEARTBEAT, now_ns)

    def _watch_joints(self, now_ns: int) -> None:
        joints = self.joints
        if self.state in ENABLED:
            if joints.stale(now_ns):
                self._hold(Reason.JOINT_STALE, now_ns)
            if joints.outside():
                self._hold(Reason.JOINT_OUTSIDE, now_ns)
            if joints.disagrees(self._command(now_ns)) >= self.robot.safety.tracking_ticks:
                self._trip(Reason.TRACKING, now_ns)
            elif joints.lag_ticks >= self.robot.safety.tracking_ticks:
                self._hold(Reason.LAGGING, now_ns)
            self._catch_up(now_ns)
        elif self.state is State.INACTIVE and not joints.stale(now_ns):
            self._follow_by_hand(now_ns)

    def _watch_publisher(self, now_ns: int) -> None:
        if self.state in ENABLED:
            fault = self.publisher.fault(self._enabled_ns, now_ns)
            if fault:
                self._trip(Reason.PUBLISHER, now_ns, detail=fault)

    def _catch_up(self, now_ns: int) -> None:
        """After the arm fell behind and all is at rest, go on from where it stands.

        It falls behind when a path is lost on the way to it. From a standstill, and only from
        there, the measured pose may take the place of the last command.
        """
        if (
            self.state is State.HOLD
            and Reason.LAGGING in self._holding
            and self.motion.at_rest(now_ns)
            and self.joints.still()
            and (self.joints.error(self._command(now_ns)) > self._anchor).any()
        ):
            self.motion.anchor(self.joints.q, now_ns)
            self.joints.lag_ticks = 0

    def _follow_by_hand(self, now_ns: int) -> None:
        """Before enable the command stays where the arm is, whoever moves it."""
        if self.motion.path is None or (
            self.motion.at_rest(now_ns)
            and (self.joints.error(self._command(now_ns)) > self._anchor).any()
        ):
            self.motion.anchor(self.joints.q, now_ns)

    def _watch_plans(self, now_ns: int) -> None:
        if self.state in ENABLED and now_ns - self._plan_ns > self._no_chunk_ns:
            self._hold(Reason.NO_CHUNK, now_ns)

    def _settle(self, now_ns: int) -> None:
        """Follow up on what clears by itself: the end of a stop, the end of a hold, autostart."""
        if self.state is State.STOPPING and self.motion.at_rest(now_ns):
            self.machine.raise_event(Event.REST, now_ns)
        for reason, last_ns in list(self._holding.items()):
            if now_ns - last_ns > self._recover_ns:
                del self._holding[reason]
        if self.state is State.HOLD and not self._holding:
            self._plan_ns = now_ns
            self._running["finite"] = 0
            self.machine.raise_event(Event.CLEAR, now_ns)
        if self._auto and self.state is State.INACTIVE and self.enable(now_ns)[0]:
            self._auto = False

    # --- reactions ----------------------------------------------------------------------------
    def _hold(self, reason: Reason, now_ns: int, count: bool = True) -> None:
        if self.state not in ENABLED:
            return
        if count and reason not in self._holding:
            self.counts.add(reason, now_ns)
        self._holding[reason] = now_ns
        if self.machine.raise_event(Event.FAULT, now_ns, reason.value):
            self.checks.void_old_plans()
            self._stop_motion(now_ns)

    def _trip(self, reason: Reason, now_ns: int, count: bool = True, detail: str = "") -> None:
        if count and reason not in self._latched:
            self.counts.add(reason, now_ns)
        if reason in LATCHING or reason in SHAPE_FAULTS:
            self._latched[reason] = now_ns
        cause = f"{reason.value}: {detail}" if detail else reason.value
        if self.machine.raise_event(Event.TRIP, now_ns, cause):
            if reason in (Reason.ESTOP, Reason.HEARTBEAT):
                self.estop.trips += 1
            self.checks.void_old_plans()
            self._stop_motion(now_ns)

    def _stop_motion(self, now_ns: int) -> None:
        self.motion.stop(now_ns)
        if self.motion.at_rest(now_ns):
            self.machine.raise_event(Event.REST, now_ns)
        if self.motion.path is not None:
            self.announcer.path(self.motion.rest_of_path(now_ns), None, self.state, now_ns)

    def _command(self, now_ns: int) -> np.ndarray:
        return self.motion.command(now_ns)[0]

    # --- outputs ------------------------------------------------------------------------------
    def _hold_action(self, now_ns: int) -> None:
        """While no plan passes, say at the usual rate that the arm stands still."""
        if self.state in MOVING or self.motion.path is None:
            return
        if self.announcer.hold_is_due(now_ns):
            self.announcer.hold(self.motion.rest_of_path(now_ns), self.state, now_ns)

    def _output(self, now_ns: int, lease: bool = False) -> Output:
        return self.announcer.output(self.report(now_ns), lease, now_ns)

    def report(self, now_ns: int) -> Report:
        """Return the state as it is published."""
        return Report(
            self.state,
            self.machine.cause,
            tuple(self.reset_blocked_by(now_ns)),
            () if self.state in ENABLED else tuple(self.enable_blocked_by(now_ns)),
            self.checks.min_epoch,
            self.machine.transitions,
            NAMES,
            tuple(self.counts.total.values()),
        )

    def held_back(self) -> float:
        """Return the share 0..1 of plans, after the soft start, that a limit held back."""
        return self.counts.total[Reason.HELD_BACK] / self.plans if self.plans else 0.0

    def refusals(self, now_ns: int) -> int:
        """Return how many chunks were refused in the last 60 s."""
        return sum(self.counts.minute(reason, now_ns) for reason in INPUT)
