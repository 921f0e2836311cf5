"""Between the messages of this room and its values."""

from __future__ import annotations

import time
from dataclasses import replace

from builtin_interfaces.msg import Time
from vla_msgs.msg import ActionChunk, GateLease, SafeAction, SafetyState

from vla_common.convert import doubles, ns_to_stamp, stamp_to_ns, trace_from_msg, trace_to_msg
from vla_safety.core.values import Lease, RawChunk, Report
from vla_safety.core.values import SafeAction as SafeActionValue


def raw_chunk(message: ActionChunk) -> RawChunk:
    """Return the fields of a message, unchecked."""
    return RawChunk(
        epoch=message.epoch,
        seq=message.seq,
        joint_names=message.joint_names,
        step_dt=message.step_dt,
        horizon=message.horizon,
        start_ns=message.start_ns,
        positions=message.positions,
        capture_ns=message.trace.capture_ns,
        stamp_ns=stamp_to_ns(message.header.stamp),
        confidence=message.confidence,
        trace=trace_from_msg(message.trace),
    )


def action_message(
    action: SafeActionValue, joints: tuple[str, ...], received_ns: int
) -> SafeAction:
    """Return the message of a path; ``received_ns`` is when its plan came."""
    message = SafeAction()
    message.header.stamp = ns_to_stamp(action.stamp_ns)
    message.epoch = action.epoch
    message.seq = action.seq
    message.joint_names = list(joints)
    message.step_dt = action.step_ns * 1e-9
    message.horizon = len(action.positions)
    message.tail_start = action.tail_start
    message.start_ns = action.start_ns
    message.positions = doubles(action.positions)
    message.velocities = doubles(action.velocities)
    message.valid_until_ns = action.valid_until_ns
    message.state = int(action.state)
    message.measured = action.measured
    trace = action.trace
    if trace.capture_ns:
        now_ns = time.monotonic_ns()
        trace = replace(trace, gate_received_ns=received_ns, gate_ns=now_ns)
    message.trace = trace_to_msg(trace)
    return message


def lease_message(lease: Lease, stamp: Time) -> GateLease:
    """Return the message of a lease."""
    message = GateLease(seq=lease.seq, valid_until_ns=lease.valid_until_ns)
    message.header.stamp = stamp
    message.state = int(lease.state)
    return message


def state_message(report: Report, stamp: Time) -> SafetyState:
    """Return the message of a report."""
    message = SafetyState(state=int(report.state), cause=report.cause)
    message.header.stamp = stamp
    message.previous = int(report.previous)
    message.since_ns = report.since_ns
    message.reset_blocked_by = list(report.reset_blocked_by)
    message.enable_blocked_by = list(report.enable_blocked_by)
    message.min_epoch = report.min_epoch
    message.transitions = report.transitions
    message.reasons = list(report.reasons)
    message.counts = list(report.counts)
    return message
