"""The gate: everything that decides whether and how the arm may move, without ROS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vla_common.core.clock import ClockOffset
from vla_common.core.robot import Robot
from vla_safety.core.anchoring import Anchoring
from vla_safety.core.announcer import Announcer
from vla_safety.core.cameras import CameraWatch
from vla_safety.core.causes import Causes
from vla_safety.core.checks import InputCheck
from vla_safety.core.clearance import Clearance
from vla_safety.core.following import Following
from vla_safety.core.limits import limits_of
from vla_safety.core.motion import Motion
from vla_safety.core.permits import Permits
from vla_safety.core.publisher_watch import CommandMode, PublisherWatch
from vla_safety.core.reasons import INPUT, REASONS, Counts, Reason
from vla_safety.core.sources import EstopWatch, JointWatch
from vla_safety.core.standing import Standing
from vla_safety.core.state_machine import ENABLED, IDLE, Event, Machine, State
from vla_safety.core.stopping import Stopping
from vla_safety.core.values import Output, RawChunk, Report

NAMES = tuple(reason.value for reason in REASONS)


class Gate:
    """Inputs in, outputs to publish out; see docs/safety.md for the rules.

    Every method takes the monotonic time. Not thread safe: the caller serialises. No input
    raises: an exception inside latches with :attr:`Reason.INTERNAL` and is kept in
    :attr:`last_error`.
    """

    def __init__(self, robot: Robot, clearance: Clearance | None = None) -> None:
        """``clearance``: the kinematic checks; None: there are none."""
        safety, lease_ns = robot.safety, round(robot.safety.lease_ms * 1e6)
        self.robot = robot
        self.last_error: BaseException | None = None
        self._auto = False
        self._dry_run = robot.controller.dry_run  # the arm stands, or somebody else moves it
        # what comes in
        self.limits = limits_of(robot)
        self.clock = ClockOffset()
        self.checks = checks = InputCheck(self.limits, safety)
        self.joints = JointWatch(self.limits, safety)
        self.cameras = CameraWatch(robot)
        self.estop = EstopWatch(safety)
        self.publisher = PublisherWatch(round(safety.publisher_ms * 1e6))
        # what is done
        self.machine = machine = Machine()
        self.counts = Counts()
        self.causes = causes = Causes(self.counts, round(safety.recover_ms * 1e6))
        self.motion = motion = Motion(
            self.limits, safety, robot.source, clearance, robot.controller.lead_ns
        )
        self.anchoring = Anchoring(self.limits, self.joints, motion)
        self.announcer = announcer = Announcer(lease_ns, round(1e9 / robot.control.rate))
        # what decides
        required = safety.estop_required
        self.permits = Permits(
            self.joints, self.cameras, self.estop, self.publisher, motion, required
        )
        self.stopping = Stopping(machine, causes, checks, motion, announcer, self.estop)
        self.standing = Standing(
            machine, causes, motion, self.anchoring, announcer, lease_ns, self._dry_run
        )
        self.following = Following(
            robot, machine, causes, self.counts, checks, motion, announcer, self.stopping
        )

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
            self.stopping.stop_motion(now_ns)
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
        update = self.following.throttle.update
        return self._note(now_ns, Reason.HEALTH_BAD, update, sent_ns, throttled)

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
            self.joints.look(now_ns)
            self._watch_clock(now_ns, ros_ns)
            self._watch_estop(now_ns)
            self._watch_joints(now_ns)
            self._watch_publisher(now_ns)
            self._watch_cameras(now_ns)
            self.following.watch(now_ns)
            self._settle(now_ns)
            self.following.pace(now_ns)
            self.standing.repeat(now_ns)
            return self._output(now_ns, lease=True)
        except Exception as error:
            return self.internal_error(error, now_ns)

    def watch(self, now_ns: int, ros_ns: int | None = None) -> Output:
        """Answer what fell silent, halfway between two ticks."""
        try:
            self.joints.look(now_ns)
            self._watch_clock(now_ns, ros_ns)
            self._watch_estop(now_ns)
            if self.state in ENABLED and self.joints.stale(now_ns):
                self.stopping.hold(Reason.JOINT_STALE, now_ns)
            self._watch_publisher(now_ns)
            self._watch_cameras(now_ns)
            self.following.watch(now_ns)
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
        plan_ns = self.following.due_ns()
        due = [at for at in (plan_ns, self.joints.due_ns, *self.estop.due_ns) if at > now_ns]
        return min(due, default=0)

    def stop(self, now_ns: int) -> tuple[bool, str]:
        """Stop and latch."""
        self.stopping.trip(Reason.STOP, now_ns)
        return True, f"stopping: state {self.state.name}"

    def press(self, now_ns: int) -> tuple[bool, str]:
        """Stop and latch, as by an emergency stop that was pressed for a moment."""
        self.stopping.trip(Reason.ESTOP, now_ns, detail="~/estop")
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
            self.standing.before_enable(now_ns)
            self.standing.again_after_a_gap(now_ns)
        blocked = self.enable_blocked_by(now_ns)
        if blocked:
            return False, "refused: " + "; ".join(blocked)
        self.joints.forgive()
        self.anchoring.begin()
        self.announcer.handover.begin(self.motion.path)
        self.following.begin(now_ns)
        self.machine.raise_event(Event.ENABLE, now_ns, cause)
        return True, "enabled"

    def internal_error(self, error: BaseException, now_ns: int) -> Output:
        """Latch because of a bug; what was promised already ends in a verified stop."""
        self.last_error = error
        self.counts.add(Reason.INTERNAL, now_ns)
        try:
            self.stopping.trip_by_a_bug(now_ns)
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
        sent, begin = self.announcer.seq, self.standing.begin_seq
        return self.permits.enable_blocked_by(self.state, sent, begin, now_ns)

    def _chunk(self, raw: RawChunk, now_ns: int) -> None:
        self.following.chunk(raw, self.clock.offset_ns, now_ns)

    def _followed(self, followed: Any, heard: Any, now_ns: int) -> None:
        if self.state in ENABLED and self.publisher.mode is CommandMode.FOLLOWING:
            self.following.lost(followed, heard, now_ns)

    # --- watching -----------------------------------------------------------------------------
    def _watch_clock(self, now_ns: int, ros_ns: int | None) -> None:
        if ros_ns is not None and self.clock.update(ros_ns, now_ns):
            self.counts.add(Reason.CLOCK_JUMP, now_ns)
            self.checks.void_old_plans()
            self.stopping.hold(Reason.CLOCK_JUMP, now_ns, count=False)

    def _estop(self, update: Callable[..., None], *fields: Any) -> None:
        update(*fields)
        self._watch_estop(fields[-1])

    def _watch_estop(self, now_ns: int) -> None:
        pressed = self.estop.pressed()
        if pressed:
            self.stopping.trip(Reason.ESTOP, now_ns, detail=", ".join(pressed))
        silent = self.estop.silent(now_ns)
        if silent:
            self.stopping.trip(Reason.HEARTBEAT, now_ns, detail=", ".join(silent))

    def _watch_joints(self, now_ns: int) -> None:
        joints = self.joints
        if self.state in ENABLED:
            if joints.stale(now_ns):
                self.stopping.hold(Reason.JOINT_STALE, now_ns)
            if joints.outside():
                self.stopping.hold(Reason.JOINT_OUTSIDE, now_ns)
            if not self._dry_run:
                self._watch_tracking(now_ns)
            if self.state is State.HOLD:
                self.standing.in_a_hold(now_ns)
        elif self.state in IDLE or self.motion.path is None:
            self.standing.before_enable(now_ns)

    def _watch_tracking(self, now_ns: int) -> None:
        joints = self.joints
        if joints.disagrees(self.motion.command(now_ns)[0]) >= self.robot.safety.tracking_ticks:
            self.stopping.trip(Reason.TRACKING, now_ns)
        elif joints.lag_ticks >= self.robot.safety.tracking_ticks:
            self.stopping.hold(Reason.LAGGING, now_ns)

    def _watch_publisher(self, now_ns: int) -> None:
        if self.state in ENABLED:
            fault = self.publisher.fault(self.following.enabled_ns, now_ns)
            if fault:
                self.stopping.trip(Reason.PUBLISHER, now_ns, detail=fault)

    def _watch_cameras(self, now_ns: int) -> None:
        if self.state in ENABLED:
            for reason, which in self.cameras.faults(now_ns):
                self.stopping.hold(reason, now_ns, detail=which)

    def _settle(self, now_ns: int) -> None:
        """Follow up on what clears by itself: the end of a stop, the end of a hold, autostart."""
        if self.state is State.STOPPING and self.motion.at_rest(now_ns):
            self.machine.raise_event(Event.REST, now_ns)
        if self.causes.settle(now_ns) and self.state is State.HOLD:
            self.following.held_over(now_ns)
            self.machine.raise_event(Event.CLEAR, now_ns, self.machine.over)
        if self._auto and self.state is State.INACTIVE and self.enable(now_ns, "auto_enable")[0]:
            self._auto = False

    # --- outputs ------------------------------------------------------------------------------
    def _output(self, now_ns: int, lease: bool = False) -> Output:
        if lease:
            self.standing.lease(now_ns)
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

    def refusals(self, now_ns: int) -> int:
        """Return how many chunks were refused in the last 60 s."""
        return sum(self.counts.minute(reason, now_ns) for reason in INPUT)
