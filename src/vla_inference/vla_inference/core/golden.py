"""The golden check: stored inputs must give the stored outputs, on whichever backend runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vla_common.core.errors import ConfigError
from vla_inference.core.backend import Backend
from vla_inference.core.bundle import Bundle

INPUTS = ("tokens", "joints", "noise", "prev_chunk", "prev_weights")


@dataclass(frozen=True)
class SelfTest:
    """Largest |difference| of features, and of action chunks [rad or m]."""

    features_error: float
    chunk_error: float


def _plain(array: np.ndarray, ndim: int) -> np.ndarray:
    """Drop leading axes of length 1 until ``ndim`` are left."""
    while array.ndim > ndim and array.shape[0] == 1:
        array = array[0]
    return np.ascontiguousarray(array)


def self_test(bundle: Bundle, backend: Backend) -> SelfTest:
    """Run the golden cases. Raises :class:`ConfigError` when outputs differ beyond tolerance."""
    path = bundle.path / "golden.npz"
    try:
        with np.load(path, allow_pickle=False) as archive:
            golden = {key: archive[key] for key in archive.files}
        images = np.stack([golden[f"image_{c.name}"] for c in bundle.cameras])
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(str(path), "(file)", repr(error), "golden inputs and outputs") from error
    features = backend.vision(images, np.arange(len(bundle.cameras), dtype=np.int64))
    cases = sorted({k.rsplit("_", 1)[1] for k in golden if k.startswith("chunk_")})
    if not cases:
        raise ConfigError(str(path), "chunk_0", None, "at least one golden case")
    features_error = chunk_error = 0.0
    for case in cases:
        expected = _plain(golden[f"features_{case}"], 3)
        features_error = max(features_error, float(np.abs(features - expected).max()))
        arguments = {
            name: _plain(golden[f"{name}_{case}"], 2 if name in ("noise", "prev_chunk") else 1)
            for name in INPUTS
        }
        chunk = backend.policy(features, **arguments)
        chunk_error = max(
            chunk_error, float(np.abs(chunk - _plain(golden[f"chunk_{case}"], 2)).max())
        )
    if not chunk_error <= bundle.manifest.tolerance.atol:
        raise ConfigError(
            str(path),
            "chunk",
            chunk_error,
            f"within {bundle.manifest.tolerance.atol:g} of the golden chunk on {backend.name}",
        )
    return SelfTest(features_error, chunk_error)
