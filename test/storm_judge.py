"""What is wrong with what the controller was told in a storm, see :mod:`storm`."""

from __future__ import annotations

import numpy as np
from arm_loop import MS, Streamed
from storm_loop import Storm

SLACK = 1.06
"""Of the limits, as they are seen from one millisecond to the next."""


def told(storm: Storm) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what the controller made of it: times [s], positions, velocities, and new starts.

    Of a trajectory controller that is one row for each of its periods; of a streamed output
    one for each sample.
    """
    if isinstance(storm.controller, Streamed):
        times, q, v, anew = storm.controller.rows()
        return times, q, v, anew
    every = storm.period_ms
    first = -(10_000_000_000 // MS + 1) % every
    q, v = np.array(storm.desired)[first::every], np.array(storm.velocity)[first::every]
    anew = np.zeros(len(q), dtype=bool)
    for at in storm.breaks:
        anew[min(-(-(at - first) // every), len(q) - 1)] = True
    return np.arange(len(q)) * (every * 1e-3), q, v, anew


def judge(storm: Storm) -> tuple[list[str], dict[str, float]]:
    """Return what is wrong with what the controller was told, and the largest ratios."""
    times, q, v, anew = told(storm)
    robot, problems = storm.arm, []
    if len(q) < 2:
        return [], {}
    limited = robot.bound("has_position_limits").astype(bool)
    low = np.where(limited, robot.bound("min_position"), -np.inf)
    high = np.where(limited, robot.bound("max_position"), np.inf)
    if (q < low - 1e-6).any() or (q > high + 1e-6).any():
        problems.append("a position outside the limits")
    steps, dt = np.diff(q, axis=0), np.diff(times)[:, None]
    goes_on = ~anew[1:]
    v_max, a_max = robot.bound("max_velocity"), robot.bound("max_acceleration")
    d_max = np.where(
        robot.bound("has_deceleration_limits").astype(bool), robot.bound("max_deceleration"), a_max
    )
    speed = np.abs(steps) / np.maximum(dt, 1e-3) / v_max
    change = np.abs(np.diff(v, axis=0)) / np.maximum(dt, 1e-3) / np.maximum(a_max, d_max)
    if isinstance(storm.controller, Streamed):  # a gap ends with a stop where it was
        stops = ~v[1:].any(axis=1) & ~steps.any(axis=1) & (dt[:, 0] > 0.02)
        change[stops] = 0.0
    ratios = {}
    for name, ratio in (("velocity", speed), ("acceleration", change)):
        ratio = ratio[goes_on]
        ratios[name] = float(ratio.max(initial=0.0))
        if ratios[name] > SLACK:
            row = int(ratio.max(axis=1).argmax())
            at = float(times[1:][goes_on][row])
            problems.append(f"{ratios[name]:.2f} of the {name} limit at {at:.3f} s")
    if storm.moved_unasked:
        problems.append(f"motion that nobody asked for at {storm.moved_unasked[0]} ms")
    return problems, ratios
