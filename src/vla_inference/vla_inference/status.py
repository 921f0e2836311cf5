"""Diagnostics of vla_inference, and features that come as a message."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from vla_msgs.msg import VisionFeatures

from vla_common.convert import stamp_to_ns, trace_from_msg
from vla_common.core.trace import Trace
from vla_common.diagnostics import ERROR, OK, WARN, number
from vla_inference.core.bundle import Bundle

if TYPE_CHECKING:
    from vla_inference.node import VlaInference

NO_TRACE = Trace()


@dataclass(frozen=True)
class ReceivedFeatures:
    """Features (C, N, D) float32 out of a message."""

    features: np.ndarray
    capture_ns: int
    stamp_ns: int
    trace: Trace


def features_of(message: VisionFeatures, bundle: Bundle) -> ReceivedFeatures | None:
    """Return the features of a message, None when they are not this bundle's."""
    shape = (len(bundle.cameras), bundle.manifest.features.tokens, bundle.manifest.features.width)
    values = np.frombuffer(message.features, dtype=np.float32)
    names = tuple(camera.name for camera in bundle.cameras)
    if message.model_id != bundle.model_id or tuple(message.cameras) != names:
        return None
    if values.size != shape[0] * shape[1] * shape[2] or not np.isfinite(values).all():
        return None
    trace = trace_from_msg(message.trace)
    return ReceivedFeatures(
        values.reshape(shape), trace.capture_ns, stamp_to_ns(message.header.stamp), trace
    )


def inference(node: VlaInference, stat: Any) -> Any:
    """Report latency, rates and what is waited for."""
    now_ns = time.monotonic_ns()
    loop = node.loop
    latency = loop.infer_ms.summary()
    period_ms = 1e3 / node.robot.control.rate
    rate = node.actions_rate.rate(now_ns)
    if not node.active:
        stat.summary(OK, "not active")
    elif node.waiting_for:
        stat.summary(WARN, f"waiting for {node.waiting_for}")
    elif latency.count and latency.p99 > period_ms:
        stat.summary(WARN, f"slower than the control period of {period_ms:g} ms: chunks are played")
    elif rate < 0.9 * node.robot.control.rate:
        stat.summary(ERROR, "no plan, or not at its rate")
    else:
        stat.summary(OK, "running")
    stat.add("Instruction", node.text)
    stat.add("Actions rate (Hz)", number(rate, 2))
    stat.add("Chunk rate (Hz)", number(node.chunk_rate.rate(now_ns), 2))
    for name in ("p50", "p99", "max"):
        stat.add(f"Latency {name} (ms)", number(getattr(latency, name)))
    stat.add("Capture to chunk p95 (ms)", number(loop.delay.seconds() * 1e3))
    if node.period_ms is not None:
        period = node.period_ms.summary()
        stat.add("Period p50 (ms)", number(period.p50))
        stat.add("Period p99 (ms)", number(period.p99))
    stat.add("Chunks", str(loop.chunks))
    stat.add("Late chunks", str(loop.late))
    stat.add("Non-finite chunks", str(loop.not_finite))
    stat.add("Bad joint states", str(node.joints.bad))
    stat.add("Epoch", str(loop.epoch))
    return stat


def model(node: VlaInference, stat: Any) -> Any:
    """Report which model runs on what, and its self-test."""
    if node.backend is None:
        stat.summary(OK, "no model loaded")
        return stat
    stat.summary(OK, f"{node.bundle.model_id} on {node.backend.name}")
    stat.add("Bundle", str(node.bundle.path))
    stat.add("Model", node.bundle.model_id)
    stat.add("SHA-256", node.bundle.sha256)
    stat.add("Backend", node.backend.name)
    stat.add("Precision", node.backend.precision)
    stat.add("Self-test max error", f"{node.self_test.chunk_error:.3g}")
    stat.add("Self-test features error", f"{node.self_test.features_error:.3g}")
    return stat
