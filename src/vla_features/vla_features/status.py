"""Diagnostic task of feature_cache, written for diagnostic_updater's API."""

from __future__ import annotations

from typing import Any

from vla_common.diagnostics import ERROR, OK, WARN, number
from vla_features.core.cache import FeatureCache

_ERROR_AGE = 2.0  # times the maximum age


def cache_status(stat: Any, cache: FeatureCache | None, active: bool, now_ns: int) -> Any:
    """Say how often features are reused, how old they are, and how wrong."""
    if cache is None:
        stat.summary(ERROR if active else OK, "no vision encoder" if active else "not active")
        return stat
    report, settings = cache.report(now_ns), cache.settings
    max_age_ms = settings.max_age_ns * 1e-6
    if not active:
        stat.summary(OK, "not active")
    elif report.off:
        stat.summary(WARN, "switched off: reused features were too far from fresh ones")
    elif report.age_ms.p99 > _ERROR_AGE * max_age_ms:
        stat.summary(ERROR, f"features are older than {_ERROR_AGE * max_age_ms:g} ms")
    elif report.age_ms.p99 > max_age_ms:
        stat.summary(WARN, f"features are older than {max_age_ms:g} ms: images come late")
    elif not settings.enabled:
        stat.summary(OK, "disabled: every image is encoded")
    else:
        stat.summary(OK, "working")
    stat.add("Hit ratio", number(report.hit_ratio))
    stat.add("Entry age p99 (ms)", number(report.age_ms.p99, 1))
    stat.add("Entry age (ms)", number(report.newest_age_ms, 1))
    stat.add("Feature error", number(report.error.p99, 5))
    stat.add("Feature error max", number(report.error.max, 5))
    stat.add("Lowest cosine", number(report.cosine, 5))
    stat.add("Bytes", str(report.size))
    stat.add("Hits", str(report.hits))
    stat.add("Encoded", str(report.misses))
    for reason, count in sorted(report.reasons.items()):
        stat.add(f"Encoded: {reason}", str(count))
    stat.add("Saved (ms)", number(report.saved_ms, 1))
    stat.add("Switched off", str(report.switched_off))
    stat.add("Model", cache.model_id)
    return stat
