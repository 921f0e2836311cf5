"""A gate whose every source can fail, and a model that knows what must come of it.

The model is told what the sources say, and never asks the gate why: from that alone it knows when
the gate must latch, and when reset and enable are granted. ``state_model`` has the order in which
the operator's steps count; ``event_strings`` has what can happen.
"""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass

import numpy as np
from gate_fuzz import Judge
from safety_world import MS, ROS, World, make_robot
from state_model import (
    DEAD,
    MOVES,
    NOT_ENABLED,
    PRESSED,
    RECENT,
    STALE,
    STOPPED,
    UNARMED,
    UNENDED,
    WAS_ENABLED,
    Facts,
    Step,
    advance,
)

from vla_safety.core.state_machine import MOVING, Event, State
from vla_safety.core.values import Output, SafeAction

OWN, BUTTON, PENDANT = "the gate's own", "button", "pendant"
HEARTBEAT_NS, JOINT_NS, PUBLISHER_NS, CAMERA_NS = (ms * MS for ms in (125, 30, 250, 150))
PAUSE_NS, JOINT_AFTER_PAUSE_NS = 15 * MS, 50 * MS
SECOND_NS = 1000 * MS
STILL = 0.03  # [rad/s] 2 % of what the joints may do
NEAR = 0.02  # [rad] an arm that is measured so near is where it is commanded to be
WAITING, ARMED, FOLLOWING, GAVE_UP = range(4)
ALONE: dict[str, tuple[int, list[str]]] = {
    "waiting": (WAITING, []), "armed": (ARMED, []), "following": (FOLLOWING, []),
    "gave up": (GAVE_UP, []), "problem": (FOLLOWING, ["two publishers"]),
    "problem while armed": (ARMED, ["two publishers"]),
}  # fmt: skip
"""What a publisher says that does not do as it should."""


class Bug(Exception):
    """Raised inside the gate on purpose."""


@functools.cache
def robot():
    """Return the robot of all strings."""
    return make_robot(2, soft_start_ms=100.0)


@dataclass
class Source:
    """An emergency stop source: what it says, and what was heard of it."""

    says: bool | None = False  # None: nothing
    heard: bool | None = False  # None: it has to be heard anew
    heard_ns: int = 0


