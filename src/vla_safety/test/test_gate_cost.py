"""bench/gate_cost.py runs, and its plans do what its table says: some keep clear, some do not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).resolve().parents[3] / "bench"


@pytest.fixture
def gate_cost(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCH))
    yield pytest.importorskip("gate_cost")
    sys.modules.pop("gate_cost", None)


@pytest.mark.parametrize("arms", [1, 2])
def test_plans_that_keep_clear_pass_and_others_are_slowed(gate_cost, arms):
    clear = gate_cost.measure(arms, 0.0, 130)
    into = gate_cost.measure(arms, gate_cost.DIP, 130)
    assert clear["eased"] == clear["held"] == 0.0
    assert into["eased"] > 0.0
    assert set(clear["parts"]) == set(gate_cost.PARTS)
    assert clear["joints"] == 7 * arms
    assert "| clearance |" in gate_cost.table({"x": clear})


def test_a_check_keeps_no_memory(gate_cost):
    assert gate_cost.allocated() < 20_000
