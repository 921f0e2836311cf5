"""The simulated world under control: scene, controller and task, advanced on one clock."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import mujoco
import numpy as np

from vla_sim.core.arm_faults import ArmFaults
from vla_sim.core.joint_trajectory import Array, Desired, JointTrajectoryController, Peaks
from vla_sim.core.scene import Scene
from vla_sim.core.task import COLOURS, ReachTask, TaskStatus, target_in

MAX_STEP_NS = 100_000_000
"""Physics catches up at most this much in one cycle; after a longer stall time is lost."""


@dataclass(frozen=True)
class Cycle:
    """One control cycle: desired state, and measured positions and velocities (joints,)."""

    now_ns: int
    desired: Desired
    q: Array
    dq: Array


@dataclass(frozen=True)
class TaskView:
    """The task's state; counts and times as vla_msgs/TaskState wants them."""

    seed: int
    status: TaskStatus
    reached: str
    successes: int
    elapsed: float


class World:
    """Thread safe; the physics run in whichever thread calls :meth:`cycle`."""

    def __init__(self, seed: int, period_ns: int = 5_000_000) -> None:
        """Place the cubes by ``seed`` with the arm at rest at its home posture."""
        self.scene = Scene(camera_size=16, seed=seed)
        self.controller = JointTrajectoryController(Scene.JOINTS, self.scene.joints()[0])
        self.peaks = Peaks(len(Scene.JOINTS))
        self.faults = ArmFaults(Scene.JOINTS)
        self._lock = threading.Lock()
        self._period_ns = period_ns
        self._last_ns = 0
        self._seed = seed
        self._text = ""
        self._task = ReachTask(0.0)
        self._begun_ns = 0
        self._zero_ns = 0
        self._earlier = 0  # successes before the last reset

    def cycle(self, now_ns: int) -> Cycle:
        """Run the controller at ``now_ns`` and the physics up to it."""
        with self._lock:
            step_ns = min(now_ns - self._last_ns, MAX_STEP_NS) if self._last_ns else self._period_ns
            self._last_ns = now_ns
            self._zero_ns = self._zero_ns or now_ns
            desired = self.controller.sample(now_ns)
            driven = self.faults.driven(desired.q, self.scene.joints()[0])
            self.scene.step(driven, max(0, step_ns) * 1e-9)
            self.peaks.add(now_ns, desired.q)
            q, dq = self.scene.joints()
        return Cycle(now_ns, desired, self.faults.measured(q), dq)

    def suspend(self) -> None:
        """Time stands still until the next cycle."""
        with self._lock:
            self._last_ns = 0

    def snapshot(self) -> Array:
        """Return a copy of all generalised positions, as the cameras need them."""
        with self._lock:
            return np.array(self.scene.data.qpos)

    def instruct(self, text: str, now_ns: int) -> None:
        """Take the instruction whose colour is the target; a new one starts the clock anew."""
        with self._lock:
            if text != self._text:
                self._text, self._begun_ns = text, now_ns

    def task(self, now_ns: int) -> TaskView:
        """Judge the true positions at ``now_ns``."""
        with self._lock:
            status = self._task.update(
                now_ns * 1e-9, self.scene.tcp(), self.scene.cubes(), target_in(self._text)
            )
            return TaskView(
                seed=self._seed,
                status=status,
                reached=status.reached[-1] if status.reached else "",
                successes=self._earlier + status.successes,
                elapsed=(now_ns - self._begun_ns) * 1e-9 if self._begun_ns else status.elapsed,
            )

    def caption(self, now_ns: int) -> str:
        """Return the lines written into a video: instruction, distance to its cube, success."""
        with self._lock:
            target, text = target_in(self._text), self._text
            tcp, cubes = self.scene.tcp(), self.scene.cubes()
        lines = [f"t = {(now_ns - self._zero_ns) * 1e-9:.1f} s", text or "(no instruction)"]
        if target is not None:
            lines.append(f"{target}: {100 * np.linalg.norm(tcp - cubes[target]):.1f} cm")
        return "\n".join(lines)

    def reset(self, seed: int, now_ns: int) -> str:
        """Place the cubes by ``seed``; return why that is refused, empty when it was done.

        The arm stays where it is and the controller goes on: a real arm does not jump either.
        Refused when a cube would be placed into the arm.
        """
        if seed < 0:
            return f"seed = {seed} is not allowed: a whole number >= 0"
        with self._lock:
            data = self.scene.data
            before = np.array(data.qpos), np.array(data.qvel)
            self.scene.reset(seed)
            data.qpos[: len(self._arm)], data.qvel[: len(self._arm)] = (
                values[: len(self._arm)] for values in before
            )
            mujoco.mj_forward(self.scene.model, data)
            touched = self._touched()
            if touched:
                data.qpos[:], data.qvel[:] = before
                mujoco.mj_forward(self.scene.model, data)
                return f"the arm is where the {touched} cube of seed {seed} would be: move it away"
            self._earlier += self._task.update(
                now_ns * 1e-9, self.scene.tcp(), self.scene.cubes(), None
            ).successes
            self._task.reset(now_ns * 1e-9)
            self._seed, self._begun_ns = seed, now_ns
        return ""

    @property
    def _arm(self) -> range:
        """Indices of the arm's generalised positions; the cubes' come after them."""
        return range(int(self.scene.model.jnt_qposadr[self.scene.model.joint(COLOURS[0]).id]))

    def _touched(self) -> str:
        """Return the colour of a cube that the arm penetrates, empty when none is."""
        cubes = {self.scene.model.geom(colour).id: colour for colour in COLOURS}
        passive = {*cubes, self.scene.model.geom("table").id}
        for contact in self.scene.data.contact[: self.scene.data.ncon]:
            first, second = (int(i) for i in contact.geom)
            if {first, second} <= passive or contact.dist >= 0.0:
                continue
            if first in cubes or second in cubes:
                return cubes.get(first) or cubes[second]
        return ""
