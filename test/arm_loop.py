"""Gate, publisher and an arm's controller in one loop without ROS, on a clock of its own.

Paths may be lost or late on their way to the publisher; the arm may be held fast. The controller
is the simulated arm's joint_trajectory_controller, which knows nothing of gate and publisher.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from vla_command.core.checks import Bounds
from vla_command.core.commander import Commander
from vla_command.core.path import SafePath
from vla_command.core.status import CODES
from vla_command.core.trajectory import Sample, Trajectory
from vla_common.core.robot import Robot, load
from vla_common.core.trace import Trace
from vla_safety.core.clearance import Clearance
from vla_safety.core.gate import Gate
from vla_safety.core.values import Output, RawChunk, SafeAction
from vla_sim.core.joint_trajectory import Desired, JointTrajectoryController, Point
from vla_sim.core.joint_trajectory import Trajectory as Message

MS = 1_000_000
ROS = 1_700_000_000_000_000_000
ROBOT_FILE = Path(__file__).resolve().parents[1] / "config" / "robots" / "sim_arm.yaml"


def robot() -> Robot:
    """Return the simulated arm."""
    return load(ROBOT_FILE)


def safe_path(action: SafeAction, names: tuple[str, ...]) -> SafePath:
    """Return what the publisher gets of a path."""
    return SafePath(
        epoch=action.epoch,
        seq=action.seq,
        joint_names=names,
        step_dt=action.step_ns * 1e-9,
        horizon=len(action.positions),
        tail_start=action.tail_start,
        start_ns=action.start_ns,
        positions=action.positions.ravel(),
        velocities=action.velocities.ravel(),
        valid_until_ns=action.valid_until_ns,
        state=int(action.state),
        measured=action.measured,
    )


@dataclass
class Link:
    """The way of paths to the publisher: a share that is lost, and by how much the rest is late.

    The ``first`` ones are lost in any case.
    """

    rng: np.random.Generator
    loss: float = 0.0
    first: int = 0
    late_ms: float = 0.5
    lost: int = 0

    def delay_ns(self) -> int | None:
        """Return how long a path takes; None: it never comes."""
        if self.first > 0 or self.rng.random() < self.loss:
            self.first -= 1
            self.lost += 1
            return None
        return round(self.rng.uniform(0.3, max(self.late_ms, 0.4)) * MS)


class Streamed:
    """A controller that takes one sample after the other: the arm stands where the last one is."""

    LASTS_NS = 30 * MS
    """A sample so old says nothing of the speed any more."""

    def __init__(self, q: np.ndarray, before: Streamed | None = None) -> None:
        self.samples: list[tuple[int, np.ndarray, np.ndarray]] = before.samples if before else []
        self.anew = [*before.anew, len(before.samples)] if before else [0]
        self._q = q.copy()
        self._v = np.zeros_like(q)

    def command(self, sample: Sample, now_ns: int) -> None:
        """Take a sample."""
        self._q, self._v = sample.position.copy(), sample.velocity.copy()
        self.samples.append((now_ns, self._q, self._v))

    def sample(self, now_ns: int) -> Desired:
        """Return where the arm is commanded to be."""
        lasts = bool(self.samples) and now_ns - self.samples[-1][0] <= self.LASTS_NS
        v = self._v if lasts else np.zeros_like(self._v)
        return Desired(self._q, v, np.zeros_like(v))

    def rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return times (samples,) [s], positions, velocities, and which ones begin anew."""
        anew = np.zeros(len(self.samples) + 1, dtype=bool)
        anew[self.anew] = True
        if not self.samples:
            return np.zeros(0), np.zeros((0, 0)), np.zeros((0, 0)), anew[:-1]
        times, q, v = zip(*self.samples)
        return np.array(times) * 1e-9, np.array(q), np.array(v), anew[:-1]


