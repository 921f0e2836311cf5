"""A gate under any string of events; the model of it is in ``gate_model``.

test_gate_fuzz lets hypothesis choose the events, long_strings a seed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gate_model import ALONE, BUTTON, OWN, PENDANT, Bug, Modelled, Source
from safety_world import MS, ROS, count
from state_model import Facts, Step, advance, may_enable, may_reset

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import Event

EVENTS: dict[str, tuple[Any, ...]] = {
    "plan": (0.05, -0.05, 0.02, -0.01, 0.06),
    "drive": (0.05, -0.05),
    "odd_plan": ("nan", "names", "late", "unsure"),
    "old_plan": ("",),
    "tick": (5, 20, 20, 20, 50, 200),
    "halfway": (3, 10),
    "second": ("",),
    "calm": ("",),
    "operator": ("", "", "mends nothing"),
    "button": ("pressed", "released", "silent"),
    "pendant": ("pressed", "released", "silent"),
    "own": ("pressed", "released", "silent"),
    "joints": (True, False),
    "arm": ("moves", "stands"),
    "command_state": ("well", "well", "silent", *ALONE),
    "cameras": ("well", "dark", "silent"),
    "bug": ("plan", "tick"),
    "clock": (0.2, -3600.0),
    "deactivate": ("", "and listen anew"),
    "service": ("stop", "press", "reset", "enable", "reset", "enable"),
}
"""Every event with what it may be about."""
UNENDED = "refused: the stop has not ended"
UNHEARD = "refused: joint_command_publisher has not heard yet where the arm stands"


class Strings(Modelled):
    """Each method is an event."""

    def do(self, name: str, argument: Any) -> None:
        """Let an event of :data:`EVENTS` happen, and compare."""
        self.counts[name] += 1
        getattr(self, name)(*([] if argument == "" else [argument]))
        self.after()

    def _rows(self, direction: float) -> np.ndarray:
        at = self.gate.motion.command(self.now)[0]
        return at + direction * np.arange(1, 9)[:, None] * [1.0, -0.5]

    def plan(self, direction: float) -> None:
        bug = "plan" in self.bugs
        self.malformed = self.malformed if bug else 0
        self._trip_if(bug)
        self.chunk(self._rows(direction))

    def drive(self, direction: float) -> None:
        """Let the arm move at speed, if it may."""
        for _ in range(3):
            self.plan(direction)
            self.tick(20)
            self.tick(30)

    def odd_plan(self, kind: str) -> None:
        changes = {
            "nan": {"positions": [float("nan")] * 16},
            "names": {"joint_names": ["x", "y"]},
            "late": {"start_ns": self.now - 60 * MS},
            "unsure": {"confidence": 0.01},
        }[kind]
        bug = "plan" in self.bugs
        if not bug:
            self.malformed = self.malformed + 1 if kind == "names" else 0
        if self.malformed >= 3 or (kind == "names" and self.malformed_latched and not bug):
            self.malformed_latched = True
            self._trip_if(True)
        self._trip_if(bug)
        self.chunk(self._rows(0.02), **changes)

    def old_plan(self) -> None:
        """Send a plan of before the last latch or enable."""
        if self.void < 0 or "plan" in self.bugs:
            return
        self.malformed = 0
        before = count(self, Reason.OLD_EPOCH)
        self.chunk(self._rows(0.02), epoch=self.void)  # take() looks at what comes of it
        assert count(self, Reason.OLD_EPOCH) == before + 1
        self.counts["old plans refused"] += 1

    def second(self) -> None:
        self.tick(1020)

    def calm(self) -> None:
        """Let all be well again."""
        for source in self.sources.values():
            source.says = False
        self.joints_talk, self.speed = True, 0.0
        self.cameras_say = self.publisher_says = "well"
        self.second()

    def operator(self, mends: str = "") -> None:
        """Let all be well, or only wait; then reset, then enable."""
        self.second() if mends else self.calm()
        self.after()
        self.service("reset")
        self.after()
        self.service("enable")

    def button(self, what: str) -> None:
        self._source(BUTTON, what)

    def pendant(self, what: str) -> None:
        if what != "silent":  # one that was never heard is none
            self.sources.setdefault(PENDANT, Source())
        if PENDANT in self.sources:
            self._source(PENDANT, what)

    def own(self, what: str) -> None:
        self._source(OWN, what)

    def _source(self, name: str, what: str) -> None:
        self.sources[name].says = {"pressed": True, "released": False, "silent": None}[what]
        self._heartbeat(name)

    def joints(self, talk: bool) -> None:
        self.joints_talk = talk

    def arm(self, what: str) -> None:
        self.speed = 0.5 if what == "moves" else 0.0

    def command_state(self, says: str) -> None:
        """Let the publisher say something else from now on."""
        self.publisher_says = says

    def cameras(self, say: str) -> None:
        self.cameras_say = say

    def bug(self, where: str) -> None:
        """Let the gate raise inside, once, at the next plan or tick."""
        part, method = {
            "plan": (self.gate.checks, "check"),
            "tick": (self.gate.following.throttle, "late"),
        }[where]
        if where in self.bugs:
            return
        self.bugs.append(where)

        def wrong(*_: object) -> Any:
            delattr(part, method)
            self.bugs.remove(where)
            if self.unsent:  # it is forgotten, and the stop that is sent begins on it
                self._cut()
            raise Bug

        setattr(part, method, wrong)

    def clock(self, seconds: float) -> None:
        """Set ROS time; the next tick finds it set back."""
        self._predict()
        self.take(self.gate.tick(self.now, self.now + ROS + round(seconds * 1e9)))

    def deactivate(self, then: str = "") -> None:
        self.step = advance(self.step, Event.DEACTIVATE, frozenset())
        self.take(self.gate.deactivate(self.now))
        if then:
            self.gate.estop.wait_anew(self.now)
            for source in self.sources.values():
                source.heard, source.heard_ns = None, self.now

    def service(self, name: str) -> None:
        gate, facts = self.gate, self._facts()
        pose = gate.motion.command(self.now)[0].copy()
        if name in ("stop", "press"):
            self.unsent = self.step is Step.ENABLED
            self._trip_if(True)
        ok, message = getattr(gate, name)(self.now)
        assert message
        if name == "reset":
            assert ok == (self.step is Step.AT_REST and may_reset(facts)), (message, facts)
            assert np.array_equal(pose, gate.motion.command(self.now)[0])
            self._granted(Event.RESET, ok, facts)
        if name == "enable":
            may = self.step is Step.RESET and may_enable(facts) and not self._cameras_bad()
            later = message == UNHEARD or (self.now < self.unclear_ns and message == UNENDED)
            assert ok == may or (may and later), (message, facts)
            self._granted(Event.ENABLE, ok, facts)

    def _granted(self, event: Event, ok: bool, facts: Facts) -> None:
        if not ok:
            return
        self.counts[f"{event.value}s"] += 1
        self.step = advance(self.step, event, facts)
        if event is Event.RESET:
            self.malformed_latched = False
        else:
            self.malformed, self.enabled_ns, self.void = 0, self.now, self.followed
