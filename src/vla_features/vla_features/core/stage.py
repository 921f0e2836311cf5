"""The vision stage: synchronised images in, features of all cameras out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from vla_camera.core.sync import Frames
from vla_common.core.errors import InternalError
from vla_common.core.trace import Trace
from vla_features.core.cache import Choice, FeatureCache

Encode = Callable[[Mapping[str, np.ndarray]], np.ndarray]
NO_AGE = -1.0


@dataclass(frozen=True, slots=True)
class Features:
    """Vision features (C, N, D) float32 of one set of images, read-only.

    ``capture_ns`` (monotonic) and ``stamp_ns`` (ROS) are those of the set's oldest image, also
    where features are reused: they were found to hold for that image. ``ages_ms`` tells how old
    the encoded images are; it is -1 for a camera that is missing, whose features are zero.
    """

    cameras: tuple[str, ...]
    features: np.ndarray
    reused: tuple[bool, ...]
    ages_ms: tuple[float, ...]
    capture_ns: int
    stamp_ns: int
    model_id: str
    trace: Trace = field(default_factory=Trace)


def batch_encoder(
    vision: Callable[[np.ndarray, np.ndarray], np.ndarray], cameras: tuple[str, ...]
) -> Encode:
    """Return an :data:`Encode` that runs ``vision((B, H, W, 3), (B,)) -> (B, N, D)`` once.

    ``cameras`` are the model's, in its order.
    """

    def encode(images: Mapping[str, np.ndarray]) -> np.ndarray:
        indices = np.array([cameras.index(name) for name in images], dtype=np.int64)
        return vision(np.stack(list(images.values())), indices)

    return encode


class VisionStage:
    """Encodes, in one batch, those images whose features cannot be reused.

    ``cameras`` are the model's, in its order; other cameras of a set are ignored. ``encode``
    takes images by camera and returns their features (B, N, D) in the same order. ``clock``
    gives monotonic nanoseconds, to measure what encoding takes. Used from one thread.
    """

    def __init__(
        self,
        cameras: tuple[str, ...],
        cache: FeatureCache,
        encode: Encode,
        clock: Callable[[], int],
    ) -> None:
        self.cameras = cameras
        self.cache = cache
        self._encode = encode
        self._clock = clock

    def process(self, frames: Frames) -> Features | None:
        """Return the features of a set, None when it has none of the model's cameras."""
        now_ns = self._clock()
        present = [name for name in self.cameras if name in frames.images]
        if not present:
            return None
        choices = {
            name: self.cache.decide(name, frames.images[name], frames.captures_ns[name], now_ns)
            for name in present
        }
        changed = {n: frames.images[n] for n in present if choices[n] is not Choice.REUSE}
        fresh: dict[str, np.ndarray] = {}
        encode_ms = 0.0
        if changed:
            features = self._run(changed)
            encode_ms = (self._clock() - now_ns) * 1e-6 / len(changed)
            fresh = dict(zip(changed, features))
        done_ns = self._clock()
        parts, ages_ms = {}, {}
        for name in present:
            if name in fresh:
                entry = self.cache.store(
                    name, frames.images[name], fresh[name], frames.captures_ns[name],
                    done_ns, encode_ms, choices[name],
                )  # fmt: skip
            else:
                entry = self.cache.get(name, now_ns)
            parts[name], ages_ms[name] = entry.features, (now_ns - entry.capture_ns) * 1e-6
        return self._features(frames, parts, ages_ms, set(present) - set(fresh), done_ns)

    def _run(self, images: dict[str, np.ndarray]) -> np.ndarray:
        """Return the features (B, N, D) float32 of ``images``, a copy of what the encoder gave.

        Raises :class:`InternalError` for another shape, FloatingPointError for values that are
        not finite: neither may get into the cache.
        """
        features = np.array(self._encode(images), dtype=np.float32)
        if features.ndim != 3 or features.shape[0] != len(images):
            raise InternalError(
                f"the vision encoder gave {features.shape} for {len(images)} images; "
                "(images, tokens, width) is expected"
            )
        if not np.isfinite(features).all():
            raise FloatingPointError("the vision encoder gave a value that is not finite")
        features.flags.writeable = False
        return features

    def _features(
        self,
        frames: Frames,
        parts: dict[str, np.ndarray],
        ages_ms: dict[str, float],
        reused: set[str],
        now_ns: int,
    ) -> Features:
        """Return the parts put together in the model's order of cameras."""
        zeros = np.zeros_like(next(iter(parts.values())))
        stacked = np.stack([parts.get(name, zeros) for name in self.cameras])
        stacked.flags.writeable = False
        return Features(
            cameras=self.cameras,
            features=stacked,
            reused=tuple(name in reused for name in self.cameras),
            ages_ms=tuple(ages_ms.get(name, NO_AGE) for name in self.cameras),
            capture_ns=frames.capture_ns,
            stamp_ns=frames.stamp_ns,
            model_id=self.cache.model_id,
            trace=replace(frames.trace, features_ns=now_ns),
        )
