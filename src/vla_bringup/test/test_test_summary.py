"""tools/test_summary.py: the last line CI reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

SUITE = (
    '<testsuites><testsuite><testcase classname="t" name="a"/>'
    '<testcase classname="t" name="b"><skipped message="no GPU"/></testcase>{more}'
    "</testsuite></testsuites>"
)
FAILED = '<testcase classname="t" name="c"><failure message="no">trace</failure></testcase>'


def summary(base: Path) -> tuple[int, list[str]]:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "test_summary.py"), str(base)],
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout.splitlines()


def write(base: Path, name: str, text: str) -> None:
    path = base / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_both_kinds_of_packages_are_added_up(tmp_path: Path) -> None:
    write(tmp_path, "vla_a/pytest.xml", SUITE.format(more=""))
    write(tmp_path, "vla_b/test_results/vla_b/test_x.xunit.xml", SUITE.format(more=""))
    code, lines = summary(tmp_path)
    assert (code, lines[-1]) == (0, "2 passed, 0 failed, 2 skipped")
    assert "skipped 2: no GPU" in lines


@pytest.mark.parametrize("text", [SUITE.format(more=FAILED), "<testsuite><test"])
def test_a_failure_and_a_file_that_was_cut_off_fail(tmp_path: Path, text: str) -> None:
    write(tmp_path, "vla_a/pytest.xml", SUITE.format(more=""))
    write(tmp_path, "vla_b/pytest.xml", text)
    code, lines = summary(tmp_path)
    assert code == 1
    assert ", 1 failed, " in lines[-1]


def test_no_test_at_all_is_a_failure(tmp_path: Path) -> None:
    assert summary(tmp_path) == (1, ["0 passed, 0 failed, 0 skipped"])
