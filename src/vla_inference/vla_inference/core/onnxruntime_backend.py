"""ONNX Runtime on the CPU; the one file that imports it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime as ort

from vla_common.core.errors import ConfigError
from vla_inference.core.bundle import Bundle

VISION_INPUTS = ("image", "camera")
POLICY_INPUTS = ("features", "tokens", "joints", "noise", "prev_chunk", "prev_weights")


def _session(
    path: Path, threads: int, inputs: tuple[str, ...], output: str
) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Spinning worker threads would take the cores that the control loop needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ConfigError(
            str(path), "(graph)", str(error), "a graph ONNX Runtime can load"
        ) from error
    found = tuple(i.name for i in session.get_inputs())
    if set(found) != set(inputs):
        raise ConfigError(str(path), "inputs", found, "exactly " + ", ".join(inputs))
    if [o.name for o in session.get_outputs()][:1] != [output]:
        names = [o.name for o in session.get_outputs()]
        raise ConfigError(str(path), "outputs", names, f"first {output}")
    return session


class OnnxRuntimeBackend:
    """Runs a bundle with ONNX Runtime."""

    name = "onnxruntime"

    def __init__(self, bundle: Bundle, threads: int) -> None:
        self.precision = bundle.manifest.precision
        self._vision = _session(bundle.path / "vision.onnx", threads, VISION_INPUTS, "features")
        self._policy = _session(bundle.path / "policy.onnx", threads, POLICY_INPUTS, "chunk")

    def vision(self, images: np.ndarray, cameras: np.ndarray) -> np.ndarray:
        """See :class:`vla_inference.core.backend.Backend`."""
        result: np.ndarray = self._vision.run(["features"], {"image": images, "camera": cameras})[0]
        return result

    def policy(
        self,
        features: np.ndarray,
        tokens: np.ndarray,
        joints: np.ndarray,
        noise: np.ndarray,
        prev_chunk: np.ndarray,
        prev_weights: np.ndarray,
    ) -> np.ndarray:
        """See :class:`vla_inference.core.backend.Backend`."""
        arrays = (features, tokens, joints, noise, prev_chunk, prev_weights)
        feed = {name: array[None] for name, array in zip(POLICY_INPUTS, arrays)}
        result: np.ndarray = self._policy.run(["chunk"], feed)[0][0]
        return result

    def close(self) -> None:
        """Drop the sessions."""
        del self._vision, self._policy
