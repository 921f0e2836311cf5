"""Many independent trials on all cores: each with its own seed, stopped by a count or Ctrl-C."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Generator
from typing import Generic, NoReturn, Protocol, TypeVar

Found = TypeVar("Found")
One = TypeVar("One", contravariant=True)
SHOW = 5.0
"""[s] between two lines of progress; on a terminal one line is kept current."""
SHOWN = 40
"""Problems that are printed."""


class Campaign(Generic[Found]):
    """Runs ``trial(seed)`` for seed, seed + 1, ... and gives each result to ``take``.

    ``take`` returns how many steps have been done so far; it ends at ``steps``. Results come in
    any order. ``trial`` must be a function that another process can be given.
    """

    def __init__(self, trial: Callable[[int], Found], take: Callable[[Found], int]) -> None:
        self._trial = trial
        self._take = take
        self.seconds = 0.0
        self.done = 0
        self.interrupted = False

    def run(self, steps: int, seed: int, jobs: int, what: str = "steps") -> int:
        """Return how many trials were run; Ctrl-C ends it early without losing a result.

        So does SIGTERM, since the processes of a pool outlive one that ends otherwise.
        """
        before = signal.signal(signal.SIGTERM, _interrupt)
        begun = time.monotonic()
        shown = begun
        trials = 0
        results = self._results(seed, jobs)
        try:
            for found in results:
                self.done = self._take(found)
                trials += 1
                now = time.monotonic()
                if now - shown >= SHOW:
                    shown = now
                    _show(self.done, steps, now - begun, what)
                if self.done >= steps:
                    break
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            results.close()
            signal.signal(signal.SIGTERM, before)
            if sys.stderr.isatty():
                print(" " * 79, end="\r", file=sys.stderr, flush=True)
        self.seconds = time.monotonic() - begun
        return trials

    def _results(self, seed: int, jobs: int) -> Generator[Found, None, None]:
        if jobs == 1:
            while True:
                yield self._trial(seed)
                seed += 1
        context = multiprocessing.get_context("fork")
        with context.Pool(jobs, initializer=_begin_worker) as pool:
            while True:  # in rounds, since a pool takes all of an endless list at once
                seeds = range(seed, seed + 64 * jobs)
                yield from pool.imap_unordered(self._trial, seeds, chunksize=4)
                seed = seeds.stop


def _begin_worker() -> None:
    """Leave Ctrl-C to the process that started this one, and end when that says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _show(done: int, steps: int, seconds: float, what: str) -> None:
    rate = done / seconds
    left = max(0.0, (steps - done) / rate) if rate else 0.0
    text = f"{done:,} of {steps:,} {what}, {rate:,.0f} a second, about {left:.0f} s left"
    end = "\r" if sys.stderr.isatty() else "\n"
    print(f"{text:<78}", end=end, file=sys.stderr, flush=True)


def parser(description: str | None, what: str, steps: float) -> argparse.ArgumentParser:
    """Return the options that every campaign has."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument(
        f"--{what}", dest="steps", type=float, default=steps, help="to be done (%(default)g)"
    )
    result.add_argument("--seed", type=int, default=0, help="of the first trial (%(default)s)")
    result.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="processes (%(default)s: the cores)"
    )
    result.add_argument("--replay", type=int, metavar="SEED", help="run this one trial alone")
    return result


def parse(options: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    """Return the options read; ends with a message when they make no sense."""
    found = options.parse_args(arguments)
    if not 1 <= found.steps <= 1e12:
        options.error(f"{found.steps:g}: from 1 to 1e12 is allowed")
    if found.jobs < 1:
        options.error(f"--jobs {found.jobs}: 1 or more is allowed")
    if found.seed < 0 or (found.replay is not None and found.replay < 0):
        options.error("a seed is 0 or more")
    return found


class Findings(Protocol[One]):
    """What all trials found together."""

    @property
    def problems(self) -> list[str]:
        """What is wrong, each with its seed."""

    def take(self, other: One) -> int:
        """Take over what a trial found; return the steps so far."""

    def lines(self) -> list[str]:
        """Return the figures in words."""


def command(
    description: str | None,
    what: str,
    steps: float,
    trial: Callable[[int], Found],
    every: Findings[Found],
    arguments: list[str] | None = None,
    *,
    bad: str = "problems",
    again: str,
) -> NoReturn:
    """Be the command of a campaign: ``steps`` of ``what`` unless asked otherwise, or one replay.

    Prints what was found, problems last and how to run one ``again``; exits with 1 where there are
    any, or where nothing was done.
    """
    options = parse(parser(description, what, steps), arguments)
    campaign = Campaign(trial, every.take)
    if options.replay is not None:
        campaign.done = every.take(trial(options.replay))
    else:
        campaign.run(int(options.steps), options.seed, options.jobs, what)
    problems, done = every.problems, campaign.done
    early = ", interrupted" if campaign.interrupted else ""
    print(f"{done:,} {what} in {campaign.seconds:.0f} s, {len(problems)} {bad}{early}")
    for line in every.lines() if done else []:
        print(f"  {line}")
    for problem in problems[:SHOWN]:
        print(f"  {problem}")
    if problems:
        print(f"  run one again: {again}")
    sys.exit(1 if problems or not done else 0)
