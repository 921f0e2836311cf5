"""When the vision features of an image may be used again.

Features are reused while no patch of the camera's image has changed against the image that was
*encoded* (not against the last one: slow drift adds up and is seen), and never beyond a maximum
age. Every n-th reuse is encoded anyway and compared; when the features differ too much the
cache switches itself off for a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from vla_common.core.stats import Summary, Window
from vla_features.core.patches import largest_change

_SMOOTH = 0.02  # weight of the newest encoding in the mean of what one costs


class Choice(Enum):
    """What to do with an image."""

    REUSE = "reuse"
    ENCODE = "encode"
    MEASURE = "measure"  # could be reused; encode it to learn the error


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """See the robot file's section ``feature_cache``."""

    enabled: bool = True
    patch: int = 16  # [px]
    patch_threshold: float = 0.01  # 0..1 of full scale
    max_age_ns: int = 100_000_000
    monitor_every: int = 20
    max_error: float = 0.1  # relative L2 error beyond which the cache switches itself off
    off_ns: int = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """Features (N, D) float32 of one image (H, W, 3) uint8, and whose they are."""

    model_id: str
    camera: str
    image: np.ndarray
    features: np.ndarray
    capture_ns: int


@dataclass(frozen=True, slots=True)
class CacheReport:
    """State of the cache; counts are of images since the start."""

    hits: int
    misses: int
    reasons: dict[str, int]  # why images were encoded, and how many
    saved_ms: float
    age_ms: Summary  # of the features used, since the capture of the encoded image
    newest_age_ms: float
    error: Summary  # relative L2
    cosine: float  # lowest cosine similarity measured; NaN before the first
    switched_off: int
    off: bool
    size: int  # bytes held

    @property
    def hit_ratio(self) -> float:
        """Hits among all images, NaN before the first."""
        total = self.hits + self.misses
        return self.hits / total if total else float("nan")


def feature_error(reused: np.ndarray, fresh: np.ndarray) -> tuple[float, float]:
    """Return relative L2 error and cosine similarity of ``reused`` against ``fresh``.

    Not finite values give (inf, -1).
    """
    a, b = reused.ravel().astype(np.float64), fresh.ravel().astype(np.float64)
    norm_a, norm_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
    distance = float(np.linalg.norm(a - b))
    if not np.isfinite((norm_a, norm_b, distance)).all():
        return float("inf"), -1.0
    if norm_a == 0.0 or norm_b == 0.0:
        return (0.0, 1.0) if norm_a == norm_b else (float("inf"), 0.0)
    return distance / norm_b, float(a @ b) / (norm_a * norm_b)


class FeatureCache:
    """One entry a camera, for one model. Used from one thread; :meth:`report` from any."""

    def __init__(self, settings: CacheSettings, model_id: str) -> None:
        self.settings = settings
        self.model_id = model_id
        self._entries: dict[str, Entry] = {}
        self._since_measured: dict[str, int] = {}
        self._off_until_ns: int | None = None
        self._age_ms = Window(512)
        self._error = Window(256)
        self._lowest_cosine = float("nan")
        self._reasons: dict[str, int] = {}
        self._hits = self._misses = self._switched_off = 0
        self._saved_ms = self._newest_age_ms = self._encode_ms = 0.0

    def clear(self) -> None:
        """Forget all features."""
        self._entries.clear()
        self._since_measured.clear()

    def decide(self, camera: str, image: np.ndarray, capture_ns: int, now_ns: int) -> Choice:
        """Return what to do with ``image`` (H, W, 3) uint8, captured at ``capture_ns``."""
        reason = self._why_encode(camera, image, capture_ns, now_ns)
        choice = Choice.ENCODE
        if not reason:
            count = self._since_measured.get(camera, 0) + 1
            choice = Choice.REUSE
            if self.settings.monitor_every and count >= self.settings.monitor_every:
                choice, count, reason = Choice.MEASURE, 0, "measured"
            self._since_measured[camera] = count
        if choice is not Choice.REUSE:
            self._reasons[reason] = self._reasons.get(reason, 0) + 1
        return choice

    def _why_encode(self, camera: str, image: np.ndarray, capture_ns: int, now_ns: int) -> str:
        """Return why features may not be reused, empty when they may."""
        settings, entry = self.settings, self._entries.get(camera)
        if not settings.enabled:
            return "cache disabled"
        if self._is_off(now_ns):
            return "error too large"
        if entry is None or entry.model_id != self.model_id:
            return "no entry"
        if entry.image.shape != image.shape:
            return "other size"
        if capture_ns < entry.capture_ns:
            return "older image"
        if now_ns - entry.capture_ns > settings.max_age_ns:
            return "age"
        threshold = settings.patch_threshold
        if largest_change(entry.image, image, settings.patch, threshold) >= threshold:
            return "changed"
        return ""

    def _is_off(self, now_ns: int) -> bool:
        if self._off_until_ns is not None and now_ns >= self._off_until_ns:
            self._off_until_ns = None
        return self._off_until_ns is not None

    def get(self, camera: str, now_ns: int) -> Entry:
        """Return the entry to reuse, counting it. Raises KeyError when there is none."""
        entry = self._entries[camera]
        self._hits += 1
        self._saved_ms += self._encode_ms
        self._note_age(now_ns - entry.capture_ns)
        return entry

    def store(
        self,
        camera: str,
        image: np.ndarray,
        features: np.ndarray,
        capture_ns: int,
        now_ns: int,
        encode_ms: float,
        choice: Choice = Choice.ENCODE,
    ) -> Entry:
        """Keep freshly encoded features (N, D) and return their entry.

        ``encode_ms`` is what this image cost. Neither array may be written to later. With
        ``choice`` MEASURE the features that would have been reused are compared with the new.
        """
        previous = self._entries.get(camera)
        if choice is Choice.MEASURE and previous is not None:
            self._measure(previous.features, features, now_ns)
        entry = Entry(self.model_id, camera, image, features, capture_ns)
        self._entries[camera] = entry
        self._misses += 1
        self._encode_ms += (encode_ms - self._encode_ms) * max(1.0 / self._misses, _SMOOTH)
        self._note_age(now_ns - capture_ns)
        return entry

    def _measure(self, reused: np.ndarray, fresh: np.ndarray, now_ns: int) -> None:
        error, cosine = feature_error(reused, fresh)
        self._error.add(error)
        self._lowest_cosine = min(cosine, self._lowest_cosine) if self._error.total > 1 else cosine
        if error > self.settings.max_error:
            self._off_until_ns = now_ns + self.settings.off_ns
            self._switched_off += 1

    def _note_age(self, age_ns: int) -> None:
        self._newest_age_ms = age_ns * 1e-6
        self._age_ms.add(self._newest_age_ms)

    def report(self, now_ns: int) -> CacheReport:
        """Return the state of the cache."""
        entries = list(self._entries.values())
        until_ns = self._off_until_ns
        return CacheReport(
            hits=self._hits,
            misses=self._misses,
            reasons=dict(self._reasons),
            saved_ms=self._saved_ms,
            age_ms=self._age_ms.summary(),
            newest_age_ms=self._newest_age_ms,
            error=self._error.summary(),
            cosine=self._lowest_cosine,
            switched_off=self._switched_off,
            off=until_ns is not None and now_ns < until_ns,
            size=sum(entry.image.size + entry.features.nbytes for entry in entries),
        )