class Modelled(World):
    """Every output is judged as it comes, and every state after each event."""

    def __init__(self) -> None:
        super().__init__(robot())
        self.step = Step.RESET
        self.counts: Counter[str] = Counter()
        self.speed = 0.0
        self.cameras_say, self.publisher_says = "well", "well"
        self.bugs: list[str] = []
        self.judge = Judge(self)
        self.wrong: list[str] = []
        self.stood = np.zeros(2)  # where the last path ends
        self.unsent = False  # the path of a stop that was asked for
        self.joint_ns = self.camera_ns = self.publisher_ns = self.followed_ns = -1
        self.measured, self.mode, self.problems, self.dark = 0.0, WAITING, [""], False
        self.enabled_ns = self.begins_ns = self.ends_ns = self.unclear_ns = 0
        self.cause_ns = -SECOND_NS
        self.looked_ns = self.resumed_ns = -1  # when the gate ran, and again after a pause
        self.malformed, self.malformed_latched = 0, False
        self.followed = self.void = -1  # the newest epoch that was followed, that is void
        self.gate.estop.expect(OWN, self.now)
        self.sources = {name: Source(heard_ns=self.now) for name in (OWN, BUTTON)}
        self._heartbeats()
        self.tick(20)

    # --- what is told ---------------------------------------------------------------------------
    def joint_state(self) -> None:
        v = np.array([0.0, self.speed])
        if self.gate.motion.path is not None:
            self.q = self.gate.motion.command(self.now)[0]
            v += self.gate.motion.command(self.now)[1]
        self.gate.on_joint_state(self.robot.joints, self.q.tolist(), v.tolist(), self.now)
        self.joint_ns, self.measured = self.now, float(np.abs(v).max())

    def camera_health(self, **changes) -> Output:
        if self.cameras_say == "silent":
            return Output()
        self.camera_ns, self.dark = self.now, self.cameras_say == "dark"
        return super().camera_health(dark=[10 * self.dark], **changes)

    def publisher(self) -> None:
        if self.publisher_says == "silent":
            return
        well = FOLLOWING if self.gate.state in WAS_ENABLED | {State.STOPPING} else ARMED
        self.mode, self.problems = ALONE.get(self.publisher_says, (well, []))
        self.publisher_ns = self.now
        if self.mode == FOLLOWING:
            self.followed_ns = self.now
        self.gate.on_command_state(self.mode, "", self.gate.announcer.seq, self.problems, self.now)

    def _heartbeats(self) -> None:
        for name in self.sources:
            self._heartbeat(name)

    def _heartbeat(self, name: str) -> None:
        source, gate = self.sources[name], self.gate
        if source.says is None:
            return
        source.heard, source.heard_ns = source.says, self.now
        self._trip_if(self._sources_bad())
        own = name == OWN
        told = (source.says, self.now) if own else (name, source.says, self.now)
        self.take(gate.on_own_estop(*told) if own else gate.on_estop(*told))

    # --- what the model knows -------------------------------------------------------------------
    def _dead(self) -> bool:
        return any(self.now - s.heard_ns > HEARTBEAT_NS for s in self.sources.values())

    def _sources_bad(self) -> bool:
        return self._dead() or any(source.heard for source in self.sources.values())

    def _publisher_bad(self) -> bool:
        if self.step is not Step.ENABLED:
            return False
        if self.now - self.publisher_ns > PUBLISHER_NS:
            return True
        if self.mode == FOLLOWING:
            return bool(self.problems)
        begins = self.followed_ns < self.enabled_ns >= self.now - PUBLISHER_NS
        return not (self.mode == ARMED and begins)

    def _cameras_bad(self) -> bool:
        return self.dark or self.now - self.camera_ns > CAMERA_NS

    def _joints_old(self) -> bool:
        paused = self.resumed_ns >= self.joint_ns
        return self.now - self.joint_ns > (JOINT_AFTER_PAUSE_NS if paused else JOINT_NS)

    def _facts(self) -> Facts:
        armed = self.mode == ARMED and not self.problems
        waits = any(source.heard is None for source in self.sources.values())
        given = {
            PRESSED: waits or any(source.heard for source in self.sources.values()),
            DEAD: self._dead(),
            STALE: self._joints_old(),
            MOVES: self.measured > STILL,
            UNENDED: self.now < self.ends_ns,
            UNARMED: not armed or self.now - self.publisher_ns > PUBLISHER_NS,
            RECENT: self.now - self.cause_ns < SECOND_NS,
        }
        return frozenset(fact for fact, there in given.items() if there)

    def _trip_if(self, bad: bool) -> None:
        """Note that the gate must stop now, or stay stopped, if there is a cause."""
        if not bad:
            return
        self.cause_ns = self.now
        if self.step not in (Step.TRIPPED, Step.AT_REST):
            self.counts["latches"] += 1
            self.void = self.followed
        self.step = advance(self.step, Event.TRIP, frozenset())

    # --- time ------------------------------------------------------------------------------------
    def tick(self, ms: float = 20.0) -> Output:
        self._wait(ms)
        if self.joints_talk:
            self.joint_state()
        self.camera_health()
        self.publisher()
        self._predict()
        output = self.take(self.gate.tick(self.now, self.now + ROS))
        self._nothing_seen()
        self.publisher()
        return output

    def halfway(self, ms: float) -> None:
        self.now += round(ms * MS)
        self._predict()
        self.take(self.gate.watch(self.now, self.now + ROS))
        self._nothing_seen()

    def _wait(self, ms: float) -> None:
        """Let time pass; heartbeats go on meanwhile."""
        while ms > 0:
            self.now += round(min(ms, 120) * MS)
            ms -= 120
            self._heartbeats()

    def _predict(self) -> None:
        """Note what the gate, which runs now, must find."""
        if self.looked_ns >= 0 and self.now - self.looked_ns > PAUSE_NS:
            self.resumed_ns = self.now
        self.looked_ns = self.now
        self._trip_if(self._sources_bad() or self._publisher_bad() or "tick" in self.bugs)

    def _nothing_seen(self) -> None:
        """Check that nothing passes while the gate has no eyes."""
        blind = self._cameras_bad() or self._joints_old()
        assert not blind or self.gate.state not in MOVING

    # --- what comes out -------------------------------------------------------------------------
    def take(self, output: Output) -> Output:
        action = output.action
        if action is not None:
            speeds = np.abs(action.velocities)
            assert not speeds[-1].any()
            if action.state in MOVING:
                assert self.step is Step.ENABLED, f"a path although {self.step.value}"
                assert action.epoch > self.void, f"epoch {action.epoch} is void"
                self.followed = max(self.followed, action.epoch)
                again = " after a reset" if self.counts["resets"] else ""
                self.counts[f"paths{again}"] += bool(speeds.any())
            else:
                assert (np.diff(speeds, axis=0) <= 1e-9).all(), "a stop that speeds up"
            if action.state in (State.LATCHED, State.READY):
                assert not speeds.any(), f"motion while {action.state.name}"
            self._join(action.positions, action.state)
            self._note_end(action, bool(speeds.any()))
        super().take(output)
        self.judge.take(self)
        return output

    def _note_end(self, action: SafeAction, moves: bool) -> None:
        """Note when the motion that was told has ended."""
        end_ns = action.start_ns + (len(action.positions) - 1) * action.step_ns
        if moves:
            self.begins_ns = action.start_ns if self.now >= self.ends_ns else self.begins_ns
            self.ends_ns = end_ns
        elif self.now < self.begins_ns:  # called off; the gate may say so a little later
            self.ends_ns, self.unclear_ns = self.now, end_ns
        else:
            self.ends_ns = min(self.ends_ns, end_ns)

    def _join(self, rows: np.ndarray, state: State) -> None:
        """Begin a new motion where a gate that is not enabled says that it will begin.

        It is measured, perhaps while the arm still came to rest; nobody goes there.
        """
        elsewhere = np.abs(rows - self.stood).max()
        if state in NOT_ENABLED and self.now >= self.ends_ns and 0.0 < elsewhere < NEAR:
            self._cut()
        self.stood, self.unsent = rows[-1], False

    def _cut(self) -> None:
        self.wrong += self.judge.finish()
        self.judge = Judge(self)

    def after(self) -> None:
        """Compare the gate with the model, after every event."""
        gate = self.gate
        stopped = self.step in (Step.TRIPPED, Step.AT_REST)
        assert (gate.state in STOPPED) == stopped, f"{gate.state.name} although {self.step.value}"
        enabled = self.step is Step.ENABLED
        assert (gate.state in WAS_ENABLED) == enabled, f"{gate.state.name}, {self.step.value}"
        if gate.state is State.LATCHED:
            assert self.now >= self.ends_ns or not gate.motion.command(self.now)[1].any()
            self.step = Step.AT_REST
        if gate.state in (State.READY, State.LATCHED):
            assert not gate.motion.command(self.now)[1].any()
        assert gate.last_error is None or isinstance(gate.last_error, Bug), gate.last_error

    def finish(self) -> None:
        """Judge all paths, and whether each change was told, in its order."""
        self.halfway(3)
        machine = self.gate.machine
        assert [c.transitions for c in self.changes] == list(range(1, machine.transitions + 1))
        for before, change in zip([State.INACTIVE, *(c.state for c in self.changes)], self.changes):
            assert change.previous is before
        self._cut()
        assert self.wrong == []
