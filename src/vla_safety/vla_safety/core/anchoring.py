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
STAYS = 1.3
"""Of the distance beyond which an arm was moved: so much further, where it was not before."""

SETTLES_NS = 100_000_000
"""For so long the arm must have been measured still until it has come to rest: below the speed at
which a joint counts as still it creeps on for some hundredths of a second."""


class Anchoring:
    """Anchors the motion at the measured pose where that is due.

    Grippers do not say whether the arm was moved, and keep their command where it is known: one
    that holds something stands beside it, and would let go.
    """

    def __init__(self, limits: Limits, joints: JointWatch, motion: Motion) -> None:
        self._joints = joints
        self._motion = motion
        self._gripper = limits.gripper
        self._far = np.minimum(ANCHOR, ANCHOR_SHARE * (limits.q_max - limits.q_min))
        self._rest: Array | None = None
        self._commanded = False  # motion begins at the last command, not at the measured pose
        self._placed = False  # where the arm came to rest since the last enable, by measurement
        self._still_ns: int | None = None  # since when it is measured still, but not placed yet

    def begin(self) -> None:
        """Note an enable: what was known of where the arm stands is no longer true."""
        self._rest, self._placed, self._still_ns = None, False, None

    def told(self, positions: Any, now_ns: int) -> None:
        """Take where the publisher's last command left the arm; anything else forgets it."""
        self._rest = vector(positions, len(self._far))

    @property
    def left(self) -> bool:
        """Whether the publisher says where its last command left the arm."""
        return self._rest is not None

    def off(self, now_ns: int, *, grippers: bool = False) -> bool:
        """Return whether the arm is not where it is commanded to be; grippers count if asked."""
        far = self._joints.error(self._motion.command(now_ns)[0]) > self._far
        return bool((far if grippers else far & ~self._gripper).any())

    def before_enable(self, now_ns: int) -> bool:
        """Keep the command where motion is to begin; return whether that has changed.

        That is where the arm is commanded to be, as the publisher says that its last command left
        it; after a stop that the publisher made this is not where the gate's last path ended. To
        begin anywhere else would be a step, as an arm under load stands a little beside its
        command. An arm that is further away than one that fell behind was moved, whoever did it:
        motion begins where it is measured, its grippers apart. So it does, all of it, where the
        publisher has nothing to say, as it was started anew: nobody knows then which of the last
        paths the arm followed. There it begins once and for all as soon as the arm has settled.
        """
        motion, rest = self._motion, self._rest
        if self._joints.stale(now_ns) or not motion.at_rest(now_ns):
            return False
        near = self._joints.lag * (STAYS if self._commanded else 1.0)
        self._commanded = rest is not None and self._is_near(rest, near)
        placed = self._placed or rest is not None
        if rest is not None and self._commanded:
            start, self._placed, self._still_ns = rest, False, None
        elif motion.path is None or self.off(now_ns, grippers=rest is None) or not placed:
            start, self._placed = self._measured(now_ns), self._settled(now_ns)
        else:
            return False
        start = motion.standing(start if rest is None else np.where(self._gripper, rest, start))
        if motion.path is not None and (start == motion.command(now_ns)[0]).all():
            return False
        motion.anchor(start, now_ns)
        return True

    def _settled(self, now_ns: int) -> bool:
        """Return whether the arm has been still for long enough, since it was last placed."""
        if self._placed or not self._joints.still():
            self._still_ns = None
        elif self._still_ns is None:
            self._still_ns = now_ns
        return self._still_ns is not None and now_ns - self._still_ns >= SETTLES_NS

    def catch_up(self, now_ns: int, *, moved_by_others: bool = False) -> bool:
        """After the arm fell behind and all is at rest, go on from where it stands.

        Returns whether the command has changed.

        It falls behind when a path is lost on the way to it. From a standstill, and only from
        there, the measured pose may take the place of the last command. ``moved_by_others``: in a
        dry run the arm follows none of the commands, and need not stand for that; nor do grippers.
        """
        if self._joints.stale(now_ns) or not self._motion.at_rest(now_ns):
            return False
        still = moved_by_others or self._joints.still()
        if not (still and self.off(now_ns, grippers=moved_by_others)):
            return False
        there = self._measured(now_ns)
        if not moved_by_others:
            there = np.where(self._gripper, self._motion.command(now_ns)[0], there)
        self._motion.anchor(there, now_ns, measured=True)
        self._joints.lag_ticks = 0
        return True

    def stand_with(self, now_ns: int) -> bool:
        """While the arm stands after a stop of the publisher's own, stand where it left it.

        Returns whether the command has changed.
        """
        rest, motion = self._rest, self._motion
        if rest is None or not motion.at_rest(now_ns):
            return False
        rest = motion.standing(rest)
        if (rest == motion.command(now_ns)[0]).all():
            return False
        motion.anchor(rest, now_ns)
        return True

    def _is_near(self, q: Array, near: float) -> bool:
        """Return whether the arm is measured within ``near`` of ``q`` (joints,)."""
        return bool((self._gripper | (self._joints.error(q) <= near)).all())

    def _measured(self, now_ns: int) -> Array:
        """Return the measured pose (joints,), continuous joints in the turn of the command.

        That of the publisher's last command, where there is none of the gate's.
        """
        if self._motion.path is not None:
            return self._joints.near(self._motion.command(now_ns)[0])
        return self._joints.q if self._rest is None else self._joints.near(self._rest)
