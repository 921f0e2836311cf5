"""Every test that the safety page names exists, and its measured table can be filled in."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench" / "reactions"), str(ROOT / "bench")]

import gate_cost  # noqa: E402
import page  # noqa: E402
import table  # noqa: E402

PAGE = (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(\w+)/(test_\w+\.py)::([\w:]+)`", PAGE)))


def names_in(path: Path) -> set[str]:
    """Return ``test_x``, ``TestY`` and ``TestY::test_z`` of a file; also classes by assignment."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found.add(node.name)
            functions = [child for child in node.body if isinstance(child, ast.FunctionDef)]
            found |= {f"{node.name}::{child.name}" for child in functions}
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


@pytest.mark.parametrize(("package", "file", "name"), NAMED)
def test_a_test_that_is_named_exists(package: str, file: str, name: str) -> None:
    folder = ROOT / "test" if package == "test" else ROOT / "src" / package / "test"
    assert (folder / file).is_file(), f"no file {folder / file}"
    assert name in names_in(folder / file), f"{file} has no {name}"


def test_every_hazard_names_its_test() -> None:
    assert len(NAMED) > 50
    part = PAGE.split("## Hazard by hazard")[1].split("## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("|")][2:]
    assert len(rows) > 20
    for row in rows:
        assert re.search(r"::test_\w+`", row), f"no test in: {row[:60]}"


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []


def tally(**changes) -> table.Tally:
    return table.Tally(**{"name": "nan", "what": "NaN", "bound": 0.16, **changes})


def test_figures_of_reactions() -> None:
    seconds = [0.001 * (i + 1) for i in range(100)]
    found = tally(slowed=seconds, rest=[0.2] * 100).figures()
    assert (found["begins_p50_ms"], found["begins_p99_ms"]) == (50.0, 99.0)
    assert (found["begins_max_ms"], found["rest_max_ms"]) == (100.0, 200.0)
    assert found["passed"]
    assert table.quantile([7.0], 0.99) == 7.0


@pytest.mark.parametrize(
    "bad",
    [
        {"slowed": [0.05, 0.1601]},
        {"slowed": [0.05], "missed": 1},
        {"slowed": []},
        {"slowed": [0.05], "problems": ["the gate is ACTIVE"]},
    ],
)
def test_a_bound_that_is_not_kept_is_said(bad) -> None:
    assert tally(slowed=[0.05, 0.16]).passed
    found = tally(**bad).figures()
    assert not found["passed"]
    assert "**not kept**" in table.markdown({"nan": found})


def test_the_page_takes_the_table(tmp_path: Path) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(PAGE, encoding="utf-8")
    rows = table.markdown({"nan": tally(slowed=[0.05], rest=[0.1], on="2026-01-02").figures()})
    for _ in range(2):
        page.put(copy, table.BEGIN, table.END, rows)
    text = copy.read_text(encoding="utf-8")
    assert text.count("| NaN | 50 / 50 / 50 | 100 | 160 | 1 | 2026-01-02 | kept |") == 1
    assert text.split(table.END)[1] == PAGE.split(table.END)[1]
    page.put(copy, gate_cost.BEGIN, gate_cost.END, "costs")
    assert f"{gate_cost.BEGIN}\ncosts\n{gate_cost.END}" in copy.read_text(encoding="utf-8")


def test_rows_of_faults_not_measured_stay_and_all_stand_in_order() -> None:
    old = table.markdown({n: tally(what=n, slowed=[0.05]).figures() for n in ("b", "d", "gone")})
    new = {n: tally(what=n, slowed=[0.12]).figures() for n in ("d", "a")}
    rows = table.renewed(f"\n{old}\n", new, ["a", "b", "c", "d"]).splitlines()
    assert "\n".join(rows[:2]) == table.HEAD
    assert [row[:8] for row in rows[2:]] == ["| a | 12", "| b | 50", "| d | 12"]


@pytest.mark.parametrize("text", ["nothing", "a b b", "b a", "b", "a"])
def test_a_page_without_its_marks_stays_as_it_is(tmp_path: Path, text: str) -> None:
    copy = tmp_path / "page.md"
    copy.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="marks"):
        page.put(copy, "a", "b", "table")
    assert copy.read_text(encoding="utf-8") == text
