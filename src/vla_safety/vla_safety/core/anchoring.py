"""When the measured pose takes the place of the last command; only ever at a standstill."""

from __future__ import annotations

from typing import Any

import numpy as np

from vla_safety.core.limits import Array, Limits
from vla_safety.core.motion import Motion
from vla_safety.core.sources import JointWatch, vector

ANCHOR_SHARE = 0.05
"""The command jumps to the measured pose if a joint is off by more than this share of its range,
or by more than ANCHOR."""
ANCHOR = 0.02


class Anchoring:
    """Anchors the motion at the measured pose where that is due."""

    def __init__(self, limits: Limits, joints: JointWatch, motion: Motion) -> None:
        self._joints = joints
        self._motion = motion
        self._far = np.minimum(ANCHOR, ANCHOR_SHARE * (limits.q_max - limits.q_min))
        self._rest: Array | None = None

    def told(self, positions: Any, now_ns: int) -> None:
        """Take where the publisher's last command left the arm; anything else forgets it."""
        self._rest = vector(positions, len(self._far))

    def off(self, now_ns: int) -> bool:
        """Return whether the arm is not where it is commanded to be."""
        error = self._joints.error(self._motion.command(now_ns)[0])
        return bool((error > self._far).any())

    def enable(self, now_ns: int) -> None:
        """Begin where the arm is commanded to be, or at the measured pose.

        Where it is commanded to be is what the publisher says that its last command left; after
        a stop that the publisher made this is not where the gate's last path ended. To begin
        anywhere else would be a step, as an arm under load stands a little beside its command.
        An arm that is further away than a fallen behind one was moved: it begins where it is
        measured.
        """
        rest = self._rest
        if rest is not None and (self._joints.error(rest) <= self._joints.lag).all():
            if self._motion.path is None or (rest != self._motion.command(now_ns)[0]).any():
                self._motion.anchor(rest, now_ns)
        elif self._motion.path is None or self.off(now_ns):
            self._motion.anchor(self._measured(now_ns), now_ns)
        self._joints.off_ticks = self._joints.lag_ticks = 0

    def catch_up(self, now_ns: int) -> None:
        """After the arm fell behind and all is at rest, go on from where it stands.

        It falls behind when a path is lost on the way to it. From a standstill, and only from
        there, the measured pose may take the place of the last command.
        """
        if self._motion.at_rest(now_ns) and self._joints.still() and self.off(now_ns):
            self._motion.anchor(self._measured(now_ns), now_ns)
            self._joints.lag_ticks = 0

    def follow_by_hand(self, now_ns: int) -> None:
        """Before enable the command stays where the arm is, whoever moves it."""
        motion = self._motion
        if motion.path is None or (motion.at_rest(now_ns) and self.off(now_ns)):
            motion.anchor(self._measured(now_ns), now_ns)

    def _measured(self, now_ns: int) -> Array:
        """Return the measured pose (joints,), continuous joints in the turn of the command."""
        if self._motion.path is None:
            return self._joints.q
        return self._joints.near(self._motion.command(now_ns)[0])
