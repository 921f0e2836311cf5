"""What the tests of the gate share: robots out of arrays, raw chunks, a gate with a clock."""

from __future__ import annotations

import numpy as np

from vla_common.core.robot import Robot, from_parameters
from vla_common.core.trace import Trace
from vla_safety.core import limiter
from vla_safety.core.clearance import Clearance
from vla_safety.core.gate import Gate
from vla_safety.core.limiter import Limiter
from vla_safety.core.state_machine import ENABLED, State
from vla_safety.core.values import Output, RawChunk, Report, SafeAction

MS = 1_000_000
ROS = 1_700_000_000_000_000_000


def make_robot(
    joints: int = 3,
    q_min: float | list[float] = -2.0,
    q_max: float | list[float] = 2.0,
    v_max: float | list[float] = 1.5,
    a_max: float | list[float] = 6.0,
    grippers: tuple[int, ...] = (),
    extra: dict | None = None,
    **safety,
) -> Robot:
    """Return a robot of joints j0, j1, ...; ``extra`` adds keys to each joint's limits."""

    def each(value):
        return list(value) if isinstance(value, (list, tuple, np.ndarray)) else [value] * joints

    names = [f"j{i}" for i in range(joints)]
    limits = {
        name: {
            "has_position_limits": True,
            "min_position": float(low),
            "max_position": float(high),
            "has_velocity_limits": True,
            "max_velocity": float(v),
            "has_acceleration_limits": True,
            "max_acceleration": float(a),
            **(extra or {}),
        }
        for name, low, high, v, a in zip(names, each(q_min), each(q_max), each(v_max), each(a_max))
    }
    identity = {
        "name": "test",
        "joints": names,
        "grippers": [names[i] for i in grippers],
        "simulated": safety.get("auto_enable", False),
    }
    values = {
        "robot": identity,
        "joint_limits": limits,
        "cameras": {"names": ["c"], "c": {"topic": "/c", "width": 96, "height": 96}},
        "model": {"bundle": "none"},
        "safety": {"soft_start_ms": 0.0, "estop_required": False, **safety},
        "kinematics": {"enabled": False},
    }
    return from_parameters(values, "test")


class World:
    """A gate, its clock, an arm that is where it is commanded, and what came out."""

    def __init__(
        self, robot: Robot, q: np.ndarray | None = None, clearance: Clearance | None = None
    ) -> None:
        self.robot = robot
        self.gate = Gate(robot, clearance)
        self.now = 10_000_000_000
        self.q = np.zeros(len(robot.joints)) if q is None else np.array(q, dtype=float)
        self.epoch, self.seq = 1, 0
        self.actions: list[SafeAction] = []
        self.changes: list[Report] = []
        self.joints_talk = True
        self.publisher_talks = True
        self.cameras_talk = True
        self.last = Output()
        self.leases = 0
        self.gate.activate(self.now)

    def take(self, output: Output) -> Output:
        if output.action is not None:
            self.actions.append(output.action)
        self.leases += output.lease is not None
        self.changes += output.changes
        self.last = output
        return output

    def joint_state(self) -> None:
        if self.gate.motion.path is not None:
            self.q = self.gate.motion.command(self.now)[0]
        self.gate.on_joint_state(
            list(self.robot.joints), self.q.tolist(), [0.0] * len(self.q), self.now
        )

    def publisher(self) -> None:
        """Tell of a publisher that follows as it should; modes of vla_msgs/CommandState."""
        if not self.publisher_talks:
            return
        enabled = self.gate.state in ENABLED or self.gate.state is State.STOPPING
        self.gate.on_command_state(2 if enabled else 1, "", self.gate.announcer.seq, [], self.now)

    def camera_health(self, **changes) -> Output:
        """Tell of cameras that are as they should be, unless changes say otherwise."""
        names = list(self.robot.camera_names)
        fields = {
            "sent_ns": self.now,
            "cameras": names,
            "age_ms": [20.0] * len(names),
            "repeated": [1] * len(names),
            "dark": [0] * len(names),
            "faults": [""] * len(names),
        }
        return self.gate.on_camera_health(*{**fields, **changes}.values(), self.now)

    def pass_time(self, ms: float) -> None:
        """Let time go by; the gate's loop runs every 10 ms."""
        end = self.now + round(ms * MS)
        while end - self.now > 10 * MS:
            self.now += 10 * MS
            self.gate.joints.look(self.now)
        self.now = end

    def tick(self, ms: float = 20.0) -> Output:
        self.pass_time(ms)
        if self.joints_talk:
            self.joint_state()
        if self.cameras_talk:
            self.camera_health()
        self.publisher()
        output = self.take(self.gate.tick(self.now, self.now + ROS))
        self.publisher()
        return output

    def run(self, ms: float) -> None:
        for _ in range(round(ms / 20)):
            self.tick()

    def enabled(self) -> World:
        self.tick()
        ok, message = self.gate.enable(self.now)
        assert ok, message
        return self

    def raw(self, rows, **changes) -> RawChunk:
        """Return a good chunk, sent now; the next seq unless told otherwise."""
        self.seq += 1
        rows = np.array(rows, dtype=float, ndmin=2)
        fields = {
            "epoch": max(self.epoch, self.gate.checks.min_epoch),
            "seq": self.seq,
            "joint_names": list(self.robot.joints),
            "step_dt": 0.05,
            "horizon": len(rows),
            "start_ns": self.now + 50 * MS,
            "positions": rows.ravel(),
            "capture_ns": self.now - 60 * MS,
            "stamp_ns": self.now - 60 * MS + ROS,
            "confidence": 1.0,
            "trace": Trace(),
        }
        return RawChunk(**{**fields, **changes})

    def chunk(self, rows, **changes) -> Output:
        return self.take(self.gate.on_chunk(self.raw(rows, **changes), self.now))


def count(world, reason):
    return world.gate.counts.total[reason]


def moving(world, steps=6):
    """Let the arm move at speed."""
    goal = np.array([0.5, -0.3, 0.2])
    for _ in range(steps):
        q = world.gate.motion.command(world.now)[0]
        rows = q + np.clip(goal - q, -0.02, 0.02) * np.arange(1, 9)[:, None]
        assert world.chunk(rows).action is not None
        world.tick(20), world.tick(20), world.tick(10)
    assert np.abs(world.gate.motion.command(world.now)[1]).max() > 0.1
    return world


def step(stepped: Limiter, q, v, ref_q, ref_v, ref_next, scale: float):
    """Return (q', v', factor) of one step of a limiter, lists of a value per joint."""
    ref = np.array([ref_v, ref_next], dtype=float)
    rows_q, rows_v, factor = stepped.steps(
        np.array(q, dtype=float), np.array(v, dtype=float), np.array([ref_q] * 2, float), ref, scale
    )
    return rows_q[1].tolist(), rows_v[1].tolist(), factor


def interpreted(monkeypatch) -> None:
    """Let the limiter run as plain Python, so that a part of it can be replaced."""
    for name in ("slowest", "towards", "share_out", "wish", "braked", "permitted", "advance"):
        function = getattr(limiter, name)
        monkeypatch.setattr(limiter, name, getattr(function, "py_func", function))
    monkeypatch.setattr(limiter, "plain", np.ndarray.tolist)
