"""docs/mutants.md: how many mutants of each file were found, and which survived for which reason.

The reasons are written by hand, as the heading under which a survivor stands. It stays there when
the page is written anew, as long as the same change to the same function survives.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[1] / "bench"))
import page as pages

BEGIN, END = pages.marks("mutants", "make mutants")
NEW = "Not looked at yet"
LEAST = 1 / 3
"""Of a file's mutants that were run: below it the page keeps what an earlier run found."""
HEADS = ("file", "mutants", "found", "by time-out", "survived", "not run", "score", "on")
ROW = re.compile(r"^\| (?P<file>\w+\.py) \|(?P<cells>.*)\|$")
LINE = re.compile(r"^- (?P<file>\w+\.py) `(?P<function>\S+) (?P<number>\d+)`: (?P<change>.*)$")


@dataclass(frozen=True)
class Survivor:
    """One change that no test finds; ``change`` is shown as it stands in the page."""

    file: str
    function: str
    number: int
    change: str

    @classmethod
    def of(cls, mutant: str, diff: Sequence[str]) -> Survivor:
        """Return what mutmut calls ``mutant``; ``diff``: its changed lines, each with + or -."""
        name, _, number = mutant.rpartition("__mutmut_")
        *_, file, function = name.split(".")
        function = function.removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")
        old, new = (" ".join(line[1:].strip() for line in diff if line[0] == sign) for sign in "-+")
        return cls(f"{file}.py", function, int(number), f"`{old}` → `{new}`")

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells it from others, also after other lines of its function were changed."""
        return self.file, self.function, self.change

    def __str__(self) -> str:
        return f"- {self.file} `{self.function} {self.number}`: {self.change}"


def enough(counts: Counter[str]) -> bool:
    """Return whether so many mutants of a file were run that what the page says is outdated."""
    every = sum(counts.values())
    return every - counts["not run"] >= LEAST * every


def row(file: str, counts: Counter[str], day: str) -> str:
    """Return a row of the table; ``counts``: killed, timeout, survived, ... and not run."""
    every, dead = sum(counts.values()), counts["killed"] + counts["timeout"]
    run = every - counts["not run"]
    score = f"{100.0 * dead / run:.1f} %" if run else "-"
    cells = (counts["killed"], counts["timeout"], run - dead, counts["not run"], score, day)
    return "| " + " | ".join(str(cell) for cell in (file, every, *cells)) + " |"


def _counts(cells: str) -> Counter[str]:
    numbers = [int(cell) for cell in cells.split("|")[1:5]]
    return Counter(dict(zip(("killed", "timeout", "survived", "not run"), numbers)))


def table(old: str, found: Mapping[str, Counter[str]], files: Iterable[str], day: str) -> str:
    """Return the table: what was ``found`` by file, and of other ``files`` what the old one has."""
    kept = {m["file"]: m for m in map(ROW.match, old.splitlines()) if m}
    rows, every = [], Counter[str]()
    for file in sorted(files):
        if file in found:
            rows.append(row(file, found[file], day))
            every += found[file]
        elif file in kept:
            rows.append(kept[file][0])
            every += _counts(kept[file]["cells"])
    head = ["| " + " | ".join(HEADS) + " |", "|" + "---|" * len(HEADS)]
    return "\n".join([*head, *rows, row("all", every, "")])


def survivors(old: str, found: Iterable[Survivor], judged: Iterable[str], files: set[str]) -> str:
    """Return the lists of survivors, each under its reason.

    Those of files that were not ``judged`` stay, unless the file is gone.
    """
    judged = set(judged)
    reasons: dict[tuple[str, str, str], str] = {}
    lists: dict[str, list[str]] = {}
    reason = NEW
    for line in old.splitlines():
        if line.startswith("### "):
            reason = line.removeprefix("### ")
            lists.setdefault(reason, [])
        match = LINE.match(line)
        if match:
            reasons[match["file"], match["function"], match["change"]] = reason
            if match["file"] in files - judged:
                lists.setdefault(reason, []).append(line)
    for survivor in found:
        lists.setdefault(reasons.get(survivor.key, NEW), []).append(str(survivor))
    shown = [
        f"### {title}\n\n" + "\n".join(_in_order(lines)) for title, lines in lists.items() if lines
    ]
    return "\n\n".join(shown)


def _in_order(lines: list[str]) -> list[str]:
    """Sort by file, function and number."""
    names = [LINE.match(line) for line in lines]
    keys = [(m["file"], m["function"], int(m["number"])) for m in names if m]
    return [line for _, line in sorted(zip(keys, lines))]


def write(page: Path, found: Mapping[str, Counter[str]], alive: Iterable[Survivor],
          files: set[str], day: str) -> None:  # fmt: skip
    """Write table and survivors between the marks of a page. Raises ValueError without marks."""
    _, old, _ = pages.parts(page, BEGIN, END)
    lists = survivors(old, alive, found, files)
    new = f"{table(old, found, files, day)}\n\n*Score*: of the mutants that were run.\n\n"
    new += f"## Survivors, and why\n\n{lists}" if lists else "No mutant survived."
    pages.put(page, BEGIN, END, new)
