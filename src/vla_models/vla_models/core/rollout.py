"""Closed-loop evaluation of a bundle in the simulator, without ROS.

The loop has the timing of the real graph: inferences follow one another, a chunk is available
``latency`` after the capture of its images, and is then played by capture time, guided by the
chunk in execution. Commands go out at the player's rate, are interpolated, and followed within
the limits of velocity and acceleration that the safety gate has for this arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import yaml
from tokenizers import Tokenizer

from vla_models.core import sentences, tokens
from vla_models.core.export import session
from vla_sim.core.noise import SensorNoise
from vla_sim.core.scene import Scene
from vla_sim.core.task import COLOURS, ReachTask, TaskStatus

Floats = npt.NDArray[np.float64]

COMMAND_DT: Final = 0.05
"""Period of commands [s]."""
SERVO_DT: Final = 0.01
"""Period at which commands are interpolated and limited and the task is judged [s]."""
MAX_VELOCITY: Final = np.array([1.5] * 7 + [0.2])
MAX_ACCELERATION: Final = np.array([6.0] * 7 + [5.0])
"""As in config/robots/sim_arm.yaml [rad/s], [m/s]; [rad/s^2], [m/s^2]."""
RESERVE: Final = 0.8
"""Share of the acceleration that is planned with when an error is made good."""


class Runner:
    """A bundle's two graphs and tokenizer on ONNX Runtime."""

    def __init__(self, folder: Path, threads: int = 1) -> None:
        self.spec: dict[str, Any] = yaml.safe_load((folder / "bundle.yaml").read_text())
        self.cameras = [camera["name"] for camera in self.spec["cameras"]]
        self.size = int(self.spec["cameras"][0]["width"])
        self.horizon, self.step_dt = int(self.spec["horizon"]), float(self.spec["step_dt"])
        self._vision = session(folder / "vision.onnx", threads)
        self._policy = session(folder / "policy.onnx", threads)
        self._tokenizer = Tokenizer.from_file(str(folder / self.spec["tokenizer"]["file"]))
        self._index = np.arange(len(self.cameras))

    def infer(
        self,
        images: npt.NDArray[np.uint8],
        text: str,
        joints: Floats,
        noise: npt.NDArray[np.float32],
        previous: Floats,
        weights: Floats,
    ) -> Floats:
        """Return the chunk (H, J) for images (C, H, W, 3); previous (H, J) and weights (H,)."""
        features = self._vision.run(None, {"image": images, "camera": self._index})[0]
        feed = {
            "features": features[None],
            "tokens": tokens.encode(self._tokenizer, [text]),
            "joints": joints[None].astype(np.float32),
            "noise": noise,
            "prev_chunk": previous[None].astype(np.float32),
            "prev_weights": weights[None].astype(np.float32),
        }
        made: Floats = self._policy.run(None, feed)[0][0].astype(np.float64)
        return made


