"""Diagnostics of joint_command_publisher: Loop, Latency and Output."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from vla_command.core.watchdog import Mode
from vla_common.diagnostics import ERROR, OK, WARN, Diagnostics, number

if TYPE_CHECKING:
    from vla_command.core.latency import StageLatency
    from vla_command.node import CommandPublisher

PERIOD_WARN = 1.2  # of the target: the 99th percentile of the loop's period
OVERRUN_PERIODS = 1.0  # so many periods late is an error
REFRESH_NS = 900_000_000  # percentiles are computed at most this often


class Report:
    """The diagnostic tasks; they only read."""

    def __init__(self, node: CommandPublisher) -> None:
        self._node = node
        self._stages: list[StageLatency] = []
        self._stages_ns = 0

    def add_to(self, diagnostics: Diagnostics) -> None:
        """Register the tasks."""
        diagnostics.add("Loop", self.loop)
        diagnostics.add("Latency", self.latency)
        diagnostics.add("Output", self.output)
        if self._node.shadow is not None:
            diagnostics.add("Shadow", self.shadow)

    def loop(self, stat: Any) -> Any:
        """Tell the period of the loop, and the gate's lease."""
        loop, commander = self._node.loop, self._node.commander
        if loop is None or commander is None:
            stat.summary(OK, "not active")
            return stat
        target_ms = loop.period_ns * 1e-6
        period, watchdog = loop.period_ms.summary(), commander.watchdog
        if not loop.alive:
            stat.summary(ERROR, "the loop has ended")
        elif watchdog.mode is Mode.LATCHED:
            stat.summary(ERROR, watchdog.cause)
        elif period.max > (1.0 + OVERRUN_PERIODS) * target_ms:
            stat.summary(ERROR, f"overrun: a period of {period.max:.1f} ms")
        elif period.p99 >= PERIOD_WARN * target_ms:
            stat.summary(WARN, f"period p99 {period.p99:.1f} ms of {target_ms:.1f} ms")
        elif not watchdog.valid_until_ns:
            stat.summary(WARN, "the gate was not heard yet")
        else:
            stat.summary(OK, watchdog.mode.value)
        stat.add("State", watchdog.mode.value)
        stat.add("Cause", watchdog.cause)
        stat.add("Target (Hz)", number(1e9 / loop.period_ns, 1))
        for key in ("p50", "p99", "max"):
            stat.add(f"Period {key} (ms)", number(getattr(period, key)))
        stat.add("Overruns", str(loop.overruns))
        margin = watchdog.margin_ns(time.monotonic_ns()) * 1e-6 if watchdog.valid_until_ns else 0.0
        stat.add("Lease margin (ms)", number(margin, 1))
        margins = self._node.margin_ms.values()
        stat.add(
            "Lease margin min (60 s) (ms)", number(margins.min(), 1) if margins.size else "nan"
        )
        stat.add("Lease losses and holds", str(watchdog.trips))
        return stat

    def latency(self, stat: Any) -> Any:
        """Tell the latency from capture to command, by stage."""
        now_ns = time.monotonic_ns()
        if now_ns - self._stages_ns > REFRESH_NS:
            self._stages, self._stages_ns = self._node.latency.stages(), now_ns
        total = self._stages[-1]
        if not total.window.count:
            stat.summary(OK, "no command yet")
        elif total.window.p99 > total.budget_ms:
            stat.summary(
                WARN, f"total p99 {total.window.p99:.1f} ms, budget {total.budget_ms:.0f} ms"
            )
        else:
            stat.summary(OK, f"total p99 {total.window.p99:.1f} ms")
        for stage in self._stages:
            if not stage.window.count:
                continue
            for key in ("p50", "p95", "p99", "max"):
                stat.add(f"{stage.name} {key} (ms)", number(getattr(stage.window, key)))
            stat.add(f"{stage.name} max since start (ms)", number(stage.max_ever))
            stat.add(f"{stage.name} budget (ms)", number(stage.budget_ms, 1))
            stat.add(f"{stage.name} over budget", str(stage.overruns))
        stat.add("Commands", str(total.window.count))
        return stat

    def output(self, stat: Any) -> Any:
        """Tell what is sent, to whom, and what was refused."""
        node, commander = self._node, self._node.commander
        controller = node.robot.controller
        if commander is None:
            stat.summary(OK, "not active")
            return stat
        if commander.watchdog.problems:
            stat.summary(ERROR, "; ".join(commander.watchdog.problems))
        elif commander.refused:
            reason, count = commander.refused.most_common(1)[0]
            stat.summary(WARN, f"refused since start: {reason.value} ({count})")
        else:
            stat.summary(OK, "dry run: nothing is commanded" if controller.dry_run else "sending")
        stat.add("Type", controller.type)
        stat.add("Topic", node.topic)
        stat.add("Rate (Hz)", number(node.sent.rate(time.monotonic_ns()), 2))
        stat.add("Sent", str(node.sent.total))
        stat.add("Accepted", str(commander.accepted))
        stat.add("Ignored while not following", str(commander.ignored))
        for reason, count in sorted(commander.refused.items()):
            stat.add(f"Refused: {reason.value}", str(count))
        stat.add("Subscribers", str(node.watch.subscribers))
        stat.add("Other publishers", str(node.watch.others))
        stat.add("Dry run", str(controller.dry_run))
        return stat

    def shadow(self, stat: Any) -> Any:
        """Tell, in a dry run, how what would be commanded compares with what the arm does."""
        shadow = self._node.shadow
        found = None if shadow is None else shadow.likeness()
        if found is None:
            stat.summary(OK, "dry run: nothing to compare yet")
            return stat
        unlike = number(float(found.rms.max()))
        stat.summary(OK, f"dry run: up to {unlike} rms apart, direction {found.direction:.2f}")
        stat.add("Direction (cosine)", number(found.direction))
        stat.add("Compared (60 s)", str(found.compared))
        for name, rms, largest in zip(self._node.robot.joints, found.rms, found.largest):
            stat.add(f"{name} rms (rad or m)", number(float(rms), 4))
            stat.add(f"{name} max (rad or m)", number(float(largest), 4))
        return stat
