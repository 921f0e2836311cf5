"""Gate and publisher in a storm: whatever can go wrong between a plan and the arm, in any order.

Both processes stall, lose messages, get them twice or out of order, are started anew, stopped and
enabled; plans are broken, sensors fall silent, buttons are pressed, the arm is held fast or
carried elsewhere. A trial has one seed; what the arm's controller is told is judged to the end:
within the limits at every moment, and nothing moves that was not enabled since the last latch.
``make storm`` runs as many as wanted, the tests some.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from storm_judge import judge
from storm_loop import Bug, Storm

from vla_safety.campaign import command


@dataclass
class Found:
    """What one trial found, or all of them."""

    seed: int = 0
    seconds: float = 0.0
    moved: float = 0.0  # [s] of motion
    storms: int = 0
    problems: list[str] = field(default_factory=list)
    strokes: Counter[str] = field(default_factory=Counter)
    enables: int = 0
    latches: int = 0
    ratios: dict[str, float] = field(default_factory=dict)

    def take(self, other: Found) -> int:
        """Take over a trial; return how many there were."""
        self.storms += 1
        self.seconds += other.seconds
        self.moved += other.moved
        self.enables += other.enables
        self.latches += other.latches
        self.strokes.update(other.strokes)
        self.problems += [f"seed {other.seed}: {problem}" for problem in other.problems]
        for name, ratio in other.ratios.items():
            self.ratios[name] = max(ratio, self.ratios.get(name, 0.0))
        return self.storms

    def lines(self) -> list[str]:
        """Return the figures in words."""
        shown = [
            f"{self.seconds / 3600.0:.1f} h of robot time, {self.moved / 3600.0:.2f} h in motion; "
            f"{self.enables:,} enables, {self.latches:,} latches",
            ", ".join(f"{name} {n:,}" for name, n in sorted(self.strokes.items())),
        ]
        ratios = self.ratios.items()
        name = "largest {} / limit, as the controller sees it: {:.4f}"
        return shown + [name.format(quantity, ratio) for quantity, ratio in ratios]


def trial(seed: int) -> Found:
    """Let one storm pass."""
    storm = Storm(seed)
    rng = storm.rng
    problems = []
    storm.calm_down()
    problems += [f"not enabled: {storm.blocked}"] if storm.blocked else []
    for _ in range(int(rng.integers(4, 16))):
        storm.strike()
        storm.run(int(rng.integers(5, 300)))
        if rng.random() < 0.4:
            storm.calm_down()
            problems += [f"not enabled: {storm.blocked}"] if storm.blocked else []
    error = storm.gate.last_error
    if error is not None and not isinstance(error, Bug):
        problems.append(f"raised: {error!r}")
    found, ratios = judge(storm)
    states = np.array(storm.states)
    return Found(
        seed=seed,
        seconds=len(states) * 1e-3,
        moved=float(np.array(storm.velocity).any(axis=1).sum() * 1e-3),
        problems=problems + found,
        strokes=Counter(name for _, name in storm.strokes),
        enables=int(((states[1:] == "ACTIVE") & (states[:-1] == "READY")).sum()),
        latches=int(((states[1:] == "LATCHED") & (states[:-1] != "LATCHED")).sum()),
        ratios=ratios,
    )


def main(arguments: list[str] | None = None) -> None:
    """Let storms pass and print what was found; exits 1 where something was wrong."""
    again = 'make storm ARGS="--replay SEED"'
    command(main.__doc__, "storms", 1e4, trial, Found(), arguments, again=again)


if __name__ == "__main__":
    main()
