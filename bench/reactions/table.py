"""Samples of reactions to figures, and figures to a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import page

BEGIN, END = page.marks("reactions", "make reactions")


@dataclass
class Tally:
    """What was measured of one fault; times in seconds.

    ``on``: the day. ``slowed``: from the fault to the first slowing of what the controller is
    told, ``rest``: to its rest, one value an injection. ``missed``: injections without any
    reaction. ``disturbed``: for how long the machine itself stood still, one value for each
    injection that went wrong meanwhile and was made again.
    """

    name: str
    what: str
    bound: float
    on: str = ""
    slowed: list[float] = field(default_factory=list)
    rest: list[float] = field(default_factory=list)
    missed: int = 0
    disturbed: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def add(self, found: tuple[float, float | None] | None) -> None:
        """Take when the arm began to slow, and when it was at rest; None: it did neither."""
        if found is None:
            self.missed += 1
            return
        self.slowed.append(found[0])
        if found[1] is not None:
            self.rest.append(found[1])

    @property
    def injections(self) -> int:
        """How many count: those of a machine that stood still are made again."""
        return len(self.slowed) + self.missed

    @property
    def passed(self) -> bool:
        """Whether every injection was answered in time, within the limits, and for its reason."""
        late = any(value > self.bound for value in self.slowed)
        return bool(self.slowed) and not late and not self.missed and not self.problems

    def figures(self) -> dict[str, Any]:
        """Return everything as plain values; times in milliseconds."""
        return {
            "what": self.what,
            "on": self.on,
            "bound_ms": 1e3 * self.bound,
            "injections": self.injections,
            "missed": self.missed,
            "made_again": len(self.disturbed),
            "stood_still_max_ms": round(1e3 * max(self.disturbed, default=0.0), 1),
            **{f"begins_{k}_ms": v for k, v in quantiles(self.slowed).items()},
            **{f"rest_{k}_ms": v for k, v in quantiles(self.rest).items()},
            "passed": self.passed,
            "problems": self.problems,
            "begins_ms": [round(1e3 * value, 2) for value in self.slowed],
            "at_rest_ms": [round(1e3 * value, 2) for value in self.rest],
        }


def quantile(values: list[float], share: float) -> float:
    """Return the smallest value that at least ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def quantiles(seconds: list[float]) -> dict[str, float]:
    """Return p50, p99 and max in milliseconds; empty for no values."""
    if not seconds:
        return {}
    found = {"p50": quantile(seconds, 0.5), "p99": quantile(seconds, 0.99), "max": max(seconds)}
    return {name: round(1e3 * value, 1) for name, value in found.items()}


HEAD = (
    "| fault | begins to slow after, p50 / p99 / max [ms] | at rest, max [ms] | bound [ms] "
    "| injections | on | |\n|---|---|---|---|---|---|---|"
)


def row(found: Mapping[str, Any]) -> str:
    """Return the row of one fault's :meth:`Tally.figures`."""
    begins = [found.get(f"begins_{k}_ms") for k in ("p50", "p99", "max")]
    shown = " / ".join("-" if value is None else f"{value:.0f}" for value in begins)
    rest = found.get("rest_max_ms")
    result = "kept" if found["passed"] else "**not kept**"
    if found["missed"]:
        result += f", {found['missed']} without reaction"
    again, still = found.get("made_again", 0), found.get("stood_still_max_ms", 0.0)
    if again:
        result += f"; {again} made again, as the machine stood still for up to {still:.0f} ms"
    cells = (
        found["what"], shown, "-" if rest is None else f"{rest:.0f}",
        f"{found['bound_ms']:.0f}", found["injections"], found.get("on") or "-", result,
    )  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def markdown(faults: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of :meth:`Tally.figures` by fault."""
    return "\n".join([HEAD, *map(row, faults.values())])


def renewed(old: str, faults: Mapping[str, Mapping[str, Any]], every: Iterable[str]) -> str:
    """Return the table of ``every`` fault, told by what it is; rows not in ``faults`` stay."""
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in old.splitlines()}
    rows |= {found["what"]: row(found) for found in faults.values()}
    return "\n".join([HEAD, *(rows[what] for what in every if what in rows)])
