"""tools/mutants_page.py: what is written by hand outlives a new run."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "tools"))

import mutants_page
from mutants_page import BEGIN, END, NEW, Survivor

PAGE = f"""# Mutants

Words.

{BEGIN}
| file | mutants | found | by time-out | survived | not run | score | on |
|---|---|---|---|---|---|---|---|
| gate.py | 10 | 8 | 0 | 2 | 0 | 80.0 % | 2026-11-20 |
| gone.py | 5 | 4 | 0 | 1 | 0 | 80.0 % | 2026-11-20 |
| path.py | 4 | 2 | 1 | 1 | 0 | 75.0 % | 2026-11-20 |
| all | 19 | 14 | 1 | 4 | 0 | 78.9 % | |

### On a border

- gate.py `Gate.due_ns 8`: `at > now` → `at >= now`
- gone.py `f 1`: `a` → `b`
- path.py `at 3`: `x < y` → `x <= y`

### First value

- gate.py `Gate.__init__ 2`: `self._n = 0` → `self._n = 1`
{END}

More words.
"""
NAMES = {"gate.py", "path.py", "values.py"}


@pytest.fixture
def page(tmp_path: Path) -> Path:
    found = tmp_path / "page.md"
    found.write_text(PAGE, encoding="utf-8")
    return found


def survivor(number: int, old: str, new: str, function: str = "xǁGateǁdue_ns") -> Survivor:
    mutant = f"vla_safety.core.gate.{function}__mutmut_{number}"
    return Survivor.of(mutant, [f"- {old}", f"+ {new}"])


def write(page: Path, alive: list[Survivor]) -> str:
    counts = {"gate.py": Counter({"killed": 6, "timeout": 1, "survived": 2, "not run": 3})}
    mutants_page.write(page, counts, alive, NAMES, "2026-11-27")
    return page.read_text(encoding="utf-8")


def test_how_a_survivor_is_named() -> None:
    assert str(survivor(8, "a", "b")) == "- gate.py `Gate.due_ns 8`: `a` → `b`"
    assert str(survivor(3, "a", "b", "x__cause")) == "- gate.py `_cause 3`: `a` → `b`"


def test_reasons_stay_though_numbers_change_and_what_is_new_stands_apart(page: Path) -> None:
    text = write(page, [survivor(12, "at > now", "at >= now"), survivor(2, "c", "d")])
    border, rest = text.split("### On a border")[1].split("### ")[:2]
    assert "gate.py `Gate.due_ns 12`: `at > now` → `at >= now`" in border
    assert rest.startswith(NEW) and "- gate.py `Gate.due_ns 2`: `c` → `d`" in rest
    assert "Gate.__init__" not in text and "First value" not in text  # it is found now


def test_other_files_stay_and_files_that_are_gone_go(page: Path) -> None:
    text = write(page, [])
    assert "| gate.py | 12 | 6 | 1 | 2 | 3 | 77.8 % | 2026-11-27 |" in text
    assert "| path.py | 4 | 2 | 1 | 1 | 0 | 75.0 % | 2026-11-20 |" in text
    assert "- path.py `at 3`: `x < y` → `x <= y`" in text
    assert "gone.py" not in text
    assert "| all | 16 | 8 | 2 | 3 | 3 | 76.9 % |  |" in text
    assert text.startswith("# Mutants\n\nWords.\n\n") and text.endswith("\n\nMore words.\n")


def test_a_run_that_hardly_began_does_not_replace_an_earlier_one() -> None:
    assert mutants_page.enough(Counter({"killed": 3, "survived": 1, "not run": 8}))
    assert not mutants_page.enough(Counter({"killed": 3, "not run": 8}))
    assert not mutants_page.enough(Counter({"not run": 8}))


def test_written_twice_it_is_the_same(page: Path) -> None:
    alive = [survivor(12, "at > now", "at >= now"), survivor(2, "c", "d")]
    once = write(page, alive)
    assert write(page, alive) == once


def test_a_page_without_marks_is_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("words\n", encoding="utf-8")
    with pytest.raises(ValueError, match="marks"):
        write(other, [])
    assert other.read_text(encoding="utf-8") == "words\n"
