"""What the README says about the code is what the code says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_parameter_tables_are_current() -> None:
    tool = ROOT / "tools" / "describe_parameters.py"
    result = subprocess.run(
        [sys.executable, str(tool), "--check", str(ROOT / "README.md")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_stale_table_is_found(tmp_path: Path) -> None:
    stale = tmp_path / "README.md"
    stale.write_text(README.replace("| `control.rate` |", "| `control.tempo` |"), encoding="utf-8")
    tool = ROOT / "tools" / "describe_parameters.py"
    command = [sys.executable, str(tool), "--check", str(stale)]
    assert subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 1


def test_first_screen_has_what_a_newcomer_needs() -> None:
    head = "\n".join(README.splitlines()[:40])
    for words in ("make run", "make test", "/vla/actions", "safety_gate", "not guaranteed"):
        assert words in head, f"{words!r} is not within the first 40 lines"
    packages = {path.parent.name for path in (ROOT / "src").glob("*/package.xml")}
    assert {name for name in packages if f"`{name}`" not in head} == set()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"`make ([a-z]+)", README))))
def test_make_targets_exist(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"no target {target!r}"


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_messages_that_are_named_exist() -> None:
    named = set(re.findall(r"vla_msgs/(?:msg/)?([A-Z]\w+)", README))
    kept = [*(ROOT / "msg").glob("*.msg"), *(ROOT / "src" / "vla_msgs" / "srv").glob("*.srv")]
    assert named - {path.stem for path in kept} == set()
