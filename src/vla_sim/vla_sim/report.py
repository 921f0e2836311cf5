"""What the simulated arm says of itself on /diagnostics."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from vla_common.core.deadline import DeadlineLoop
from vla_common.core.stats import RateMeter
from vla_common.diagnostics import ERROR, OK, WARN, number
from vla_sim.camera_process import CameraProcess
from vla_sim.core.world import World

RECENT_NS = 2_000_000_000


class Rates:
    """When trajectories came in, and when the last one was rejected."""

    def __init__(self) -> None:
        self.accepted = RateMeter()
        self.rejected_ns = -RECENT_NS

    def command(self, now_ns: int, reason: str) -> None:
        """Note a trajectory; ``reason`` says why it was rejected, empty when it was not."""
        if reason:
            self.rejected_ns = now_ns
        else:
            self.accepted.add(now_ns)


def controller(stat: Any, world: World, rates: Rates) -> Any:
    """Tell what the controller accepted and rejected."""
    now_ns = time.monotonic_ns()
    control = world.controller
    if now_ns - rates.rejected_ns < RECENT_NS:
        stat.summary(WARN, f"trajectory rejected: {control.last_reason}")
    else:
        stat.summary(OK, "following a trajectory" if control.moving(now_ns) else "holding")
    stat.add("Trajectories accepted", str(control.accepted))
    stat.add("Trajectories rejected", str(control.rejections))
    stat.add("Last rejection", control.last_reason)
    stat.add("Rate (Hz)", number(rates.accepted.rate(now_ns), 2))
    for i, joint in enumerate(control.joints):
        peaks = f"{world.peaks.velocity[i]:.3f} {world.peaks.acceleration[i]:.2f}"
        stat.add(f"Peak velocity and acceleration of {joint}", peaks)
    return stat


def loops(stat: Any, running: Sequence[DeadlineLoop], cameras: CameraProcess | None) -> Any:
    """Tell how well the loops keep time."""
    if not running:
        stat.summary(OK, "not active")
    elif not all(loop.alive for loop in running):
        stat.summary(ERROR, "a loop has ended")
    else:
        stat.summary(OK, "running")
    for name, loop in zip(("Control", "Cameras"), running, strict=False):
        period = loop.period_ms.summary()
        stat.add(f"{name} period p50 (ms)", number(period.p50))
        stat.add(f"{name} period p99 (ms)", number(period.p99))
        stat.add(f"{name} period max (ms)", number(period.max))
        stat.add(f"{name} overruns", str(loop.overruns))
    if cameras is not None:
        stat.add("Render p50 (ms)", number(cameras.render_ms.summary().p50))
        stat.add("Render p99 (ms)", number(cameras.render_ms.summary().p99))
        stat.add("Image sets", str(cameras.frames))
        if cameras.written is not None:
            stat.add("Video frames written", str(cameras.written))
            stat.add("Video frames dropped", str(cameras.dropped))
    return stat
