"""What stands in the way of reset and of enable, in words for the operator."""

from __future__ import annotations

from vla_safety.core.cameras import CameraWatch
from vla_safety.core.motion import Motion
from vla_safety.core.publisher_watch import PublisherWatch
from vla_safety.core.reasons import Reason
from vla_safety.core.sources import EstopWatch, JointWatch
from vla_safety.core.state_machine import ENABLED, State

RESET_CLEAR_NS = 1_000_000_000
"""A cause must be away this long before reset is allowed."""


class Permits:
    """Reads the sources and the motion; changes nothing."""

    def __init__(
        self,
        joints: JointWatch,
        cameras: CameraWatch,
        estop: EstopWatch,
        publisher: PublisherWatch,
        motion: Motion,
        estop_required: bool,
    ) -> None:
        self._joints = joints
        self._cameras = cameras
        self._estop = estop
        self._publisher = publisher
        self._motion = motion
        self._required = estop_required

    def reset_blocked_by(
        self, state: State, latched: dict[Reason, int], seq: int, now_ns: int
    ) -> list[str]:
        """Return why reset would be refused now; empty outside STOPPING and LATCHED.

        ``latched`` says when each cause was last there, ``seq`` is of the last path sent.
        """
        if state not in (State.STOPPING, State.LATCHED):
            return []
        blocked = self._standing(seq, now_ns)
        for reason, last_ns in list(latched.items()):
            if now_ns - last_ns < RESET_CLEAR_NS:
                blocked.append(f"{reason.value} less than {RESET_CLEAR_NS * 1e-9:g} s ago")
        return blocked

    def enable_blocked_by(self, state: State, seq: int, begin_seq: int, now_ns: int) -> list[str]:
        """Return why enable would be refused now.

        ``seq`` is of the last path sent, ``begin_seq`` of the one that says where motion begins.
        """
        if state in ENABLED:
            return [f"enabled already: state {state.name}"]
        if state in (State.STOPPING, State.LATCHED):
            return [f"state {state.name}: ~/reset first"]
        blocked = self._standing(seq, now_ns)
        if self._joints.known and self._joints.outside():
            blocked.append("a joint is measured outside its position limits")
        if 0 < self._publisher.seq < begin_seq:
            blocked.append("joint_command_publisher has not heard yet where the arm stands")
        blocked += [f"{reason.value}: {text}" for reason, text in self._cameras.faults(now_ns)]
        if self._required and not self._estop.seen:
            why = "safety.estop_required is true"
            blocked.append(f"no e-stop heartbeat was seen on /vla/estop: {why}")
        return blocked

    def _standing(self, seq: int, now_ns: int) -> list[str]:
        blocked = [f"e-stop pressed: {name}" for name in self._estop.pressed()]
        blocked += [f"e-stop heartbeat lost: {name}" for name in self._estop.silent(now_ns)]
        blocked += [f"e-stop not heard yet: {name}" for name in self._estop.unheard()]
        if self._joints.stale(now_ns):
            blocked.append("joint states missing or stale")
        elif not self._joints.still():
            blocked.append("the arm moves")
        if not self._motion.at_rest(now_ns):
            blocked.append("the stop has not ended")
        blocked += self._publisher.blocked_by(seq, now_ns)
        return blocked