@dataclass
class Loop:
    """Runs in steps of 1 ms; the controller commands once in each."""

    link: Link
    soft_start_ms: float = 500.0
    arm: Robot = field(default_factory=robot)
    streamed: bool = False
    clearance: Clearance | None = None  # of the arm: the checks of its surroundings

    def __post_init__(self) -> None:
        """Set everything up at rest in the home pose."""
        safety = replace(self.arm.safety, soft_start_ms=self.soft_start_ms)
        self.arm = replace(self.arm, safety=safety)
        self.names = self.arm.joints
        self.gate = Gate(self.arm, self.clearance)
        lease_ns = round(self.arm.safety.lease_ms * 1e6)
        self.publisher = Commander(Bounds.of(self.arm), lease_ns, streamed=self.streamed)
        self.home = np.array(self.arm.identity.home, dtype=float)
        self.grippers = np.isin(self.names, self.arm.identity.grippers)
        self.controller: Any = None
        self.controller = self._controller(self.home)
        self.now = 10_000_000_000
        self.found = self.controller.sample(self.now)
        self.q = self.home.copy()  # measured
        self.held = False  # the arm is held fast: it stays where it is
        self.no_speeds = False  # the driver says that every joint stands, as some always do
        self.offset = np.zeros_like(self.home)  # of the arm from its command
        self.target = self.home.copy()  # where the plans lead
        self.speed = 0.4
        self.plan_at = self.home.copy()
        self.desired: list[np.ndarray] = []
        self.velocity: list[np.ndarray] = []
        self.states: list[str] = []
        self.seq = 0
        self._sent: list[tuple[int, SafePath]] = []
        self.gate.activate(self.now)

    def _controller(self, q: np.ndarray) -> JointTrajectoryController | Streamed:
        """Return a controller that was just started, with the arm at ``q``."""
        if self.streamed:
            return Streamed(q, self.controller)
        return JointTrajectoryController(self.names, q)

    def run(self, ms: int) -> None:
        """Let time pass."""
        for _ in range(ms):
            self.step()

    def step(self) -> None:
        """Let 1 ms pass."""
        self.now += MS
        now, tick = self.now, self.now // MS
        found = self.controller.sample(now)
        self.desired.append(found.q.copy())
        self.velocity.append(found.dq.copy())
        if not self.held:
            self.q = found.q + self.offset
        if tick % 10 == 3:
            speed = 0.0 * found.dq if self.held or self.no_speeds else found.dq
            self._take(self.gate.on_joint_state(self.names, self.q, speed, now))
        if tick % 50 == 7:
            self._cameras()
        if tick % 50 == 29:
            self._plan()
        if tick % 10 == 0:
            self._take(self.gate.tick(now, now + ROS))
        for at_ns, path in [sent for sent in self._sent if sent[0] <= now]:
            self._sent.remove((at_ns, path))
            self._command(self.publisher.on_path(path, now))
        if tick % 10 == 5:
            self._command(self.publisher.tick(now))
            self._tell()
        self.states.append(self.gate.state.name)

    def _take(self, output: Output) -> None:
        if output.action is not None:
            delay = self.link.delay_ns()
            if delay is not None:
                self._sent.append((self.now + delay, safe_path(output.action, self.names)))
        if output.lease is not None:
            self.publisher.on_gate(int(output.lease.state), output.lease.valid_until_ns, self.now)

    def _tell(self) -> None:
        watchdog = self.publisher.watchdog
        self._take(
            self.gate.on_command_state(
                CODES[watchdog.mode], watchdog.cause, self.publisher.heard, [], self.now
            )
        )
        self._take(self.gate.on_rest(self.publisher.rest, self.now))
        told = (self.publisher.followed, self.publisher.heard)
        self._take(self.gate.on_followed(*told, self.now))

    def _cameras(self) -> None:
        names = list(self.arm.camera_names)
        n = len(names)
        self._take(
            self.gate.on_camera_health(
                self.now, names, [20.0] * n, [1] * n, [0] * n, [""] * n, self.now
            )
        )

    def _plan(self) -> None:
        """Send a plan from where the last one was towards the target, at ``speed``."""
        step = self.speed * 0.05
        ahead = 1.5 * step if self.gate.state.name in ("ACTIVE", "SLOW") else 0.0
        self.plan_at = self.q + np.clip(self.plan_at - self.q, -ahead, ahead)
        rows, at = [], self.plan_at
        for _ in range(8):
            at = at + np.clip(self.target - at, -step, step)
            rows.append(at)
        self.plan_at = rows[0]
        self.seq += 1
        raw = RawChunk(
            epoch=max(1, self.gate.checks.min_epoch), seq=self.seq, joint_names=list(self.names),
            step_dt=0.05, horizon=8, start_ns=self.now + 50 * MS,
            positions=np.concatenate(rows), capture_ns=self.now - 60 * MS,
            stamp_ns=self.now - 60 * MS + ROS, confidence=1.0, trace=Trace(),
        )  # fmt: skip
        self._send_plan(raw)

    def _send_plan(self, raw: RawChunk) -> None:
        self._take(self.gate.on_chunk(raw, self.now))

    def _command(self, item: object) -> None:
        if isinstance(item, Sample):
            self.controller.command(item, self.now)
        if not isinstance(item, Trajectory):
            return
        rows = zip(item.from_start_ns, item.positions, item.velocities)
        points = tuple(Point(int(t), q, v) for t, q, v in rows)
        why = self.controller.command(Message(self.names, points, self.now), self.now)
        assert not why, why
