"""What becomes of a plan: refused, weighed, or followed within the limits."""

from __future__ import annotations

from typing import Any

from vla_common.core.robot import Robot
from vla_safety.core.announcer import Announcer
from vla_safety.core.causes import Causes
from vla_safety.core.checks import InputCheck, Refused
from vla_safety.core.motion import Motion
from vla_safety.core.publisher_watch import NAME as PUBLISHER
from vla_safety.core.reasons import BLOCKED, Counts, Reaction, Reason
from vla_safety.core.reference import Reference
from vla_safety.core.state_machine import MOVING, Event, Machine, State
from vla_safety.core.stopping import Stopping, cause
from vla_safety.core.streaks import Streaks, Trust
from vla_safety.core.throttle import ThrottleWatch
from vla_safety.core.values import Plan, RawChunk

NOT_FOLLOWED = f"{PUBLISHER} follows no path that is sent; its diagnostics say why"


class Following:
    """Checks plans and lets the motion follow them, at the speed that is allowed."""

    def __init__(
        self,
        robot: Robot,
        machine: Machine,
        causes: Causes,
        counts: Counts,
        checks: InputCheck,
        motion: Motion,
        announcer: Announcer,
        stopping: Stopping,
    ) -> None:
        safety = robot.safety
        self.streaks = Streaks(safety)
        self.throttle = ThrottleWatch(robot)
        self.plans = 0  # followed after the soft start
        self.clamps: dict[str, int] = dict.fromkeys(robot.joints, 0)
        self.enabled_ns = 0
        self._machine = machine
        self._causes = causes
        self._counts = counts
        self._checks = checks
        self._motion = motion
        self._announcer = announcer
        self._stopping = stopping
        self._plan_ns = 0
        self._no_chunk_ns = round(safety.no_chunk_ms * 1e6)
        self._soft_ns = round(safety.soft_start_ms * 1e6)
        self._slow_scale = safety.slow_scale

    def begin(self, now_ns: int) -> None:
        """Note an enable: plans are due from here on, softly at first."""
        self._checks.void_old_plans()
        self._causes.enabled()
        self.streaks.begin()
        self.enabled_ns = self._plan_ns = now_ns

    def held_over(self, now_ns: int) -> None:
        """Note the end of a hold: plans are due anew."""
        self._plan_ns = now_ns
        self.streaks.held_over()

    def due_ns(self) -> int:
        """Return when plans are missing unless one is accepted before."""
        return self._plan_ns + self._no_chunk_ns + 1

    def chunk(self, raw: RawChunk, offset_ns: int | None, now_ns: int) -> None:
        """Take a chunk; ``offset_ns`` is ROS time less monotonic time, None while unknown."""
        try:
            plan = self._checks.check(raw, now_ns, offset_ns)
            curve = None
            if self._motion.path is not None:
                curve, near = self._motion.reference(plan, now_ns)
                if self._machine.state in MOVING and not near:
                    raise Refused(Reason.JUMP)
        except Refused as refusal:
            self._refuse(refusal.reason, now_ns)
            return
        self._checks.accept(plan)
        self.streaks.accept()
        self._plan_ns = now_ns
        self._announcer.last_plan = plan
        self._weigh(plan, now_ns)
        if curve is None:
            return
        if self._machine.state in MOVING:
            self._follow(plan, curve, now_ns)
        else:
            self._try_again(curve, now_ns)

    def _follow(self, plan: Plan, curve: Reference, now_ns: int) -> None:
        blocked = self._motion.follow(curve, now_ns, self._speed(now_ns))
        if blocked is not None:
            self._stopping.hold(blocked, now_ns)
            return
        self._note_limits(now_ns)
        if self._motion.path is not None:
            self._announcer.path(self._motion.path, plan, self._machine.state, now_ns)

    def _try_again(self, curve: Reference, now_ns: int) -> None:
        """While a plan that led too near to something holds, see whether they still do."""
        if self._machine.state is State.HOLD and not BLOCKED.isdisjoint(self._causes.holding):
            blocked = self._motion.follow(curve, now_ns, 1.0, only_try=True)
            if blocked is not None:
                self._stopping.hold(blocked, now_ns)

    def _refuse(self, reason: Reason, now_ns: int) -> None:
        self._counts.add(reason, now_ns)
        reaction = self.streaks.refuse(reason, reason in self._causes.latched)
        if reaction is Reaction.LATCH:
            self._stopping.trip(reason, now_ns, count=False)
        elif reaction is Reaction.HOLD:
            self._stopping.hold(reason, now_ns, count=False)

    def lost(self, followed: Any, heard: Any, now_ns: int) -> None:
        """Go back to the path that the arm follows, see :class:`handover.Handover`.

        Where the publisher refuses one after the other, as with another robot file than this one,
        stop and latch: the gate would say for ever that it is active, beside an arm that stands.
        """
        holds, handover = self._machine.state is State.HOLD, self._announcer.handover
        path = handover.correction(followed, heard, now_ns, patient=holds)
        if path is None:
            return
        self._counts.add(Reason.PATH_LOST, now_ns)
        self._motion.go_back(path)
        if holds:
            self._stopping.stop_motion(now_ns)
        elif handover.refused(now_ns):
            self._stopping.trip(Reason.PUBLISHER, now_ns, detail=NOT_FOLLOWED)

    def watch(self, now_ns: int) -> None:
        """Hold while plans are not sure, too late, or do not come."""
        if not self.streaks.trusted:
            self._stopping.hold(Reason.LOW_CONFIDENCE, now_ns, count=False)
        late = self.throttle.late(now_ns)
        if late:
            self._stopping.hold(Reason.THROTTLED, now_ns, detail=late)
        if now_ns >= self.due_ns():
            self._stopping.hold(Reason.NO_CHUNK, now_ns)

    def _weigh(self, plan: Plan, now_ns: int) -> None:
        """Note the confidence of a plan, and how long its inference took."""
        if self.streaks.is_low(plan.confidence):
            self._counts.add(Reason.LOW_CONFIDENCE, now_ns)
        if self.streaks.weigh(plan.confidence) is Trust.NONE:
            self._stopping.hold(Reason.LOW_CONFIDENCE, now_ns, count=False)
        self.throttle.accept(plan.trace, now_ns)
        self.pace(now_ns)

    def pace(self, now_ns: int) -> None:
        """Be slow while low confidence or lowered clocks ask for it, else at full speed."""
        machine, throttled = self._machine, self.throttle.reasons(now_ns)
        if throttled:
            machine.raise_event(Event.SLOW, now_ns, cause(Reason.THROTTLED, throttled))
        elif self.streaks.slow:
            machine.raise_event(Event.SLOW, now_ns, Reason.LOW_CONFIDENCE.value)
        elif machine.state is State.SLOW:
            machine.raise_event(Event.NORMAL, now_ns, machine.over)

    def _speed(self, now_ns: int) -> float:
        """Return the factor of the velocity limits: soft start, and slow."""
        elapsed = now_ns - self.enabled_ns
        ramp = 1.0 if elapsed >= self._soft_ns else max(0.05, elapsed / self._soft_ns)
        return ramp * (self._slow_scale if self._machine.state is State.SLOW else 1.0)

    def _note_limits(self, now_ns: int) -> None:
        clamped, missed = self._motion.clamped.tolist(), self._motion.planner.held.tolist()
        if any(clamped):
            self._counts.add(Reason.CLAMPED, now_ns)
        held = [a or b for a, b in zip(clamped, missed)]
        for name, is_held in zip(self.clamps, held):
            self.clamps[name] += is_held
        if now_ns - self.enabled_ns >= self._soft_ns:
            self.plans += 1
            if any(held):
                self._counts.add(Reason.HELD_BACK, now_ns)
