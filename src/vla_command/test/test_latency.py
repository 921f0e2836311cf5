"""Stages add up, and what is over budget is counted."""

import pytest

from vla_command.core.latency import LatencyBook
from vla_common.core.trace import FIELDS, Trace

MS = 1_000_000


def test_stages_and_overruns():
    book = LatencyBook()
    for late in (0, 0, 40):
        times = dict(zip(FIELDS, range(1000 * MS, 1010 * MS, MS)))
        times["command_ns"] += late * MS
        book.add(Trace(**times))
    stages = {stage.name: stage for stage in book.stages()}
    assert list(stages)[-1] == "total"
    assert stages["total"].window.p50 == pytest.approx(9.0)
    assert stages["total"].max_ever == pytest.approx(49.0) and stages["total"].overruns == 0
    assert stages["to_command"].overruns == 1 and stages["to_command"].window.count == 3
    parts = sum(s.window.p50 for name, s in stages.items() if name != "total")
    assert parts == pytest.approx(9.0)


def test_a_stage_not_passed_is_left_out():
    book = LatencyBook()
    book.add(Trace(gate_ns=5 * MS, command_ns=6 * MS))
    counts = {stage.name: stage.window.count for stage in book.stages()}
    assert counts["to_command"] == 1 and sum(counts.values()) == 1
