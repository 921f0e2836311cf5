"""Diagnostic tasks of camera_ingest, written for diagnostic_updater's API."""

from __future__ import annotations

from typing import Any

from vla_camera.core.ingest import Ingest
from vla_camera.core.stream import Stream
from vla_common.diagnostics import ERROR, OK, WARN, number

_WARN_DARK_BLOCKS = 10
_WARN_IDENTICAL = 2
_WARN_RATE = 0.9
_WARN_INTERVAL = 1.5


def topic_status(stat: Any, stream: Stream, active: bool, now_ns: int) -> Any:
    """Say whether images arrive as they should."""
    report, camera = stream.report(now_ns), stream.camera
    period_ms = 1e3 / camera.rate
    if not active:
        stat.summary(OK, "not active")
    elif report.fault and report.fault not in ("frozen", "dark"):
        stat.summary(ERROR, report.fault)
    elif report.rate < _WARN_RATE * camera.rate:
        stat.summary(WARN, f"{report.rate:.1f} Hz of {camera.rate:g} Hz")
    elif report.interval_ms.p99 > _WARN_INTERVAL * period_ms:
        stat.summary(WARN, f"uneven: p99 of intervals is {report.interval_ms.p99:.1f} ms")
    else:
        stat.summary(OK, "images arrive")
    stat.add("Topic", camera.topic)
    stat.add("rate", number(report.rate, 2))
    stat.add("Nominal rate (Hz)", number(camera.rate, 2))
    stat.add("Interval p99 (ms)", number(report.interval_ms.p99, 2))
    stat.add("Interval max (ms)", number(report.interval_ms.max, 2))
    stat.add("Frame age (ms)", number(report.frame_age_ms, 1))
    stat.add("Received", str(report.received))
    stat.add("Dropped", str(report.dropped))
    for reason, count in sorted(report.reasons.items()):
        stat.add(f"Dropped: {reason}", str(count))
    return stat


def image_status(stat: Any, stream: Stream, active: bool, now_ns: int) -> Any:
    """Say whether the images show anything."""
    report, camera = stream.report(now_ns), stream.camera
    look = report.look
    if not active:
        stat.summary(OK, "not active")
    elif report.wrong:
        stat.summary(ERROR, f"not used: {report.wrong}")
    elif look.frozen:
        stat.summary(ERROR, f"frozen: the same image {look.identical} times")
    elif look.dark:
        stat.summary(ERROR, f"dark: {look.dark_blocks} of 25 blocks")
    elif look.identical >= _WARN_IDENTICAL:
        stat.summary(WARN, f"the same image {look.identical} times")
    elif look.dark_blocks >= _WARN_DARK_BLOCKS:
        stat.summary(WARN, f"{look.dark_blocks} of 25 blocks are dark")
    elif look.identical == 0:
        stat.summary(WARN, "no image yet")
    else:
        stat.summary(OK, "live")
    stat.add("Mean intensity", number(look.mean, 1))
    stat.add("Dark blocks", str(look.dark_blocks))
    stat.add("Repeated frames", str(max(0, look.identical - 1)))
    stat.add("Size", f"{camera.width}x{camera.height}")
    stat.add("Encoding", camera.encoding)
    return stat


def frames_status(stat: Any, ingest: Ingest, active: bool, now_ns: int) -> Any:
    """Say whether synchronised sets are handed on."""
    report = ingest.report(now_ns)
    stale_ms = ingest.stale_ms
    if not active:
        stat.summary(OK, "not active")
    elif report.blocked_by:
        stat.summary(ERROR, "no sets: " + "; ".join(report.blocked_by))
    elif report.silent_ms > stale_ms:
        stat.summary(ERROR, f"no set for {report.silent_ms:.0f} ms: images too far apart in time")
    elif report.missing:
        stat.summary(WARN, "sets without " + "; ".join(report.missing))
    else:
        stat.summary(OK, "sets are handed on")
    stat.add("rate", number(report.rate, 2))
    stat.add("Skew p99 (ms)", number(report.skew_ms.p99, 2))
    stat.add("Sets", str(report.sets))
    stat.add("Sets without an optional camera", str(report.incomplete))
    stat.add("Images in no set", str(report.lost))
    stat.add("Clock jumps", str(report.clock_jumps))
    return stat