@dataclass(frozen=True, slots=True)
class Trial:
    """One run: scene seed, colours named first and, from ``switch`` [s] on, second."""

    seed: int
    split: str = "train"
    limit: float = 12.0
    latency: float = 0.1
    guidance: bool = True
    switch: float | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a trial.

    time: until success, or the limit [s]; closest, rest: least and last distance to the target
    [m]; limited: share of the time in which the limits held the arm back from the commands.
    """

    trial: Trial
    text: str
    target: str
    other: str
    success: bool
    other_reached: bool
    time: float
    closest: float
    rest: float
    limited: float


@dataclass(frozen=True, slots=True)
class _Chunk:
    captured: float
    ready: float
    rows: Floats

    def at(self, now: float, step_dt: float) -> Floats:
        """Return the joint targets due at ``now`` [s]: interpolated, held past the end."""
        place = np.clip((now - self.captured) / step_dt - 1.0, 0.0, len(self.rows) - 1.0)
        low = int(place)
        high = min(low + 1, len(self.rows) - 1)
        target: Floats = self.rows[low] + (place - low) * (self.rows[high] - self.rows[low])
        return target


class Follower:
    """Follows commands (J,) as far as velocity and acceleration limits allow."""

    def __init__(self, q: Floats) -> None:
        self.q, self._v = q.copy(), np.zeros_like(q)
        self.steps, self.limited = 0, 0

    def step(self, target: Floats, speed: Floats, dt: float) -> Floats:
        """Return the position after ``dt`` [s] towards ``target``, which moves with ``speed``."""
        error = target - self.q - speed * dt
        catch_up = np.minimum(
            np.abs(error) / (3.0 * dt), np.sqrt(2.0 * RESERVE * MAX_ACCELERATION * np.abs(error))
        )
        wanted = speed + np.sign(error) * catch_up
        allowed = np.clip(wanted, -MAX_VELOCITY, MAX_VELOCITY)
        change = np.clip(allowed - self._v, -MAX_ACCELERATION * dt, MAX_ACCELERATION * dt)
        self._v = self._v + change
        self.steps += 1
        self.limited += bool(np.abs(wanted - self._v)[:7].max() > 1e-2)
        self.q = self.q + self._v * dt
        return self.q


def guidance_weights(horizon: int, delay: int) -> Floats:
    """Return 1 for rows that pass before the chunk is there, then an exponential decay to 0."""
    last = max(delay + 1, horizon - 4)
    w = np.clip((last - np.arange(horizon)) / (last - delay + 1.0), 0.0, 1.0)
    weights: Floats = w * np.expm1(w) / np.expm1(1.0)
    return weights


class Loop:
    """The closed loop of one trial."""

    def __init__(self, runner: Runner, scene: Scene, trial: Trial) -> None:
        self._runner, self._scene, self._trial = runner, scene, trial
        self._rng = np.random.default_rng([trial.seed, 3])
        self._noise = SensorNoise(runner.size**2, trial.seed)
        scene.reset(trial.seed)
        order = self._rng.permutation(len(COLOURS))
        self.target, self.other = COLOURS[order[0]], COLOURS[order[1]]
        if trial.switch is None:
            self.text = sentences.sentence(self._rng, self.target, trial.split)
            self._before = self.text
        else:
            self._before = sentences.sentence(self._rng, self.other, trial.split)
            self.text = sentences.sentence(self._rng, self.target, trial.split)
        self._playing: _Chunk | None = None
        self._coming: _Chunk | None = None

    def run(self) -> Outcome:
        """Run to success and half a second more, or to the time limit."""
        command, _ = self._scene.joints()
        follower, task = Follower(command), ReachTask()
        closest, done, now = np.inf, None, 0.0
        while now < self._trial.limit - 1e-9 and (done is None or now < done + 0.5):
            self._infer(now)
            following = self._command(now, command)
            status = self._move(task, follower, now, command, following)
            closest = min(closest, status.distances[self.target])
            if done is None and status.success and status.target == self.target:
                done = now
            command, now = following, now + COMMAND_DT
        return Outcome(
            trial=self._trial,
            text=self.text,
            target=self.target,
            other=self.other,
            success=done is not None,
            other_reached=self.other in status.reached,
            time=now if done is None else done,
            closest=closest,
            rest=status.distances[self.target],
            limited=follower.limited / follower.steps,
        )

    def _named(self, now: float) -> tuple[str, str]:
        """Return the colour and the sentence that hold at ``now`` [s]."""
        if now >= (self._trial.switch or 0.0):
            return self.target, self.text
        return self.other, self._before

    def _move(
        self, task: ReachTask, follower: Follower, now: float, command: Floats, following: Floats
    ) -> TaskStatus:
        """Let the arm follow one command period; return the task's state at its end."""
        scene, (named, _) = self._scene, self._named(now)
        speed = (following - command) / COMMAND_DT
        for k in range(1, round(COMMAND_DT / SERVO_DT) + 1):
            due = command + k * SERVO_DT * speed
            scene.step(follower.step(due, speed, SERVO_DT), SERVO_DT)
            status = task.update(now + k * SERVO_DT, scene.tcp(), scene.cubes(), named)
        return status

    def _infer(self, now: float) -> None:
        """Put a chunk that has become available into play, and start the next inference."""
        if self._coming is not None and now + 1e-9 >= self._coming.ready:
            self._playing, self._coming = self._coming, None
        if self._coming is None:
            rows = self._rows(now)
            self._coming = _Chunk(captured=now, ready=now + self._trial.latency, rows=rows)
            if self._trial.latency <= 0.0:
                self._playing, self._coming = self._coming, None

    def _rows(self, now: float) -> Floats:
        runner, scene = self._runner, self._scene
        images = np.stack([self._noise.add(scene.render(camera)) for camera in runner.cameras])
        joints, _ = scene.joints()
        _, text = self._named(now)
        previous, weights = np.tile(joints, (runner.horizon, 1)), np.zeros(runner.horizon)
        if self._playing is not None and self._trial.guidance:
            due = now + runner.step_dt * np.arange(1, runner.horizon + 1)
            previous = np.stack([self._playing.at(t, runner.step_dt) for t in due])
            delay = int(np.ceil(self._trial.latency / runner.step_dt))
            weights = guidance_weights(runner.horizon, delay)
        noise = self._rng.normal(size=(1, runner.horizon, len(joints))).astype(np.float32)
        return runner.infer(images, text, joints, noise, previous, weights)

    def _command(self, now: float, held: Floats) -> Floats:
        if self._playing is None:
            return held
        return self._playing.at(now + COMMAND_DT, self._runner.step_dt)


def run_trials(folder: str, trials: list[Trial]) -> list[Outcome]:
    """Run trials one after another in this process."""
    runner = Runner(Path(folder))
    scene = Scene(runner.size)
    outcomes = [Loop(runner, scene, trial).run() for trial in trials]
    scene.close()
    return outcomes
