"""The gate: everything that decides whether and how the arm may move, without ROS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from vla_common.core.clock import ClockOffset
from vla_common.core.robot import Robot
from vla_safety.core.anchoring import Anchoring
from vla_safety.core.announcer import Announcer
from vla_safety.core.cameras import CameraWatch
from vla_safety.core.causes import Causes
from vla_safety.core.checks import InputCheck, Refused
from vla_safety.core.clearance import Clearance
from vla_safety.core.limits import limits_of
from vla_safety.core.motion import Motion
from vla_safety.core.permits import Permits
from vla_safety.core.publisher_watch import CommandMode, PublisherWatch
from vla_safety.core.reasons import BLOCKED, INPUT, REASONS, Counts, Reaction, Reason
from vla_safety.core.reference import Reference
from vla_safety.core.sources import EstopWatch, JointWatch
from vla_safety.core.state_machine import ENABLED, IDLE, MOVING, Event, Machine, State
from vla_safety.core.streaks import Streaks, Trust
from vla_safety.core.throttle import ThrottleWatch
from vla_safety.core.values import Output, Plan, RawChunk, Report

NAMES = tuple(reason.value for reason in REASONS)


def _cause(reason: Reason, detail: str) -> str:
    return f"{reason.value}: {detail}" if detail else reason.value


class Gate:
    """Inputs in, outputs to publish out; see the README of the safety gate for the rules.

    Every method takes the monotonic time. Not thread safe: the caller serialises. No input
    raises: an exception inside latches with :attr:`Reason.INTERNAL` and is kept in
    :attr:`last_error`.
    """

    def __init__(self, robot: Robot, clearance: Clearance | None = None) -> None:
        """``clearance``: the kinematic checks; None: there are none."""
        safety = robot.safety
        self.robot = robot
        self.limits = limits_of(robot)
        self.motion = Motion(self.limits, safety, robot.source, clearance, robot.controller.lead_ns)
        self.checks = InputCheck(self.limits, safety)
        self.joints = JointWatch(self.limits, safety)
        self.cameras = CameraWatch(robot)
        self.estop = EstopWatch(safety)
        self.publisher = PublisherWatch(round(safety.publisher_ms * 1e6))
        self.machine = Machine()
        self.permits = Permits(
            self.joints,
            self.cameras,
            self.estop,
            self.publisher,
            self.motion,
            safety.estop_required,
        )
        self._lease_ns = round(safety.lease_ms * 1e6)
        self.announcer = Announcer(self._lease_ns, round(1e9 / robot.control.rate))
        self.anchoring = Anchoring(self.limits, self.joints, self.motion)
        self.counts = Counts()
        self.causes = Causes(self.counts, round(safety.recover_ms * 1e6))
        self.streaks = Streaks(safety)
        self.throttle = ThrottleWatch(robot)
        self.clock = ClockOffset()
        self.last_error: BaseException | None = None
        self.plans = 0  # followed after the soft start
        self.clamps: dict[str, int] = dict.fromkeys(self.limits.names, 0)
        self._begin_seq = 0  # of the path that said where motion is to begin
        self._leased_ns = 0  # when the last lease was given
        self._enabled_ns = 0
        self._plan_ns = 0
        self._auto = False
        self._dry_run = robot.controller.dry_run  # the arm stands, or somebody else moves it
        self._no_chunk_ns = round(safety.no_chunk_ms * 1e6)
        self._soft_ns = round(safety.soft_start_ms * 1e6)

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
        return self._act(now_ns, self._chunk, raw)

    def on_estop(self, source: Any, pressed: Any, now_ns: int) -> Output:
        """Take the heartbeat of an emergency stop source; a press stops at once."""
        return self._act(now_ns, self._estop, self.estop.update, source, pressed)

    def on_own_estop(self, pressed: Any, now_ns: int) -> Output:
        """Take the heartbeat of the emergency stop source in this process, likewise."""
        return self._act(now_ns, self._estop, self.estop.update_own, pressed)

    def on_joint_state(self, names: Any, positions: Any, velocities: Any, now_ns: int) -> Output:
        """Take a joint state; the next tick judges it."""
        fields = (names, positions, velocities)
        return self._note(now_ns, Reason.JOINT_BAD, self.joints.update, *fields)

    def on_camera_health(
        self, sent_ns: Any, names: Any, ages_ms: Any, repeated: Any, dark: Any, faults: Any,
        now_ns: int,
    ) -> Output:  # fmt: skip
        """Take a report of camera_ingest, see vla_msgs/CameraHealth; the next tick judges it."""
        fields = (sent_ns, names, ages_ms, repeated, dark, faults)
        return self._note(now_ns, Reason.CAMERA_BAD, self.cameras.update, *fields)

    def on_system_health(self, sent_ns: Any, throttled: Any, now_ns: int) -> Output:
        """Take a report of system_monitor, see vla_msgs/SystemHealth; the next tick judges it."""
        return self._note(now_ns, Reason.HEALTH_BAD, self.throttle.update, sent_ns, throttled)

    def on_command_state(
        self, mode: Any, cause: Any, seq: Any, problems: Any, now_ns: int
    ) -> Output:
        """Take the publisher's state; the next tick judges it."""
        return self._note(now_ns, None, self.publisher.update, mode, cause, seq, problems)

    def on_rest(self, positions: Any, now_ns: int) -> Output:
        """Take where the publisher's last command left the arm; empty: it does not say."""
        return self._note(now_ns, None, self.anchoring.told, positions)

    def on_followed(self, followed: Any, heard: Any, now_ns: int) -> Output:
        """Take which path the arm follows, and the newest one that the publisher heard."""
        return self._note(now_ns, None, self._followed, followed, heard)

    def _act(self, now_ns: int, call: Callable[..., None], *fields: Any) -> Output:
        """Do what an input asks for at once."""
        try:
            call(*fields, now_ns)
            return self._output(now_ns)
        except Exception as error:
            return self.internal_error(error, now_ns)

    def _note(
        self, now_ns: int, unusable: Reason | None, update: Callable[..., Any], *fields: Any
    ) -> Output:
        """Only store an input; ``unusable`` is counted when ``update`` returns False."""
        try:
            if not update(*fields, now_ns) and unusable is not None:
                self.counts.add(unusable, now_ns)
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
            self._watch_cameras(now_ns)
            self._watch_plans(now_ns)
            self._settle(now_ns)
            self._pace(now_ns)
            self._hold_action(now_ns)
            return self._output(now_ns, lease=True)
        except Exception as error:
            return self.internal_error(error, now_ns)

    def watch(self, now_ns: int, ros_ns: int | None = None) -> Output:
        """Answer what fell silent, halfway between two ticks."""
        try:
            self._watch_clock(now_ns, ros_ns)
            self._watch_estop(now_ns)
            if self.state in ENABLED and self.joints.stale(now_ns):
                self._hold(Reason.JOINT_STALE, now_ns)
            self._watch_publisher(now_ns)
            self._watch_cameras(now_ns)
            self._watch_plans(now_ns)
            return self._output(now_ns, lease=True)
        except Exception as error:
            return self.internal_error(error, now_ns)

    def due_ns(self, now_ns: int) -> int:
        """Return when the next source falls silent unless it is heard; 0: none will.

        :meth:`watch` then has something to answer. Cameras and the publisher have the time until
        it is called anyway.
        """
        if self.state not in ENABLED:
            return 0
        plan_ns = self._plan_ns + self._no_chunk_ns + 1
        due = [at for at in (plan_ns, self.joints.due_ns, *self.estop.due_ns) if at > now_ns]
        return min(due, default=0)

    def stop(self, now_ns: int) -> tuple[bool, str]:
        """Stop and latch."""
        self._trip(Reason.STOP, now_ns)
        return True, f"stopping: state {self.state.name}"

    def press(self, now_ns: int) -> tuple[bool, str]:
        """Stop and latch, as by an emergency stop that was pressed for a moment."""
        self._trip(Reason.ESTOP, now_ns, detail="~/estop")
        return True, f"emergency stop: state {self.state.name}"

    def reset(self, now_ns: int) -> tuple[bool, str]:
        """End a latch. Nothing moves until :meth:`enable`."""
        if self.state is not State.LATCHED:
            return False, f"nothing to reset: state {self.state.name}"
        blocked = self.reset_blocked_by(now_ns)
        if blocked:
            return False, "refused: " + "; ".join(blocked)
        self.causes.reset()
        self.machine.raise_event(Event.RESET, now_ns, "~/reset")
        return True, "reset; nothing moves until ~/enable"

    def enable(self, now_ns: int, cause: str = "~/enable") -> tuple[bool, str]:
        """Let plans pass from here on, beginning where the arm stands."""
        if self.state in IDLE:
            self._say_where_it_begins(now_ns)
            self._say_again_after_a_gap(now_ns)
        blocked = self.enable_blocked_by(now_ns)
        if blocked:
            return False, "refused: " + "; ".join(blocked)
        self.joints.forgive()
        self.anchoring.begin()
        self.announcer.handover.begin(self.motion.path)
        self.checks.void_old_plans()
        self.causes.enabled()
        self.streaks.begin()
        self._enabled_ns = self._plan_ns = now_ns
        self.machine.raise_event(Event.ENABLE, now_ns, cause)
        return True, "enabled"

    def internal_error(self, error: BaseException, now_ns: int) -> Output:
        """Latch because of a bug; what was promised already ends in a verified stop."""
        self.last_error = error
        sent = self.announcer.drop()
        if sent is not None:
            self.motion.go_back(sent)
        self.counts.add(Reason.INTERNAL, now_ns)
        self.causes.latch(Reason.INTERNAL, now_ns, count=False)
        tripped = self.machine.raise_event(Event.TRIP, now_ns, Reason.INTERNAL.value)
        try:
            if tripped:
                self.checks.void_old_plans()
            self._stop_motion(now_ns)
            return self._output(now_ns)
        except Exception:  # the path sent before runs out by itself
            return Output()

    def reset_blocked_by(self, now_ns: int) -> list[str]:
        """Return why reset would be refused now; empty outside STOPPING and LATCHED."""
        return self.permits.reset_blocked_by(
            self.state, self.causes.latched, self.announcer.seq, now_ns
        )

    def enable_blocked_by(self, now_ns: int) -> list[str]:
        """Return why enable would be refused now."""
        sent = self.announcer.seq
        return self.permits.enable_blocked_by(self.state, sent, self._begin_seq, now_ns)

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
        self.streaks.accept()
        self._plan_ns = now_ns
        self.announcer.last_plan = plan
        self._weigh(plan, now_ns)
        if curve is None:
            return
        if self.state not in MOVING:
            self._try_again(curve, now_ns)
            return
        blocked = self.motion.follow(curve, now_ns, self._speed(now_ns))
        if blocked is not None:
            self._hold(blocked, now_ns)
            return
        self._note_limits(now_ns)
        if self.motion.path is not None:
            self.announcer.path(self.motion.path, plan, self.state, now_ns)

    def _followed(self, followed: Any, heard: Any, now_ns: int) -> None:
        if self.state not in ENABLED or self.publisher.mode is not CommandMode.FOLLOWING:
            return
        holds = self.state is State.HOLD
        path = self.announcer.handover.correction(followed, heard, now_ns, patient=holds)
        if path is None:
            return
        self.counts.add(Reason.PATH_LOST, now_ns)
        self.motion.go_back(path)
        if holds:
            self._stop_motion(now_ns)

    def _try_again(self, curve: Reference, now_ns: int) -> None:
        """While a plan that led too near to something holds, see whether they still do."""
        if self.state is State.HOLD and not BLOCKED.isdisjoint(self.causes.holding):
            blocked = self.motion.follow(curve, now_ns, 1.0, only_try=True)
            if blocked is not None:
                self._hold(blocked, now_ns)

    def _refuse(self, reason: Reason, now_ns: int) -> None:
        self.counts.add(reason, now_ns)
        reaction = self.streaks.refuse(reason, reason in self.causes.latched)
        if reaction is Reaction.LATCH:
            self._trip(reason, now_ns, count=False)
        elif reaction is Reaction.HOLD:
            self._hold(reason, now_ns, count=False)

    def _weigh(self, plan: Plan, now_ns: int) -> None:
        """Note the confidence of a plan, and how long its inference took."""
        low = self.streaks.is_low(plan.confidence)
        if low:
            self.counts.add(Reason.LOW_CONFIDENCE, now_ns)
        if self.streaks.weigh(plan.confidence) is Trust.NONE:
            self._hold(Reason.LOW_CONFIDENCE, now_ns, count=False)
        self.throttle.accept(plan.trace, now_ns)
        self._pace(now_ns)

    def _pace(self, now_ns: int) -> None:
        """Be slow while low confidence or lowered clocks ask for it, else at full speed."""
        throttled = self.throttle.reasons(now_ns)
        if throttled:
            self.machine.raise_event(Event.SLOW, now_ns, _cause(Reason.THROTTLED, throttled))
        elif self.streaks.slow:
            self.machine.raise_event(Event.SLOW, now_ns, Reason.LOW_CONFIDENCE.value)
        elif self.state is State.SLOW:
            self.machine.raise_event(Event.NORMAL, now_ns, self._over)

    def _speed(self, now_ns: int) -> float:
        """Return the factor of the velocity limits: soft start, and slow."""
        elapsed = now_ns - self._enabled_ns
        ramp = 1.0 if elapsed >= self._soft_ns else max(0.05, elapsed / self._soft_ns)
        return ramp * (self.robot.safety.slow_scale if self.state is State.SLOW else 1.0)

    def _note_limits(self, now_ns: int) -> None:
        clamped, missed = self.motion.clamped.tolist(), self.motion.planner.held.tolist()
        if any(clamped):
            self.counts.add(Reason.CLAMPED, now_ns)
        held = [a or b for a, b in zip(clamped, missed)]
        for name, is_held in zip(self.limits.names, held):
            self.clamps[name] += is_held
        if now_ns - self._enabled_ns >= self._soft_ns:
            self.plans += 1
            if any(held):
                self.counts.add(Reason.HELD_BACK, now_ns)

    # --- watching -----------------------------------------------------------------------------
    def _watch_clock(self, now_ns: int, ros_ns: int | None) -> None:
        if ros_ns is not None and self.clock.update(ros_ns, now_ns):
            self.counts.add(Reason.CLOCK_JUMP, now_ns)
            self.checks.void_old_plans()
            self._hold(Reason.CLOCK_JUMP, now_ns, count=False)

    def _estop(self, update: Callable[..., None], *fields: Any) -> None:
        update(*fields)
        self._watch_estop(fields[-1])

    def _watch_estop(self, now_ns: int) -> None:
        pressed = self.estop.pressed()
        if pressed:
            self._trip(Reason.ESTOP, now_ns, detail=", ".join(pressed))
        silent = self.estop.silent(now_ns)
        if silent:
            self._trip(Reason.HEARTBEAT, now_ns, detail=", ".join(silent))

    def _watch_joints(self, now_ns: int) -> None:
        joints = self.joints
        if self.state in ENABLED:
            if joints.stale(now_ns):
                self._hold(Reason.JOINT_STALE, now_ns)
            if joints.outside():
                self._hold(Reason.JOINT_OUTSIDE, now_ns)
            if not self._dry_run:
                self._watch_tracking(now_ns)
            if self.state is State.HOLD:
                self._stand(now_ns)
        elif self.state in IDLE or self.motion.path is None:
            self._say_where_it_begins(now_ns)

    def _watch_tracking(self, now_ns: int) -> None:
        joints = self.joints
        if joints.disagrees(self._command(now_ns)) >= self.robot.safety.tracking_ticks:
            self._trip(Reason.TRACKING, now_ns)
        elif joints.lag_ticks >= self.robot.safety.tracking_ticks:
            self._hold(Reason.LAGGING, now_ns)

    def _stand(self, now_ns: int) -> None:
        """While it holds, stand where the arm does, and say so before the hold can end."""
        moved = False
        if self.anchoring.left:
            moved = self.anchoring.stand_with(now_ns)
        elif self._dry_run or Reason.LAGGING in self.causes.holding:
            moved = self.anchoring.catch_up(now_ns, moved_by_others=self._dry_run)
        if moved:
            self.announcer.path(self.motion.rest_of_path(now_ns), None, self.state, now_ns)

    def _say_where_it_begins(self, now_ns: int) -> None:
        """Tell the publisher where an enable will begin; it is refused until that was heard."""
        if self.anchoring.before_enable(now_ns):
            self._say_where_it_stands(now_ns)

    def _say_again_after_a_gap(self, now_ns: int) -> None:
        """Tell it again after a silence as long as a lease: the publisher has forgotten it.

        A path that is still to be sent tells it as well. It may be a stop: all of it is needed.
        """
        silent = 0 < self._leased_ns <= now_ns - self._lease_ns
        if not silent or self.state in ENABLED or self.state is State.STOPPING:
            return
        if self.announcer.waits:
            self._begin_seq = self.announcer.seq
        elif self.motion.path is not None:
            self._say_where_it_stands(now_ns)

    def _say_where_it_stands(self, now_ns: int) -> None:
        self.announcer.path(self.motion.rest_of_path(now_ns), None, self.state, now_ns)
        self._begin_seq = self.announcer.seq

    def _watch_publisher(self, now_ns: int) -> None:
        if self.state in ENABLED:
            fault = self.publisher.fault(self._enabled_ns, now_ns)
            if fault:
                self._trip(Reason.PUBLISHER, now_ns, detail=fault)

    def _watch_cameras(self, now_ns: int) -> None:
        if self.state in ENABLED:
            for reason, which in self.cameras.faults(now_ns):
                self._hold(reason, now_ns, detail=which)

    def _watch_plans(self, now_ns: int) -> None:
        if not self.streaks.trusted:
            self._hold(Reason.LOW_CONFIDENCE, now_ns, count=False)
        late = self.throttle.late(now_ns)
        if late:
            self._hold(Reason.THROTTLED, now_ns, detail=late)
        if self.state in ENABLED and now_ns - self._plan_ns > self._no_chunk_ns:
            self._hold(Reason.NO_CHUNK, now_ns)

    def _settle(self, now_ns: int) -> None:
        """Follow up on what clears by itself: the end of a stop, the end of a hold, autostart."""
        if self.state is State.STOPPING and self.motion.at_rest(now_ns):
            self.machine.raise_event(Event.REST, now_ns)
        if self.causes.settle(now_ns) and self.state is State.HOLD:
            self._plan_ns = now_ns
            self.streaks.held_over()
            self.machine.raise_event(Event.CLEAR, now_ns, self._over)
        if self._auto and self.state is State.INACTIVE and self.enable(now_ns, "auto_enable")[0]:
            self._auto = False

    @property
    def _over(self) -> str:
        """The cause of a state that follows another whose cause has gone."""
        return f"over: {self.machine.cause}"

    # --- reactions ----------------------------------------------------------------------------
    def _hold(self, reason: Reason, now_ns: int, count: bool = True, detail: str = "") -> None:
        if self.state not in ENABLED:
            return
        self.causes.hold(reason, now_ns, count)
        if self.machine.raise_event(Event.FAULT, now_ns, _cause(reason, detail)):
            self.checks.void_old_plans()
            self._stop_motion(now_ns)

    def _trip(self, reason: Reason, now_ns: int, count: bool = True, detail: str = "") -> None:
        self.causes.latch(reason, now_ns, count)
        if self.machine.raise_event(Event.TRIP, now_ns, _cause(reason, detail)):
            if reason in (Reason.ESTOP, Reason.HEARTBEAT):
                self.estop.trips += 1
                self.estop.tripped_by = detail
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
        if lease:
            self._say_again_after_a_gap(now_ns)
            self._leased_ns = now_ns
        changes = self.machine.take_changes()
        return self.announcer.output(self.report(now_ns), changes, lease, now_ns)

    def report(self, now_ns: int) -> Report:
        """Return the state as it is published."""
        machine = self.machine
        return Report(
            machine.state,
            machine.previous,
            machine.since_ns,
            machine.cause,
            tuple(self.reset_blocked_by(now_ns)),
            () if self.state in ENABLED else tuple(self.enable_blocked_by(now_ns)),
            self.checks.min_epoch,
            machine.transitions,
            NAMES,
            tuple(self.counts.total.values()),
        )

    def held_back(self) -> float:
        """Return the share 0..1 of plans, after the soft start, that a limit held back."""
        return self.counts.total[Reason.HELD_BACK] / self.plans if self.plans else 0.0

    def refusals(self, now_ns: int) -> int:
        """Return how many chunks were refused in the last 60 s."""
        return sum(self.counts.minute(reason, now_ns) for reason in INPUT)
