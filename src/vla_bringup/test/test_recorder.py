"""What is measured: rates and periods by the time of sending, latency by stage, the report."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from conftest import BundleFolder, share_of

from vla_bringup.core import preflight, report
from vla_bringup.core.graph import Options
from vla_bringup.core.recorder import Recorder, Safety, Stream, Task, summary_dict
from vla_bringup.core.resources import ResourceMeter
from vla_common.core.stats import EMPTY
from vla_common.core.trace import Trace

MS = 1_000_000


def test_rate_and_period_of_an_even_stream() -> None:
    stream = Stream()
    for i in range(101):
        stream.add(5_000 * MS + i * 50 * MS)
    assert stream.mean_rate() == pytest.approx(20.0)
    assert stream.period_ms.summary().p99 == pytest.approx(50.0)
    assert stream.count == 101


def test_a_message_that_is_not_newer_counts_once() -> None:
    stream = Stream()
    for sent in (10 * MS, 60 * MS, 60 * MS, 55 * MS):
        stream.add(sent)
    assert stream.count == 2


def test_rate_before_the_second_message_is_unknown() -> None:
    stream = Stream()
    assert math.isnan(stream.mean_rate())
    stream.add(1)
    assert math.isnan(stream.mean_rate())


def test_latency_by_stage_comes_from_the_trace() -> None:
    recorder = Recorder()
    recorder.on_latency(Trace(capture_ns=100 * MS, action_ns=130 * MS, command_ns=141 * MS))
    assert recorder.latency["total"].summary().p50 == pytest.approx(41.0)
    assert recorder.latency["vision"].total == 0
    assert recorder.trajectories.count == 1


def test_a_command_without_observation_is_no_latency() -> None:
    recorder = Recorder()
    recorder.on_latency(Trace(command_ns=141 * MS))
    assert recorder.latency["total"].total == 0
    assert recorder.trajectories.count == 1


def test_gate_history_notes_changes_only() -> None:
    recorder = Recorder()
    for now, state in enumerate(("ACTIVE", "ACTIVE", "HOLD", "ACTIVE")):
        recorder.on_safety(Safety(state=state), now)
    assert [s for _, s, _ in recorder.state_changes] == ["ACTIVE", "HOLD", "ACTIVE"]


def test_diagnostics_give_camera_rates_and_faults() -> None:
    recorder = Recorder()
    recorder.on_diagnostic("camera_ingest: front topic", 0, "ok", {"rate": "29.98"})
    recorder.on_diagnostic("camera_ingest: wrist topic", 2, "stale", {"rate": "-"})
    assert recorder.cameras["front"] == pytest.approx(29.98)
    assert math.isnan(recorder.cameras["wrist"])
    assert recorder.faults() == {"camera_ingest: wrist topic": (2, "stale")}


def test_json_has_no_nan() -> None:
    assert json.loads(json.dumps(summary_dict(EMPTY), allow_nan=False))["p50"] is None


def full_recorder() -> Recorder:
    recorder = Recorder()
    for i in range(40):
        recorder.on_actions(i * 50 * MS + 1, i * 50 * MS + 2 * MS)
        recorder.on_latency(Trace(capture_ns=i * 50 * MS + 1, command_ns=i * 50 * MS + 30 * MS))
    recorder.on_safety(Safety(state="ACTIVE", counts={"stale": 2}), 5)
    recorder.task = Task(target="red", distances={"red": 0.01}, success=True, successes=3)
    recorder.instruction = "reach the red cube"
    return recorder


def test_the_report_holds_what_was_seen(bundle: BundleFolder) -> None:
    plan = preflight.plan("sim_arm", str(bundle.path), Options(seed=7), share_of)
    meter = ResourceMeter()
    meter.sample({"gate": os.getpid()})
    meter.sample({"gate": os.getpid()})
    document = report.make(
        plan, full_recorder(), meter, {"gate": 1}, 0, 2_000 * MS, "stopped by the user"
    )
    assert document["actions"]["rate_hz"] == pytest.approx(20.0)
    assert document["trajectories"]["rate_hz"] == pytest.approx(20.0)
    assert document["latency_ms"]["total"]["p50"] == pytest.approx(30.0, abs=0.01)
    assert document["gate"]["reasons"] == {"stale": 2}
    assert document["task"]["successes"] == 3
    assert document["seed"] == 7
    assert document["restarts"] == 1
    assert document["processes"]["gate"]["rss_mb_max"] > 1.0
    assert document["machine"]["cores"] >= 1
    assert "python" in document["versions"]
    json.dumps(document, allow_nan=False)


def test_a_run_that_saw_nothing_still_has_a_report(bundle: BundleFolder) -> None:
    plan = preflight.plan("sim_arm", str(bundle.path), Options(), share_of)
    document = report.make(plan, Recorder(), ResourceMeter(), {}, 0, 1, "gate ended")
    assert document["actions"]["rate_hz"] is None
    assert document["first_action_s"] is None
    json.dumps(document, allow_nan=False)


def test_the_report_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    report.write_atomically(path, {"a": 1})
    with pytest.raises(ValueError, match="Out of range"):
        report.write_atomically(path, {"a": math.nan})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_process_that_is_gone_uses_nothing() -> None:
    meter = ResourceMeter()
    meter.sample({"a": os.getpid()})
    assert meter.rss_sum() > 0
    meter.sample({})
    assert meter.rss_sum() == 0
    assert meter.usage["a"].rss_max > 0
