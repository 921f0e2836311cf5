"""A small arm, and paths for it, shared by the tests of vla_command."""

import numpy as np

from vla_command.core.path import GateState, SafePath
from vla_common.core.robot import from_parameters
from vla_common.core.trace import Trace

MS = 1_000_000
JOINTS = ("j1", "j2", "grip")
V_MAX, A_MAX = 2.0, 8.0


def parameters(**controller):
    """Return the parameters of an arm with three joints."""
    limit = {
        "has_position_limits": True,
        "min_position": -2.0,
        "max_position": 2.0,
        "has_velocity_limits": True,
        "max_velocity": V_MAX,
        "has_acceleration_limits": True,
        "max_acceleration": A_MAX,
    }
    return {
        "robot": {"name": "test_arm", "joints": list(JOINTS), "grippers": ["grip"]},
        "joint_limits": {name: dict(limit) for name in JOINTS},
        "cameras": {"names": ["front"], "front": {"topic": "/c", "width": 96, "height": 96}},
        "model": {"bundle": "reach"},
        "kinematics": {"enabled": False},
        "controller": {"topic": "/test_arm/command", "check_parameters": False, **controller},
    }


def robot(**controller):
    return from_parameters(parameters(**controller), "test")


def rows(start_q, speed, step_dt=0.01, cruise=8, a_max=A_MAX):
    """Return positions and velocities of a path: cruise at ``speed``, then brake to rest."""
    q = np.full(len(JOINTS), 0.0) + start_q
    v = np.full(len(JOINTS), speed, dtype=float)
    positions, velocities = [q.copy()], [v.copy()]
    tail_start = cruise
    while v.any() or len(positions) <= cruise:
        a = 0.0 if len(positions) < cruise else a_max
        new = np.sign(v) * np.maximum(np.abs(v) - a * step_dt, 0.0)
        q = q + (v + new) / 2 * step_dt
        v = new
        positions.append(q.copy())
        velocities.append(v.copy())
    return np.array(positions), np.array(velocities), tail_start


def path(
    now_ns, seq=1, start_q=0.0, speed=0.5, state=GateState.ACTIVE, lead_ns=5 * MS, cruise=8,
    **changes,
):  # fmt: skip
    """Return a good path sent at ``now_ns``, with ``changes`` made to its fields."""
    q, v, tail_start = rows(start_q, speed, cruise=cruise)
    fields = {
        "epoch": 7,
        "seq": seq,
        "joint_names": JOINTS,
        "step_dt": 0.01,
        "horizon": len(q),
        "tail_start": tail_start,
        "start_ns": now_ns + lead_ns,
        "positions": q.ravel(),
        "velocities": v.ravel(),
        "valid_until_ns": now_ns + 60 * MS,
        "state": int(state),
        "trace": Trace(capture_ns=now_ns - 30 * MS, gate_ns=now_ns),
    }
    return SafePath(**{**fields, **changes})


RUN_UP = 170 * MS
STANDING = 4  # rows, at the start of a run-up: a publisher that is late by so much can follow


def run_up(at_ns, start_q=0.0, speed=0.5, seq=0, a_max=A_MAX / 2):
    """Return a path from rest that passes ``start_q`` with ``speed`` at ``at_ns``, then stops.

    It is sent, and starts, ``RUN_UP`` before that: only from rest can a first path be followed.
    """
    v, steps = [0.0] * STANDING, RUN_UP // (10 * MS)
    while len(v) <= steps + 8:
        v.append(np.sign(speed) * min(abs(v[-1]) + a_max * 0.01, abs(speed)))
    v = np.array(v)
    while v[-1]:
        v = np.append(v, np.sign(speed) * max(abs(v[-1]) - a_max * 0.01, 0.0))
    q = np.concatenate(([0.0], np.cumsum((v[1:] + v[:-1]) / 2 * 0.01)))
    q += start_q - q[steps]
    wide = np.ones(len(JOINTS))
    return path(
        at_ns - RUN_UP, seq=seq, horizon=len(q), tail_start=steps + 8, lead_ns=0,
        positions=np.outer(q, wide).ravel(), velocities=np.outer(v, wide).ravel(),
    )  # fmt: skip
