"""Computer, clock and nodes: what is a warning, what an error, and when it is over."""

import math
import os
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_monitor.core import clock, nodes, system
from vla_monitor.core.level import ERROR, OK, WARN
from vla_monitor.core.trend import Trend

S = 1_000_000_000
MS = 1_000_000


@given(st.floats(-50.0, 50.0), st.floats(-1e3, 1e3), st.integers(3, 50))
def test_trend_finds_the_slope_of_a_line(slope, start, count):
    trend = Trend(span_s=1e6, least_s=2.0)
    for i in range(count):
        trend.add(10**15 + i * S, start + slope * i)
    assert trend.slope() == pytest.approx(slope, abs=1e-6)


def test_trend_needs_time_and_forgets():
    trend = Trend(span_s=10.0, least_s=5.0)
    assert math.isnan(trend.slope()) and trend.covered_s == 0.0
    for i in range(5):
        trend.add(i * S, 100.0 * i)
    assert math.isnan(trend.slope())
    for i in range(5, 40):
        trend.add(i * S, 7.0)
    assert trend.slope() == pytest.approx(0.0) and trend.covered_s == 10.0


READING = system.SystemReading(
    load=0.3, load_average=0.5, cores=2, free_mb=4000.0, total_mb=8000.0, swap_used_mb=0.0,
    disk_free_mb=9000.0, received_mb_s=0.0, sent_mb_s=0.0, processes=(),
)  # fmt: skip


def grows(slope, covered_s):
    return (system.ProcessReading("pipeline", 1, 300.0, slope, covered_s, 0.5),)


@pytest.mark.parametrize(
    "changes, level",
    [
        ({}, OK),
        ({"load": 0.95}, WARN),
        ({"free_mb": 500.0, "load": 0.95}, ERROR),
        ({"disk_free_mb": 100.0}, WARN),
        ({"processes": grows(500.0, 60.0)}, OK),
        ({"processes": grows(500.0, 400.0)}, WARN),
        ({"processes": grows(float("nan"), 400.0)}, OK),
    ],
)
def test_judgement_of_the_computer(changes, level):
    assert system.judge(replace(READING, **changes))[0] == level


@pytest.mark.parametrize(
    "command, name",
    [
        (["/v/bin/python", "/w/install/vla_safety/lib/vla_safety/safety_gate"], "safety_gate"),
        (["python3", "-m", "vla_sim.node", "--ros-args"], "vla_sim"),
        (["bash", "-c", "sleep 1"], None),
        (["python3", "/w/vlad_the_first/tool.py"], None),
        ([], None),
    ],
)
def test_processes_of_ours_by_their_command_line(command, name):
    assert system.label(command) == name


def test_this_computer_can_be_read():
    probe = system.SystemProbe(os.getcwd())
    probe.read(S)
    reading = probe.read(2 * S)
    assert 0.0 <= reading.load <= 1.0 and reading.cores >= 1
    assert 0.0 < reading.free_mb <= reading.total_mb and reading.disk_free_mb > 0.0
    assert reading.received_mb_s >= 0.0


def test_a_clock_that_keeps_its_offset_is_ok():
    watch = clock.ClockWatch()
    readings = [watch.update(10**18 + t * S + 40_000, t * S) for t in range(100)]
    assert all(clock.judge(r)[0] == OK for r in readings)


@given(st.integers(100, 3_600_000), st.sampled_from([-1, 1]))
def test_a_step_is_an_error_for_a_minute_and_counted_once(step_ms, sign):
    watch = clock.ClockWatch()
    watch.update(10**18, 0)
    offset = 10**18 + sign * step_ms * MS
    reading = watch.update(offset + S, S)
    assert reading.steps == 1 and reading.last_step_ms == pytest.approx(sign * step_ms)
    assert clock.judge(reading)[0] == ERROR
    assert clock.judge(watch.update(offset + 59 * S, 59 * S))[0] == ERROR
    reading = watch.update(offset + 62 * S, 62 * S)
    assert clock.judge(reading)[0] == OK and reading.steps == 1


def test_a_clock_that_drifts_away_warns_then_errs():
    watch = clock.ClockWatch()
    levels = [clock.judge(watch.update(10**18 + t * S + t * 10 * MS, t * S))[0] for t in range(20)]
    assert levels[0] == OK and levels[1:10] == [WARN] * 9 and levels[10:] == [ERROR] * 10


def test_synchronised_is_unknown_unless_told(tmp_path):
    assert clock.synchronised(tmp_path) == "unknown"
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert clock.synchronised(tmp_path) == "yes"


def test_the_life_of_a_node():
    watch = nodes.NodeWatch(("gate", "camera"), 0)
    level, message = nodes.judge(watch.read(S))
    assert level == WARN and "not seen yet: camera, gate" in message
    for t in range(1, 21):
        watch.heard("gate", t * S)
        watch.heard("camera", t * S)
        watch.endpoints({"gate": {b"1"}, "camera": {b"2"}}, t * S)
    watch.states({"gate": "active"})
    camera, gate = watch.read(20 * S)
    assert (gate.state, camera.state, gate.restarts) == ("active", "unknown", 0)
    assert nodes.judge(watch.read(20 * S)) == (OK, "2 nodes alive")
    level, message = nodes.judge(watch.read(24 * S))
    assert level == ERROR and message == "silent: camera, gate"
    # the gate comes back beside its ghost
    watch.heard("gate", 25 * S)
    watch.heard("camera", 25 * S)
    watch.endpoints({"gate": {b"1", b"3"}, "camera": {b"2"}}, 25 * S)
    watch.endpoints({"gate": {b"3"}, "camera": {b"2"}}, 26 * S)
    level, message = nodes.judge(watch.read(26 * S))
    assert level == WARN and message == "restarted: gate"
    assert watch.read(26 * S)[1].restarts == 1


def test_an_expected_node_that_never_came_is_an_error():
    watch = nodes.NodeWatch(("gate",), 0)
    assert nodes.judge(watch.read(21 * S)) == (ERROR, "silent: gate")


def test_a_stranger_that_goes_is_a_warning():
    watch = nodes.NodeWatch((), 0)
    watch.heard("driver", S)
    assert nodes.judge(watch.read(2 * S))[0] == OK
    assert nodes.judge(watch.read(9 * S)) == (WARN, "gone: driver")
