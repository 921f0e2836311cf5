"""What a fault is, and the injections that several of them share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from circle import SPEED
from rig import Rig

HELD = ("HOLD", "STOPPING", "LATCHED")
LATCHED = ("STOPPING", "LATCHED")


@dataclass(frozen=True)
class Fault:
    """A fault; ``inject`` returns when it was there [ns], ``heal`` takes it away again.

    ``bound`` [s] is that of the hazard table, and holds for what the controller commands. Where
    the table gives one period of the publisher for the decision the way to the arm comes on top,
    at most 30 ms. ``states``: one of these the gate must be in
    afterwards; ``reason``: what it must have counted. Both empty where the gate is the victim.
    ``door``: the gate is started so that it takes the fault, see :mod:`faulty_gate`;
    ``variant``: the robot file that it takes, see :mod:`variants`. ``speed`` [rad/s]: of the arm
    before the fault. ``rests``: the answer is a stop, else only to be slower. ``check`` returns
    in words what was wrong besides, empty when nothing was.
    """

    name: str
    what: str
    bound: float
    inject: Callable[[Rig], int]
    heal: Callable[[Rig], None] = lambda rig: None
    states: tuple[str, ...] = ()
    reason: str = ""
    door: bool = False
    variant: str = ""
    speed: float = SPEED
    rests: bool = True
    check: Callable[[Rig], str] = lambda rig: ""


def tampered(change: Callable[[Any], None]) -> Callable[[Rig], int]:
    """Change every plan from now on; the fault is there when the first one is sent."""

    def inject(rig: Rig) -> int:
        sent: list[int] = []

        def tamper(message: Any) -> Any:
            change(message)
            if not sent:
                sent.append(time.monotonic_ns())
            return message

        rig.source.tamper = tamper
        end = time.monotonic() + 1.0
        while not sent and time.monotonic() < end:
            time.sleep(0.001)
        return sent[0]

    return inject


def untampered(rig: Rig) -> None:
    """Send good plans again."""
    rig.source.tamper = lambda message: message


def plan(
    name: str, what: str, reason: str, change: Callable[[Any], None], *, latches: bool = False
) -> Fault:
    """Return the fault of a plan; the arm runs out the last good one and stops."""
    states = LATCHED if latches else HELD
    return Fault(name, what, 0.160, tampered(change), untampered, states, reason)


def said(words: str) -> Callable[[Rig], int]:
    """Return the injection of a fault through the gate's door."""
    return lambda rig: rig.say(words)
