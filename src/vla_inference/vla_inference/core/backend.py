"""The backend interface, and the choice of one.

A backend runs the two graphs of a bundle. Adding one means: a class with these four members, and
a line in :data:`OPENERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Model
from vla_inference.core.bundle import Bundle


class Backend(Protocol):
    """Runs vision and policy graphs; not thread safe."""

    name: str
    precision: str

    def vision(self, images: np.ndarray, cameras: np.ndarray) -> np.ndarray:
        """Encode (B, H, W, 3) uint8 of cameras (B,) int64 to features (B, N, D) float32."""

    def policy(
        self,
        features: np.ndarray,
        tokens: np.ndarray,
        joints: np.ndarray,
        noise: np.ndarray,
        prev_chunk: np.ndarray,
        prev_weights: np.ndarray,
    ) -> np.ndarray:
        """Return an action chunk (H, J) float32 [rad or m].

        ``features`` (C, N, D) float32; ``tokens`` (L,) int64; ``joints`` (J,) float32 measured;
        ``noise`` (H, J) float32; ``prev_chunk`` (H, J) float32 [rad or m] and ``prev_weights``
        (H,) float32 in 0..1 for real-time chunking.
        """

    def close(self) -> None:
        """Release what the backend holds."""


def _open_onnxruntime(bundle: Bundle, threads: int) -> Backend:
    from vla_inference.core.onnxruntime_backend import OnnxRuntimeBackend

    return OnnxRuntimeBackend(bundle, threads)


OPENERS: dict[str, Callable[[Bundle, int], Backend]] = {"onnxruntime": _open_onnxruntime}


def open_backend(bundle: Bundle, model: Model) -> Backend:
    """Return the backend that ``model.backend`` asks for; ``auto`` is ONNX Runtime.

    Raises :class:`ConfigError` when it is unknown or cannot be loaded.
    """
    name = "onnxruntime" if model.backend == "auto" else model.backend
    opener = OPENERS.get(name)
    if opener is None:
        raise ConfigError("model", "model.backend", name, "one of auto, " + ", ".join(OPENERS))
    try:
        return opener(bundle, model.threads)
    except ImportError as error:
        raise ConfigError(
            "model", "model.backend", name, f"an installed backend: {error}"
        ) from error
