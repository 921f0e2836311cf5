"""Between messages and the values of the core; the one place where fields are copied."""

from __future__ import annotations

from array import array

import numpy as np
from builtin_interfaces.msg import Time
from vla_msgs.msg import ActionChunk, LatencyTrace

from vla_common.core.chunk import Chunk
from vla_common.core.trace import FIELDS, Trace


def stamp_to_ns(stamp: Time) -> int:
    """Return a message stamp in nanoseconds."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)


def ns_to_stamp(ns: int) -> Time:
    """Return a message stamp from nanoseconds; times before 0 become 0."""
    seconds, nanoseconds = divmod(max(0, ns), 1_000_000_000)
    return Time(sec=seconds, nanosec=nanoseconds)


def trace_from_msg(message: LatencyTrace) -> Trace:
    """Return the trace carried by a message."""
    return Trace(*(getattr(message, name) for name in FIELDS))


def fill_trace(trace: Trace, message: LatencyTrace) -> None:
    """Copy a trace into a message."""
    for name in FIELDS:
        setattr(message, name, getattr(trace, name))


def trace_to_msg(trace: Trace) -> LatencyTrace:
    """Return a message with the trace."""
    message = LatencyTrace()
    fill_trace(trace, message)
    return message


def doubles(values: np.ndarray) -> array:
    """Return a float64 sequence field; an ``array`` is taken without a check per item."""
    return array("d", np.ascontiguousarray(values, dtype=np.float64).tobytes())


def chunk_to_msg(chunk: Chunk) -> ActionChunk:
    """Return the message of a chunk."""
    message = ActionChunk()
    message.header.stamp = ns_to_stamp(chunk.stamp_ns)
    message.epoch = chunk.epoch
    message.seq = chunk.seq
    message.joint_names = list(chunk.joint_names)
    message.step_dt = chunk.step_dt
    message.horizon = chunk.horizon
    message.start_ns = chunk.start_ns
    message.positions = doubles(chunk.positions)
    message.confidence = chunk.confidence
    message.model_id = chunk.model_id
    fill_trace(chunk.trace, message.trace)
    return message


def chunk_from_msg(message: ActionChunk) -> Chunk:
    """Return the chunk in a message. Raises ValueError when the sizes disagree."""
    names = tuple(message.joint_names)
    positions = np.frombuffer(message.positions, dtype=np.float64)
    if not names or positions.size != message.horizon * len(names):
        raise ValueError(
            f"{positions.size} positions for horizon {message.horizon} x {len(names)} joints"
        )
    return Chunk(
        epoch=message.epoch,
        seq=message.seq,
        joint_names=names,
        step_dt=message.step_dt,
        start_ns=message.start_ns,
        positions=positions.reshape(message.horizon, len(names)),
        capture_ns=message.trace.capture_ns,
        stamp_ns=stamp_to_ns(message.header.stamp),
        confidence=message.confidence,
        model_id=message.model_id,
        trace=trace_from_msg(message.trace),
    )
