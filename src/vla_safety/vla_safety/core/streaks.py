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


class Streaks:
    """Counts plans in a row of one kind; a plan of another kind begins a streak anew."""

    def __init__(self, safety: Safety) -> None:
        self._shape_latch = safety.bad_shape_latch
        self._low = safety.low_confidence
        self.refused = 0
        self.begin()

    def begin(self) -> None:
        """Forget all streaks but that of refusals."""
        self._shape = self._finite = 0
        self._unsure = self._sure = 0

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
        """Return whether a plan of this confidence is followed slowly."""
        return confidence < self._low

    def weigh(self, low: bool) -> Trust:
        """Note whether a plan has low confidence; return what the last ones say together."""
        self._unsure = self._unsure + 1 if low else 0
        self._sure = 0 if low else self._sure + 1
        if self._unsure >= CONFIDENCE_TICKS:
            return Trust.LOW
        return Trust.SURE if self._sure >= CONFIDENCE_TICKS else Trust.UNDECIDED
