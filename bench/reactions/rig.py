"""The lower half of the graph, in motion, and brought back into motion after each fault."""

from __future__ import annotations

import os
import random
import resource
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from circle import MOVING, Button, Circle
from harness import (
    Graph,
    Sample,
    assert_within_limits,
    wait,
)
from sensor_msgs.msg import JointState
from space import Space
from stalls import Stalls
from stand_in import StandIn
from variants import VARIANTS

from vla_bringup.child import Child
from vla_bringup.core.graph import Options, processes
from vla_common import qos

HERE = Path(__file__).resolve().parent
LEFT_OUT = ("pipeline", "system_monitor")
SLOWER = 0.95
"""Of the cruising speed: below it the commanded motion has changed."""
REST = 1e-3
RESTARTS = 6
"""Of processes, until the arm moves again; one more is of one that cannot start."""
AROUND_NS = 50_000_000
"""Before a fault, and after the reaction, in which a machine that stands still disturbs it."""


@dataclass(frozen=True)
class Measured:
    """A joint state received at ``ns``; ``error``: how far from what is desired, at most."""

    ns: int
    q: np.ndarray
    error: float


class Rig:
    """The running graph; a context manager that leaves no process behind.

    With ``door`` the gate runs in a process that takes faults: see :mod:`faulty_gate`.
    ``variant``: one of :data:`variants.VARIANTS`, for hazards that need another robot file.
    """

    def __init__(self, domain: int, *, door: bool = False, variant: str = "") -> None:
        self.variant = VARIANTS[variant]
        self._robot_file = self.variant.written(Path(tempfile.mkdtemp(prefix="vla_robot_")))
        self.graph = Graph(domain, LEFT_OUT, self._robot_file)
        self.stand_in: StandIn | None = None  # in place of the simulated arm's own parameters
        self.stalls: Stalls | None = None
        self.restarts = self._restarts_until = 0
        self.measured: deque[Measured] = deque(maxlen=500)
        self.second: Any = None  # publisher of commands besides the right one
        self._door = ""
        self._random = random.Random(1)
        if door:
            self._door = str(Path(tempfile.mkdtemp(prefix="vla_door_")) / "socket")
            self._use_door(domain)

    def _use_door(self, domain: int) -> None:
        every = processes(self.graph.robot, self._robot_file, Options())
        gate = next(process for process in every if process.name == "safety_gate")
        environment = {
            **os.environ,
            **gate.environment,
            "ROS_DOMAIN_ID": str(domain),
            "VLA_FAULT_DOOR": self._door,
        }
        words = [sys.executable, str(HERE / "faulty_gate.py"), *gate.ros_arguments()]
        log = self.graph.logs / "safety_gate.log"
        self.graph.children["safety_gate"] = Child("safety_gate", words, log, environment)

    def __enter__(self) -> Rig:
        """Start everything."""
        self.graph.__enter__()
        try:
            self.watcher = self.graph.watcher
            self.source, self.button = Circle(self.watcher), Button(self.watcher)
            topic = self.graph.robot.controller.joint_states
            self.watcher.node.create_subscription(
                JointState, topic, self._on_joints, qos.JOINT_STATES
            )
            for name, value in self.variant.posture.items():
                self.source.posture[self.graph.robot.joints.index(name)] = value
            if self.variant.stand_in:
                self.stand_in = StandIn(self.graph.context, self.graph.robot)
            self.space = Space(self.graph.robot)
            self.stalls = Stalls()
            self.graph.wait_active(60.0)
            self.button.start()
            self.source.start()
        except BaseException:
            if self.stalls is not None:
                self.stalls.close()
            self.graph.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything."""
        self.source.running = self.button.running = False
        for name in self.graph.children:
            self.signal(name, signal.SIGCONT)
        if self.stand_in is not None:
            self.stand_in.leave()
        if self.stalls is not None:
            self.stalls.close()
        self.graph.__exit__()

    def _on_joints(self, message: JointState) -> None:
        if self.watcher.desired:
            q = np.array(message.position)[self.watcher.order(message)]
            error = float(np.abs(q - self.watcher.desired[-1].position).max())
            self.measured.append(Measured(time.monotonic_ns(), q, error))

    # --- motion -------------------------------------------------------------------------------
    def cruising(self) -> bool:
        """Return whether the arm was commanded at the full speed lately."""
        recent = self.watcher.desired[-20:]
        return (
            len(recent) == 20
            and time.monotonic_ns() - recent[-1].ns < 50_000_000
            and self.watcher.state in MOVING
            and all(abs(speed(s) / self.source.speed - 1.0) < 0.05 for s in recent)
        )

    def ready(self, timeout: float = 40.0) -> None:
        """Bring the arm into motion, as an operator would: reset, enable; stop where that hangs."""
        end = time.monotonic() + timeout
        still_since = time.monotonic()
        self._restarts_until = self.restarts + RESTARTS
        self.source.shift = self._random.uniform(0.0, 0.05)
        while not self.cruising():
            if time.monotonic() > end:
                raise RuntimeError(f"the arm does not move again: {self.graph.explain()}")
            self._restart_dead()
            state, now = self.watcher.state, time.monotonic()
            if self.watcher.speed() > 0.1 or state not in (*MOVING, "HOLD"):
                still_since = now
            try:
                if state == "LATCHED" and not self.watcher.safety.reset_blocked_by:
                    self.watcher.call("reset")
                elif state in ("READY", "INACTIVE"):
                    self.watcher.call("enable")
                elif now - still_since > 2.5:
                    still_since = now
                    self.watcher.call("stop")
            except AssertionError:
                pass  # no answer: it is being started
            time.sleep(0.02)
        time.sleep(self._random.uniform(0.0, 0.05))  # anywhere between two plans
        del self.watcher.desired[:-600]

    def _restart_dead(self) -> None:
        for child in self.graph.children.values():
            if child.code is not None:
                if self.restarts == self._restarts_until:
                    why = f"{child.name} ends again and again: {self.graph.explain()}"
                    raise RuntimeError(why)
                if self._door and child.name == "safety_gate":
                    Path(self._door).unlink(missing_ok=True)
                self.restarts += 1
                child.start()
                if child.name == "safety_gate":
                    self.watcher.safety = None
                    time.sleep(0.2)

    def reaction(
        self, fault_ns: int, patience: float, rests: bool = True
    ) -> tuple[float, float | None] | None:
        """Return the seconds from the fault to the first slowing and to rest; None: neither.

        By the controller's own stamps; the slowing is the one that led to rest. Waits up to
        ``patience`` [s] for the arm to rest, or, with ``rests`` False, to slow down.
        """
        fault = (time.time_ns() - time.monotonic_ns() + fault_ns) * 1e-9
        end = fault_ns * 1e-9 + patience
        while True:
            samples = [s for s in self.watcher.desired[-2000:] if s.at > fault]
            slow = SLOWER * self.source.speed
            slowed = [self.source.on_circle(sample) < slow for sample in samples]
            rest = next((i for i, s in enumerate(samples) if speed(s) < REST), None)
            if rest is not None:  # a moment of slowness that passed was no stop
                begun = rest - slowed[rest::-1].index(False) + 1 if False in slowed[:rest] else 0
                return samples[begun].at - fault, samples[rest].at - fault
            if not rests and True in slowed:
                return samples[slowed.index(True)].at - fault, None
            if time.monotonic() > end:
                return None
            time.sleep(0.01)

    def stood_still(self, fault_ns: int, seconds: float) -> float:
        """Return for how long [s] the machine stood still around a fault; 0: it did not.

        ``seconds``: from the fault to the reaction.
        """
        assert self.stalls is not None
        return self.stalls.during(fault_ns - AROUND_NS, fault_ns + round(seconds * 1e9) + AROUND_NS)

    def seen(self, fault_ns: int) -> str:
        """Return in words what came after a fault: how the arm moved, what the gate said."""
        after = self.watcher.after(fault_ns)
        speeds = [round(speed(sample), 3) for sample in after[:: max(1, len(after) // 20)]]
        return f"{len(after)} desired states, speeds {speeds}; {self.graph.explain()}"

    def reached(self, states: tuple[str, ...], timeout: float = 1.0) -> bool:
        """Return whether the gate comes to one of these states."""
        return self._soon(lambda: self.watcher.state in states, timeout)

    def counted(self, reason: str, before: int, timeout: float = 1.5) -> bool:
        """Return whether the gate counts a reason oftener than before."""
        return self._soon(lambda: self.watcher.counts.get(reason, 0) > before, timeout)

    @staticmethod
    def _soon(condition: Callable[[], bool], timeout: float) -> bool:
        try:
            wait(condition, timeout, "")
        except AssertionError:
            return False
        return True

    def outside_limits(self) -> str:
        """Return what went beyond the limits around the last fault; empty: nothing."""
        try:
            assert_within_limits(self.watcher.desired[-800:], self.graph.robot)
        except AssertionError as error:
            return str(error)
        return ""

    # --- faults -------------------------------------------------------------------------------
    def signal(self, name: str, number: signal.Signals) -> int:
        """Send a signal to a process; return when."""
        return self.graph.kill(name, number)

    def say(self, words: str) -> int:
        """Send words to the gate's door; return when."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            now_ns = time.monotonic_ns()
            door.sendto(words.encode(), self._door)
            return now_ns

    def set(self, name: str, value: str | float) -> int:
        """Set a parameter of the simulated arm; return when it was asked for."""
        now_ns = time.monotonic_ns()
        self.watcher.set_parameter("/sim_arm", name, value)
        return now_ns

    def silence(self, streams: str) -> int:
        """Silence streams of the simulated arm; empty: none. Return when the last one came."""
        self.set("silent", streams)
        time.sleep(0.005)
        return self.measured[-1].ns

    def since(self, begun_ns: int, condition: Callable[[Measured], bool]) -> int:
        """Return when the first measurement after ``begun_ns`` came of which that is true."""
        found: list[int] = []

        def look() -> bool:
            new = [m for m in list(self.measured) if m.ns > begun_ns and condition(m)]
            found[:] = [m.ns for m in new[:1]]
            return bool(found)

        wait(look, 2.0, "a measurement of the fault")
        return found[0]

    def may_write(self, allowed: bool) -> None:
        """Let no file of gate and publisher grow, as on a full disk; or let them grow again."""
        for name in ("safety_gate", "joint_command_publisher"):
            pid = self.graph.children[name].pid
            if pid is not None:
                hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)[1]
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard if allowed else 0, hard))


def speed(sample: Sample) -> float:
    """Return the speed of all joints together [rad/s]."""
    return float(np.linalg.norm(sample.velocity))
