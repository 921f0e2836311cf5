"""What the user sees: everything of note in one line, and a view that can always be drawn."""

from __future__ import annotations

import io
import time

from conftest import BundleFolder, share_of
from rich.console import Console

from vla_bringup.core import preflight
from vla_bringup.core.graph import Options
from vla_bringup.core.recorder import Recorder, Safety, Task
from vla_bringup.core.resources import ResourceMeter
from vla_bringup.live import View, line
from vla_common.core.trace import Trace


def recorder() -> Recorder:
    found = Recorder()
    now = time.monotonic_ns()
    for i in range(50):
        at = now + (i - 50) * 50_000_000
        found.on_actions(at, at)
        found.on_latency(Trace(capture_ns=at - 30_000_000, action_ns=at, command_ns=at + 5_000_000))
    found.on_safety(
        Safety(state="LATCHED", cause="emergency stop", blocked_by=("button",), counts={"nan": 2}),
        now,
    )
    found.task = Task(target="red", distances={"red": 0.12}, successes=2)
    found.instruction = "reach the [red] cube"
    found.cameras["front"] = 29.97
    found.warnings.append("safety_gate: stopped [/nonsense]")
    return found


def test_the_line_tells_rates_gate_and_task() -> None:
    text = line(recorder(), ResourceMeter())
    for words in ("actions 20.0 Hz", "p50 35", "LATCHED (emergency stop)", "red", "12.0 cm"):
        assert words in text


def test_a_publisher_that_stands_is_told() -> None:
    found = recorder()
    values = {"State": "latched", "Cause": "lease lost"}
    found.on_diagnostic("joint_command_publisher: Loop", 2, "lease lost", values)
    assert "publisher latched (lease lost)" in line(found, ResourceMeter())


def test_the_line_before_anything_was_seen() -> None:
    assert "no command yet" in line(Recorder(), ResourceMeter())


def test_the_view_shows_text_as_it_is(bundle: BundleFolder) -> None:
    plan = preflight.plan("sim_arm", str(bundle.path), Options(), share_of)
    console = Console(file=io.StringIO(), force_terminal=True, width=120, height=60)
    view = View(plan, console, live=True)
    view.show(recorder(), ResourceMeter(), {"gate": 7}, {"gate": 1, "pipeline": 0}, 12.0)
    view.close()
    shown = console.file.getvalue()
    for words in ("[red]", "LATCHED", "30.0 Hz", "12 s left", "[/nonsense]", "down"):
        assert words in shown


def test_the_view_before_anything_was_seen(bundle: BundleFolder) -> None:
    plan = preflight.plan("sim_arm", str(bundle.path), Options(), share_of)
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    view = View(plan, console, live=True)
    view.show(Recorder(), ResourceMeter(), {}, {}, None)
    view.close()
    assert "Ctrl-C stops" in console.file.getvalue()
