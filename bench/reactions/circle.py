"""What stands for a pipeline and a button: plans on a circle, and a heartbeat."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
from harness import PlanSource, Sample, Watcher
from sensors import put_before_others
from vla_msgs.msg import EmergencyStop

SPEED = 0.4
RADIUS = 0.35
MOVING = ("ACTIVE", "SLOW")


class Circle(PlanSource):
    """Flawless plans at 20 Hz: joint 1 and the last joint of the arm on a circle.

    The speed of both together never changes, so that a reaction can be seen at any time. Until
    the gate lets plans pass, the plan begins where the arm stands. All other joints go to
    ``posture`` first, as slowly as ``APPROACH`` [rad/s].
    """

    APPROACH = 0.4

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(watcher)
        grippers = set(watcher.robot.identity.grippers)
        arm = [i for i, name in enumerate(watcher.robot.joints) if name not in grippers]
        self._pair = (arm[0], arm[-1])
        self._centre: np.ndarray | None = None
        self.posture = self.home.copy()
        self.speed = SPEED
        self._begun_ns = self.start_ns
        self._drift: tuple[int, np.ndarray] = (0, np.zeros(len(self.home)))
        self.paused = False
        self.shift = 0.0
        """[s] by which the next plan comes later, once: another phase towards all other loops."""

    def target(self, ns: int) -> np.ndarray:
        """Return the joints at a time."""
        elapsed = (ns - self.start_ns) * 1e-9
        angle = elapsed * self.speed / RADIUS
        centre = self.home if self._centre is None else self._centre
        way = self.APPROACH * max(0.0, (ns - self._begun_ns) * 1e-9)
        rest = np.clip(self.posture - centre, -way, way)
        rest[list(self._pair)] = 0.0
        since_ns, drift = self._drift
        result = centre + rest + drift * max(0.0, (ns - since_ns) * 1e-9)
        result[self._pair[0]] += RADIUS * np.cos(angle)
        result[self._pair[1]] += RADIUS * np.sin(angle)
        return result

    def on_circle(self, sample: Sample) -> float:
        """Return the speed [rad/s] of the two joints of the circle; the others may leave it."""
        return float(np.linalg.norm(sample.velocity[list(self._pair)]))

    def drift(self, **speeds: float) -> None:
        """Let joints leave for somewhere at so many rad/s, from now on; none: end that."""
        names = self.watcher.robot.joints
        self._drift = (time.monotonic_ns(), np.array([speeds.get(name, 0.0) for name in names]))

    def message(self, now_ns: int) -> Any:
        """Return the plan from ``now_ns`` on."""
        watcher = self.watcher
        if watcher.safety is not None and watcher.safety.min_epoch > self.epoch:
            self.epoch, self.seq = watcher.safety.min_epoch, 0
        waiting = self._centre is None or watcher.state not in MOVING
        if waiting and watcher.desired:
            self._begin_at(watcher.desired[-1].position, now_ns)
        return super().message(now_ns)

    def _begin_at(self, q: np.ndarray, now_ns: int) -> None:
        """Lay the circle so that it passes through ``q`` now, its centre as near home as can be."""
        x, y = (q[i] - self.home[i] for i in self._pair)
        angle = float(np.arctan2(y, x))
        self._centre = q.copy()
        self._centre[self._pair[0]] -= RADIUS * np.cos(angle)
        self._centre[self._pair[1]] -= RADIUS * np.sin(angle)
        self.start_ns = now_ns - round(angle * RADIUS / self.speed * 1e9)
        self._begun_ns = now_ns
        self._drift = (now_ns, self._drift[1])

    def run(self) -> None:
        """Send until told to stop."""
        put_before_others()
        deadline = time.monotonic()
        while self.running:
            message = None if self.paused else self.tamper(self.message(time.monotonic_ns()))
            if message is not None and self.watcher.node.context.ok():
                self.watcher.plan.publish(message)
            shift, self.shift = self.shift, 0.0
            deadline = max(deadline + 0.05, time.monotonic() - 0.05) + shift
            time.sleep(max(0.0, deadline - time.monotonic()))


class Button(threading.Thread):
    """An emergency stop button with its heartbeat."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(daemon=True)
        self.watcher = watcher
        self.pressed = False
        self.silent = False
        self.running = True
        self.last_ns = 0
        self._lock = threading.Lock()

    def send(self) -> int:
        """Send a heartbeat now; return when. After a last one, while silent, none comes."""
        with self._lock:
            return self._send()

    def _send(self) -> int:
        self.last_ns = time.monotonic_ns()
        self.watcher.estop.publish(EmergencyStop(source="button", pressed=self.pressed))
        return self.last_ns

    def run(self) -> None:
        """Send until told to stop."""
        put_before_others()
        while self.running:
            with self._lock:
                if not self.silent:
                    self._send()
            time.sleep(0.04)
