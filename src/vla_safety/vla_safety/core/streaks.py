"""What happened several times in a row to the plans: faults, and low confidence."""

from __future__ import annotations

from enum import Enum

from vla_common.core.robot import Safety
from vla_safety.core.reasons import SHAPE_FAULTS, Reaction, Reason

CONFIDENCE_TICKS = 5
NON_FINITE_HOLD = 2


class Trust(Enum):
    """What the confidence of the last plans says."""

    UNDECIDED = 0
    LOW = 1
    SURE = 2
    NONE = 3


class Streaks:
    """Counts plans in a row of one kind; a plan of another kind begins a streak anew."""

    def __init__(self, safety: Safety) -> None:
        self._shape_latch = safety.bad_shape_latch
        self._low = safety.low_confidence
        self._none = safety.hold_confidence
        self.refused = 0
        self.begin()

    def begin(self) -> None:
        """Forget all streaks but that of refusals."""
        self._shape = self._finite = 0
        self._unsure = self._lost = self._sure = 0
        self.trusted = True
        self.slow = False

    def held_over(self) -> None:
        """Count plans that are not finite anew: the hold has ended."""
        self._finite = 0

    def refuse(self, reason: Reason, latched: bool) -> Reaction:
        """Note a refused plan; return what follows. ``latched``: this reason latched before."""
        self.refused += 1
        shape = reason in SHAPE_FAULTS
        self._shape = self._shape + 1 if shape else 0
        self._finite = self._finite + 1 if reason is Reason.NON_FINITE else 0
        if shape and (latched or self._shape >= self._shape_latch):
            return Reaction.LATCH
        return Reaction.HOLD if self._finite >= NON_FINITE_HOLD else Reaction.COUNT

    def accept(self) -> None:
        """Note a plan that is going to be followed."""
        self._shape = self._finite = self.refused = 0

    def is_low(self, confidence: float) -> bool:
        """Return whether a plan of this confidence is counted as one of low confidence."""
        return confidence < max(self._low, self._none)

    def weigh(self, confidence: float) -> Trust:
        """Note the confidence of a plan; return what the last ones say together.

        ``trusted`` is lost with :attr:`Trust.NONE`, and comes back with :attr:`Trust.SURE`;
        ``slow`` comes with :attr:`Trust.LOW`, and goes with :attr:`Trust.SURE`.
        """
        low = self.is_low(confidence)
        self._unsure = self._unsure + 1 if low else 0
        self._lost = self._lost + 1 if confidence < self._none else 0
        self._sure = 0 if low else self._sure + 1
        if self._lost >= CONFIDENCE_TICKS:
            self.trusted = False
        elif self._sure >= CONFIDENCE_TICKS:
            self.trusted = True
        if not self.trusted:
            return Trust.NONE
        if self._unsure >= CONFIDENCE_TICKS:
            self.slow = True
            return Trust.LOW
        if self._sure >= CONFIDENCE_TICKS:
            self.slow = False
            return Trust.SURE
        return Trust.UNDECIDED
