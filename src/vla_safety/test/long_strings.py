"""Random strings of events for the gate, as many as wanted; test_gate_fuzz runs some.

python src/vla_safety/test/long_strings.py --strings 1e5
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from event_strings import EVENTS, Strings

from vla_safety.campaign import Campaign, command

LENGTH = 40
"""Events of a string."""
ALWAYS = ("plan", "drive", "tick", "tick", "service", "operator", "operator")
"""Besides these a string has some of the other kinds."""


@dataclass
class Found:
    """What one string found, or all of them."""

    seed: int = -1
    strings: int = 0
    events: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def take(self, other: Found) -> int:
        """Take over the figures of a string; return the strings so far."""
        self.strings += 1
        self.events += other.events
        self.counts += other.counts
        self.problems += other.problems
        return self.strings

    def lines(self) -> list[str]:
        """Return the figures in words."""
        shown = ", ".join(f"{name} {number:,}" for name, number in sorted(self.counts.items()))
        return [f"{self.events:,} events: {shown}"]


def trial(seed: int) -> Found:
    """Run one string; what is wrong is in ``problems``, with the events that led there."""
    rng, found = random.Random(seed), Found(seed)
    some = rng.sample(sorted(set(EVENTS) - set(ALWAYS)), rng.randrange(2, 8))
    done: list[str] = []
    try:
        strings = Strings()
        for _ in range(LENGTH):
            name = rng.choice([*ALWAYS, *some])
            argument = rng.choice(EVENTS[name])
            done.append(f"{name} {argument}".strip())
            strings.do(name, argument)
            found.events += 1
        strings.finish()
        found.counts = strings.counts
    except Exception as error:  # the finding itself
        found.problems = [f"seed {seed}: {error!r} after {'; '.join(done)}"]
    return found


def walk(strings: int, seed: int, jobs: int) -> tuple[Found, Campaign[Found]]:
    """Run strings, each with a gate of its own."""
    found = Found()
    campaign = Campaign(trial, found.take)
    campaign.run(strings, seed, jobs, "strings")
    return found, campaign


def main(arguments: list[str] | None = None) -> None:
    """Run random strings of events; exits 1 when the gate does what the model does not allow."""
    again = "python src/vla_safety/test/long_strings.py --replay SEED"
    command(main.__doc__, "strings", 1e5, trial, Found(), arguments, again=again)


if __name__ == "__main__":
    main()
