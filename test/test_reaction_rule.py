"""Which injections of `make reactions` count, and which are made again."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from harness import ROOT

sys.path[:0] = [str(ROOT / "bench" / "reactions"), str(ROOT / "bench")]

from run import injection  # noqa: E402
from table import Tally  # noqa: E402

BOUND = 0.160


def after(
    found: tuple[float, float] | None, still: float = 0.0, outside: str = "", reached: bool = True
) -> Tally:
    """Return the tally of one injection that was answered so."""
    healed: list[Any] = []
    fault = SimpleNamespace(
        bound=BOUND, rests=True, states=("HOLD",), reason="", check=lambda rig: "",
        inject=lambda rig: 0, heal=healed.append,
    )  # fmt: skip
    rig = SimpleNamespace(
        watcher=SimpleNamespace(counts={}, state="ACTIVE"),
        reaction=lambda *_: found,
        stood_still=lambda *_: still,
        reached=lambda states: reached,
        outside_limits=lambda: outside,
        seen=lambda fault_ns: "nothing",
    )
    tally = Tally("fault", "a fault", BOUND)
    injection(rig, fault, tally)  # type: ignore[arg-type]
    assert healed == [rig]
    return tally


@pytest.mark.parametrize("still", [0.0, 0.02])
def test_what_kept_its_bound_counts_with_the_time_that_it_took(still: float) -> None:
    tally = after((0.1, 0.15), still)
    assert (tally.slowed, tally.rest, tally.disturbed) == ([0.1], [0.15], [])
    assert tally.passed


@pytest.mark.parametrize("wrong", [{"found": (0.2, 0.25)}, {"found": (0.1, 0.2), "reached": False}])
def test_what_went_wrong_counts_unless_the_machine_stood_still(wrong: dict[str, Any]) -> None:
    assert after(**wrong).injections == 1 and not after(**wrong).passed
    again = after(**wrong, still=0.02)
    assert (again.injections, again.disturbed, again.problems) == (0, [0.02], [])
    assert not again.passed  # nor does it count as good


@pytest.mark.parametrize("still", [0.0, 0.02])
@pytest.mark.parametrize("seconds", [0.1, 0.2])
def test_a_limit_that_was_passed_is_never_excused(seconds: float, still: float) -> None:
    assert after((seconds, 0.3), still, outside="too fast").problems == ["too fast"]


def test_no_reaction_at_all_is_never_excused() -> None:
    tally = after(None, 0.02)
    assert tally.missed == 1 and not tally.passed and tally.problems
