"""The evaluation's plan and its arithmetic: what is tried, when a trial ends, what it comes to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

import numpy as np

from vla_models.core.sentences import sentence
from vla_sim.core.task import COLOURS, DWELL, REACH_RADIUS

SPLITS = ("train", "held_out")
RENAME_AFTER = (0.5, 1.2)
"""When the sentence names another cube [s after it named the first one]."""


class Kind(Enum):
    """``NAMED``: the sentence stays. ``RENAMED``: it names another cube on the way."""

    NAMED = "named"
    RENAMED = "renamed"


@dataclass(frozen=True)
class Told:
    """A sentence, the cube it names, and the wordings it was drawn from."""

    text: str
    colour: str
    split: str


@dataclass(frozen=True)
class Trial:
    """One scene and what is said in it. ``then`` is said ``after`` seconds later."""

    kind: Kind
    seed: int
    first: Told
    then: Told | None = None
    after: float = 0.0

    @property
    def last(self) -> Told:
        """The sentence that holds in the end."""
        return self.then or self.first


def make_trials(scenes: int, seed: int) -> tuple[Trial, ...]:
    """Return two trials a scene, the same for the same arguments.

    Colours and wordings alternate between the splits, so that each has its share of both.
    """
    trials = []
    for index in range(scenes):
        scene = seed + index
        rng = np.random.default_rng((scene, 20))

        def told(
            colour: str, turn: int, rng: np.random.Generator = rng, index: int = index
        ) -> Told:
            split = SPLITS[(index + turn) % len(SPLITS)]
            return Told(sentence(rng, colour, split), colour, split)

        first, other = (str(c) for c in rng.permutation(COLOURS)[:2])
        trials.append(Trial(Kind.NAMED, scene, told(first, 0)))
        after = float(rng.uniform(*RENAME_AFTER))
        # Another scene: in the same one the arm would already stand where the first cube is.
        trials.append(Trial(Kind.RENAMED, scene + 1_000_000, told(first, 0), told(other, 1), after))
    return tuple(trials)


@dataclass(frozen=True)
class Result:
    """What came of a trial. ``reached``: the first cube stayed at, empty when none was.

    ``time``: from the last sentence until the arm had stayed at the cube it names [s], NaN when
    it did not. ``nearest``: least distance to that cube [m].
    """

    trial: Trial
    reached: str
    time: float
    nearest: float

    @property
    def success(self) -> bool:
        """Whether the cube named last was the one stayed at."""
        return self.reached == self.trial.last.colour

    @property
    def went_to_original(self) -> bool:
        """Whether the arm stayed at the cube named first although another one was named then."""
        return self.trial.then is not None and self.reached == self.trial.first.colour


class Judge:
    """Watches true distances from the last sentence on, until the arm has stayed somewhere."""

    def __init__(self, trial: Trial, now: float, timeout: float) -> None:
        self._trial = trial
        self._start = now
        self._timeout = timeout
        self._since: dict[str, float] = {}
        self._nearest = math.inf

    def update(self, now: float, distances: Mapping[str, float]) -> Result | None:
        """Take the distance to each cube [m] at ``now`` [s]; return the result once it is known.

        The arm may be at the first cube at the moment the second one is named: it has then to be
        there for the whole dwell time *after* the sentence to count as having gone there.
        """
        target = self._trial.last.colour
        self._nearest = min(self._nearest, distances.get(target, math.inf))
        for colour, distance in distances.items():
            if distance > REACH_RADIUS:
                self._since.pop(colour, None)
            elif now - self._since.setdefault(colour, now) >= DWELL and self._counts(colour):
                return self._result(colour, now - self._start if colour == target else math.nan)
        if now - self._start >= self._timeout:
            return self._result("", math.nan)
        return None

    def _counts(self, colour: str) -> bool:
        """Return whether staying there decides the trial; passing by a third cube does not."""
        return colour in (self._trial.last.colour, self._trial.first.colour)

    def _result(self, reached: str, time: float) -> Result:
        return Result(self._trial, reached, time, self._nearest)


def wilson(successes: int, trials: int, z: float = 1.959964) -> tuple[float, float]:
    """Return the Wilson score interval of a rate (95 % by default); (0, 1) without trials.

    E. B. Wilson, J. Amer. Statist. Assoc. 22 (1927), 209-212.
    """
    if trials == 0:
        return 0.0, 1.0
    rate = successes / trials
    denominator = 1.0 + z * z / trials
    centre = (rate + z * z / (2 * trials)) / denominator
    half = z * math.sqrt(rate * (1 - rate) / trials + z * z / (4 * trials * trials)) / denominator
    return max(0.0, centre - half), min(1.0, centre + half)


def rate(successes: int, trials: int) -> dict[str, Any]:
    """Return a rate with its interval for the report."""
    low, high = wilson(successes, trials)
    return {
        "successes": successes,
        "trials": trials,
        "rate": round(successes / trials, 4) if trials else None,
        "wilson_95": [round(low, 4), round(high, 4)],
    }


def _times(results: Sequence[Result]) -> dict[str, float | None]:
    times = [r.time for r in results if r.success]
    if not times:
        return {"p50": None, "p95": None}
    p50, p95 = np.percentile(times, (50, 95))
    return {"p50": round(float(p50), 3), "p95": round(float(p95), 3)}


def summarise(results: Sequence[Result]) -> dict[str, Any]:
    """Return the evaluation's figures."""
    named = [r for r in results if r.trial.kind is Kind.NAMED]
    renamed = [r for r in results if r.trial.kind is Kind.RENAMED]
    wordings: dict[str, dict[str, Any]] = {}
    for split in SPLITS:
        of_split = [r for r in results if r.trial.last.split == split]
        wordings[split] = rate(sum(r.success for r in of_split), len(of_split))
    return {
        "named": rate(sum(r.success for r in named), len(named)),
        "named_other": rate(sum(r.success for r in renamed), len(renamed)),
        "went_to_original": rate(sum(r.went_to_original for r in renamed), len(renamed)),
        "time_to_reach_s": _times(named),
        "time_to_reach_other_s": _times(renamed),
        "by_wording": wordings,
        "by_colour": {
            colour: rate(
                sum(r.success for r in results if r.trial.last.colour == colour),
                sum(r.trial.last.colour == colour for r in results),
            )
            for colour in COLOURS
        },
    }


def result_dict(result: Result) -> dict[str, Any]:
    """Return one result for the report."""
    trial = result.trial
    return {
        "kind": trial.kind.value,
        "seed": trial.seed,
        "first": asdict(trial.first),
        "then": asdict(trial.then) if trial.then else None,
        "after_s": round(trial.after, 3),
        "success": result.success,
        "reached": result.reached,
        "time_s": None if math.isnan(result.time) else round(result.time, 3),
        "nearest_m": round(result.nearest, 4) if math.isfinite(result.nearest) else None,
    }


def verdict(figures: Mapping[str, Any], min_success: float, max_original: float) -> str:
    """Return why the figures are not good enough; empty when they are."""
    faults = []
    for name, words in (("named", "named cube"), ("named_other", "cube named on the way")):
        found = figures[name]["rate"]
        if found is None or found < min_success:
            faults.append(
                f"{words} reached in {found or 0.0:.1%} of trials, "
                f"at least {min_success:.0%} asked for"
            )
    original = figures["went_to_original"]["rate"]
    if original is None or original > max_original:
        faults.append(
            f"went to the original cube in {original or 0.0:.1%}, "
            f"at most {max_original:.0%} asked for"
        )
    return "; ".join(faults)
