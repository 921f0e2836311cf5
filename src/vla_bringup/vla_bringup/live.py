"""What the user sees while the graph runs: a live view, or a line every two seconds."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from vla_bringup.core.preflight import Plan
from vla_bringup.core.recorder import Recorder, Stream
from vla_bringup.core.resources import ResourceMeter
from vla_common.core.trace import STAGES

COLOURS = {
    "ACTIVE": "green",
    "SLOW": "yellow",
    "READY": "cyan",
    "INACTIVE": "cyan",
    "HOLD": "yellow",
    "STOPPING": "red",
    "LATCHED": "bold red",
}
REFRESH = 0.5
LINE = 2.0


def _hertz(stream: Stream, now_ns: int) -> str:
    summary = stream.recent_ms.summary()
    if not summary.count:
        return "-"
    return f"{stream.meter.rate(now_ns):5.2f} Hz   period p99 {summary.p99:5.1f} ms"


def _state(recorder: Recorder) -> Text:
    safety = recorder.safety
    if safety is None:
        return Text("not heard of yet", "dim")
    text = Text(safety.state, COLOURS.get(safety.state, "white"))
    if safety.cause:
        text.append(f"  {safety.cause}", "default")
    if safety.state == "LATCHED":
        blocked = f"; blocked by {', '.join(safety.blocked_by)}" if safety.blocked_by else ""
        text.append(f"  (call /safety_gate/reset, then /safety_gate/enable{blocked})", "dim")
    return text


def _task(recorder: Recorder) -> Text:
    task = recorder.task
    if task is None:
        return Text("-", "dim")
    distances = "  ".join(f"{name} {d * 100:.1f} cm" for name, d in task.distances.items())
    verdict = (
        Text("reached", "bold green")
        if task.success
        else Text(f"on the way to {task.target or 'no cube'}")
    )
    verdict.append(f"   {distances}   successes {task.successes}", "default")
    return verdict


def _facts(plan: Plan, recorder: Recorder, now_ns: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column()
    cameras = "  ".join(f"{name} {rate:.1f} Hz" for name, rate in recorder.cameras.items())
    backend = recorder.model.get("Backend", "")
    table.add_row(
        "instruction", Text(recorder.instruction or "(none: waiting for /vla/instruction)")
    )
    table.add_row("task", _task(recorder))
    table.add_row("gate", _state(recorder))
    if recorder.publisher_stands():
        table.add_row("publisher", Text(f"latched  {recorder.publisher[1]}", "bold red"))
    table.add_row("/vla/actions", _hertz(recorder.actions, now_ns))
    table.add_row("trajectories", _hertz(recorder.trajectories, now_ns))
    table.add_row("cameras", Text(cameras or "-"))
    table.add_row("model", Text(f"{plan.bundle.model_id} {backend}"))
    reasons = {k: n for k, n in (recorder.safety.counts if recorder.safety else {}).items() if n}
    if reasons:
        table.add_row(
            "gate counts", Text("  ".join(f"{k} {n}" for k, n in sorted(reasons.items())))
        )
    return table


def _latency(recorder: Recorder) -> Table:
    table = Table(title="capture to command [ms], last 10 s", title_justify="left", box=None)
    for heading in ("stage", "p50", "p99", "budget"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for name, (_, _, budget) in STAGES.items():
        summary = recorder.recent_latency[name].summary()
        if summary.count:
            style = "bold" if name == "total" else ("yellow" if summary.p99 > budget else "")
            table.add_row(
                name, f"{summary.p50:.1f}", f"{summary.p99:.1f}", f"{budget:g}", style=style
            )
    return table


def _processes(meter: ResourceMeter, pids: Mapping[str, int], restarts: Mapping[str, int]) -> Table:
    table = Table(title="processes", title_justify="left", box=None)
    for heading in ("name", "pid", "CPU %", "RSS MB", "restarts"):
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for name, count in restarts.items():
        usage = meter.usage.get(name)
        cpu, rss = (f"{usage.cpu:.0f}", f"{usage.rss / 1e6:.0f}") if usage else ("-", "-")
        pid = str(pids.get(name, "down"))
        table.add_row(name, pid, cpu, rss, str(count), style="" if name in pids else "red")
    table.add_row(
        "sum",
        "",
        f"{sum(u.cpu for u in meter.usage.values()):.0f}",
        f"{meter.rss_sum() / 1e6:.0f}",
        "",
    )
    return table


class View:
    """Shows the graph until ``close``; ``show`` may be called as often as one likes."""

    def __init__(self, plan: Plan, console: Console, live: bool) -> None:
        self._plan = plan
        self._console = console
        self._live = Live(console=console, auto_refresh=False) if live else None
        self._next = 0.0
        if self._live is not None:
            self._live.start()

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(Text(text), soft_wrap=True)

    def show(
        self,
        recorder: Recorder,
        meter: ResourceMeter,
        pids: Mapping[str, int],
        restarts: Mapping[str, int],
        remaining: float | None,
    ) -> None:
        """Show the newest state; ``remaining`` [s] until the run ends, None: until Ctrl-C."""
        now = time.monotonic()
        if now < self._next:
            return
        if self._live is not None:
            self._next = now + REFRESH
            self._live.update(self._panel(recorder, meter, pids, restarts, remaining), refresh=True)
        else:
            self._next = now + LINE
            self._console.print(Text(line(recorder, meter)), soft_wrap=True)

    def _panel(
        self,
        recorder: Recorder,
        meter: ResourceMeter,
        pids: Mapping[str, int],
        restarts: Mapping[str, int],
        remaining: float | None,
    ) -> RenderableType:
        columns = Table.grid(padding=(0, 4))
        columns.add_row(_latency(recorder), _processes(meter, pids, restarts))
        parts: list[RenderableType] = [
            _facts(self._plan, recorder, time.monotonic_ns()),
            Text(),
            columns,
        ]
        parts += [
            Text(warning, "yellow", overflow="ellipsis", no_wrap=True)
            for warning in recorder.warnings
        ]
        end = (
            "Ctrl-C stops"
            if remaining is None
            else f"{max(0.0, remaining):.0f} s left, Ctrl-C stops"
        )
        title = f"vla_ros: {self._plan.robot.identity.name}"
        return Panel(Group(*parts), title=title, subtitle=end)

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._live is not None:
            self._live.stop()


def line(recorder: Recorder, meter: ResourceMeter) -> str:
    """Return the state in one line, for logs and pipes."""
    now_ns = time.monotonic_ns()
    total = recorder.recent_latency["total"].summary()
    words = [
        f"actions {recorder.actions.meter.rate(now_ns):.1f} Hz",
        f"commands {recorder.trajectories.meter.rate(now_ns):.1f} Hz",
        f"capture-to-command p50 {total.p50:.0f} p99 {total.p99:.0f} ms"
        if total.count
        else "no command yet",
        f"gate {recorder.safety.state if recorder.safety else 'not heard of'}",
    ]
    if recorder.safety is not None and recorder.safety.cause:
        words[-1] += f" ({recorder.safety.cause})"
    if recorder.publisher_stands():
        words.append(f"publisher latched ({recorder.publisher[1]})")
    if recorder.task is not None:
        task = recorder.task
        distance = task.distances.get(task.target)
        words.append(f"{task.target or 'no cube'} {'reached' if task.success else ''}".strip())
        if distance is not None:
            words[-1] += f" {distance * 100:.1f} cm"
    words.append(f"RSS {meter.rss_sum() / 1e6:.0f} MB")
    return " | ".join(words)
