"""Adds up the xunit files of a colcon test run; the last line is `N passed, N failed, N skipped`.

Usage: python tools/test_summary.py build
Exit code 0 when at least one test ran and none failed.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Totals:
    """Of all files read. A file that cannot be read counts as a failure."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    failures: list[str] = field(default_factory=list)
    skips: dict[str, int] = field(default_factory=dict)

    def fail(self, what: str) -> None:
        """Count a failure."""
        self.failed += 1
        self.failures.append(what)


def result_files(base: Path) -> list[Path]:
    """Return the xunit files of each package: pytest.xml, or test_results for ament_cmake."""
    found = [*base.glob("*/pytest.xml"), *base.glob("*/test_results/**/*.xunit.xml")]
    return sorted(found)


def add_file(path: Path, totals: Totals) -> None:
    """Count the test cases of one xunit file."""
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError) as error:
        totals.fail(f"{path}: {error}")
        return
    for case in root.iter("testcase"):
        name = f"{case.get('classname', '')}.{case.get('name', '')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            totals.fail(name)
        elif skipped is not None:
            totals.skipped += 1
            reason = (skipped.get("message") or "no reason given").splitlines()[0]
            totals.skips[reason] = totals.skips.get(reason, 0) + 1
        else:
            totals.passed += 1


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    totals = Totals()
    for path in result_files(Path(arguments[0])):
        add_file(path, totals)
    for reason, number in sorted(totals.skips.items()):
        print(f"skipped {number}: {reason}")
    for name in totals.failures:
        print(f"FAILED {name}")
    print(f"{totals.passed} passed, {totals.failed} failed, {totals.skipped} skipped")
    return 0 if totals.passed and not totals.failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
