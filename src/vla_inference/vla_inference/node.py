"""vla_inference: features, words and joint states in, /vla/actions at 20 Hz out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from sensor_msgs.msg import JointState
from vla_msgs.msg import ActionChunk, Instruction, SafetyState, VisionFeatures

from vla_common import qos
from vla_common.convert import chunk_to_msg
from vla_common.core.deadline import DeadlineLoop
from vla_common.core.mailbox import Mailbox
from vla_common.core.stats import RateMeter
from vla_common.node import VlaNode, run
from vla_inference import status
from vla_inference.core.backend import Backend, open_backend
from vla_inference.core.bundle import Bundle, check_robot, find, load
from vla_inference.core.engine import Observation, PolicyEngine
from vla_inference.core.golden import self_test
from vla_inference.core.instruction import InstructionEncoder
from vla_inference.core.joints import JointReader
from vla_inference.core.loop import InferenceLoop
from vla_inference.core.phase import PhaseLock
from vla_inference.core.player import ActionPlayer

WARM_UP_RUNS = 3
EARLY_NS = 8_000_000  # while locked, a fresh chunk is played at most this long before its tick
PLAYER_PRIORITY = 10  # SCHED_FIFO, below the gate and the publisher
Observe = Callable[[float], Any]


class VlaInference(VlaNode):
    """The inference node.

    ``observe(timeout)`` gives the next vision features (or None), pulled on the inference thread;
    without it they come from /vla/features. ``on_loaded`` is told the bundle and its backend.
    """

    def __init__(
        self,
        observe: Observe | None = None,
        on_loaded: Callable[[Bundle, Backend], None] = lambda bundle, backend: None,
        **kwargs: Any,
    ) -> None:
        super().__init__("vla_inference", **kwargs)
        self._on_loaded = on_loaded
        self._box: Mailbox[Any] = Mailbox()
        self._observe: Observe = observe or self._box.take
        self._alone = observe is None
        self._worker: threading.Thread | None = None
        self._player_loop: DeadlineLoop | None = None
        self._running = False
        self.backend: Backend | None = None
        self.waiting_for = "activation"

    # --- lifecycle ----------------------------------------------------------------------------
    def setup(self) -> None:
        """Load and check the bundle, warm the backend up, connect topics."""
        robot = self.robot
        self.bundle = load(find(robot.model.bundle))
        check_robot(self.bundle, robot)
        backend = self.backend = open_backend(self.bundle, robot.model)
        self.self_test = self_test(self.bundle, backend)
        self._on_loaded(self.bundle, backend)
        self.engine = PolicyEngine(self.bundle, backend)
        spec = self.bundle.manifest.tokenizer
        self.words = InstructionEncoder(self.bundle.path / spec.file, spec.max_length)
        grippers = tuple(robot.joints.index(name) for name in robot.identity.grippers)
        self.loop = InferenceLoop(
            self.engine, ActionPlayer(robot.control, grippers), robot.control, int(time.time())
        )
        self.joints = JointReader(robot.joints, round(1e9 / robot.control.rate))
        self.text = ""
        self._tokens: np.ndarray | None = None
        self._set_text(robot.model.instruction)
        self._warm_up(backend)
        self.actions_rate, self.chunk_rate = RateMeter(), RateMeter()
        self._actions = self.create_publisher(ActionChunk, "/vla/actions", qos.PLAN)
        self._chunks = self.create_publisher(ActionChunk, "/vla/chunks", qos.EVENTS)
        self._subscriptions_made = [
            self.create_subscription(
                JointState, robot.controller.joint_states, self._on_joints, qos.JOINT_STATES
            ),
            self.create_subscription(
                Instruction, "/vla/instruction", lambda m: self._set_text(m.text), qos.LATCHED
            ),
            self.create_subscription(
                SafetyState, "/vla/safety_state", self._on_safety_state, qos.LATCHED
            ),
        ]
        if self._alone:
            self._subscriptions_made.append(
                self.create_subscription(
                    VisionFeatures, "/vla/features", self._on_features, qos.PLAN
                )
            )
        self.diagnostics.add("Inference", lambda stat: status.inference(self, stat))
        self.diagnostics.add("Model", lambda stat: status.model(self, stat))

    def start(self) -> None:
        """Start the inference thread and the player."""
        period_ns = round(1e9 / self.robot.control.rate)
        self._phase = PhaseLock(period_ns) if self.robot.control.phase_lock else None
        self.loop.restart()
        self._running = True
        self._worker = threading.Thread(target=self._work, name="inference", daemon=True)
        self._worker.start()
        self._player_loop = DeadlineLoop(
            "player", period_ns, self._tick, self.fatal, priority=PLAYER_PRIORITY
        )
        self._player_loop.start()

    def pause(self) -> None:
        """Stop both; the plan that was sent ends by itself."""
        self._running = False
        if self._player_loop is not None:
            self._player_loop.stop()
        if self._worker is not None and self._worker is not threading.current_thread():
            self._worker.join(2.0)
        self._player_loop, self._worker = None, None

    def teardown(self) -> None:
        """Release the backend."""
        backend, self.backend = self.backend, None
        if backend is not None:
            backend.close()

    @property
    def period_ms(self) -> Any:
        """Window of the player's period [ms], None while it does not run."""
        return self._player_loop.period_ms if self._player_loop else None

    # --- callbacks: they only store -----------------------------------------------------------
    def _on_joints(self, message: JointState) -> None:
        self.joints.update(message.name, message.position, time.monotonic_ns())

    def _on_safety_state(self, message: SafetyState) -> None:
        self.loop.void(message.min_epoch)

    def _on_features(self, message: VisionFeatures) -> None:
        self._box.put(message)

    def _set_text(self, text: str) -> None:
        text = text.strip()
        if text == self.text and self._tokens is not None:
            return
        self._tokens = self.words.encode(text) if text else None
        self.text = text
        if text:
            self.loop.instruction_changed()
        else:  # nothing to do: the plan ends here, not when it has been played
            self.loop.drop()
        self.diagnostics.changed()

    # --- the two threads ----------------------------------------------------------------------
    def _work(self) -> None:
        last_ns = 0
        pause_ns = round(self.robot.control.inference_period_ms * 1e6)
        try:
            while self._running:
                wait_ns = last_ns + pause_ns - time.monotonic_ns()
                if wait_ns > 0:
                    time.sleep(min(wait_ns * 1e-9, 0.05))
                    continue
                features = self._observe(0.05)
                if features is None:
                    self.waiting_for = "camera images"
                    continue
                observation = self._observation(features)
                if observation is None:
                    continue
                last_ns = time.monotonic_ns()
                chunk = self.loop.infer(observation, time.monotonic_ns)
                if chunk is None:
                    continue
                if self._player_loop is not None and self._phase and self._phase.locked:
                    self._player_loop.pull_forward(EARLY_NS)
                self.chunk_rate.add(chunk.trace.inference_ns)
                if self._chunks.get_subscription_count() > 0:
                    self._chunks.publish(chunk_to_msg(chunk))
        except Exception as error:
            self.fatal(error)

    def _observation(self, features: Any) -> Observation | None:
        """Return what the policy sees now, or None and say in ``waiting_for`` what is missing."""
        tokens = self._tokens
        if tokens is None:
            self.waiting_for = "an instruction on /vla/instruction"
            return None
        joints = self.joints.read(time.monotonic_ns())
        if joints is None:
            self.waiting_for = f"joint states on {self.robot.controller.joint_states}"
            return None
        if isinstance(features, VisionFeatures):
            features = status.features_of(features, self.bundle)
            if features is None:
                self.waiting_for = "features of the right size and model on /vla/features"
                return None
        self.waiting_for = ""
        return Observation(
            features.features,
            tokens,
            joints,
            features.capture_ns,
            features.stamp_ns,
            features.trace,
        )

    def _tick(self, now_ns: int, deadline_ns: int) -> None:
        plan = self.loop.tick(now_ns)
        if plan is None:
            return
        self._actions.publish(chunk_to_msg(plan))
        self.actions_rate.add(now_ns)
        if self._phase is not None and self._player_loop is not None:
            self._player_loop.shift_ns = self._phase.shift(deadline_ns, self.loop.newest_chunk_ns)

    def _warm_up(self, backend: Backend) -> None:
        """Run the graphs a few times, so that the first real inference is not the slow one."""
        bundle, camera = self.bundle, self.bundle.cameras[0]
        count = len(bundle.cameras)
        images = np.zeros((count, camera.height, camera.width, 3), dtype=np.uint8)
        tokens = np.zeros(bundle.manifest.tokenizer.max_length, dtype=np.int64)
        joints = np.zeros(len(bundle.joints), dtype=np.float32)
        for _ in range(WARM_UP_RUNS):
            features = backend.vision(images, np.arange(count, dtype=np.int64))
            self.engine.infer(Observation(features, tokens, joints, 0, 0, status.NO_TRACE))


def main() -> int:
    """Run the node alone: features come from /vla/features."""
    return run(lambda: [VlaInference()], share=True)
