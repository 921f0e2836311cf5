"""The evaluation's arithmetic: plan of trials, when one counts, rates and intervals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_bringup.core import evaluation
from vla_bringup.core.evaluation import Judge, Kind, Result, Told, Trial, make_trials, wilson
from vla_sim.core.task import target_in

NAMED = Trial(Kind.NAMED, 1, Told("reach red", "red", "train"))
RENAMED = Trial(
    Kind.RENAMED, 1, Told("reach red", "red", "train"), Told("go to blue", "blue", "held_out"), 0.5
)
FAR = {"red": 0.3, "green": 0.3, "blue": 0.3}


def play(trial: Trial, *parts: tuple[float, dict[str, float]], timeout: float = 10.0) -> Result:
    judge = Judge(trial, 0.0, timeout)
    now = 0.0
    for seconds, near in parts:
        for _ in range(round(seconds / 0.05)):
            result = judge.update(now, {**FAR, **near})
            if result is not None:
                return result
            now += 0.05
    raise AssertionError("no result")


def test_staying_at_the_named_cube_is_success() -> None:
    result = play(NAMED, (2.0, {}), (1.0, {"red": 0.01}))
    assert result.success
    assert result.time == pytest.approx(2.5, abs=0.06)
    assert result.nearest == pytest.approx(0.01)


def test_passing_through_is_not_staying() -> None:
    result = play(NAMED, (0.4, {"red": 0.01}), (0.1, {}), (0.4, {"red": 0.01}), (9.2, {}))
    assert not result.success
    assert math.isnan(result.time)


def test_just_outside_is_outside() -> None:
    assert not play(NAMED, (11.0, {"red": 0.0301})).success


def test_going_to_the_original_cube_is_counted() -> None:
    result = play(RENAMED, (1.0, {"red": 0.02}))
    assert result.went_to_original
    assert not result.success


def test_leaving_the_original_cube_in_time_is_success() -> None:
    result = play(RENAMED, (0.3, {"red": 0.02}), (1.0, {}), (1.0, {"blue": 0.02}))
    assert result.success
    assert not result.went_to_original


def test_a_third_cube_neither_succeeds_nor_is_the_original() -> None:
    result = play(RENAMED, (11.0, {"green": 0.01}))
    assert not result.success
    assert not result.went_to_original


def test_trials_repeat_with_the_seed_and_differ_without() -> None:
    assert make_trials(10, 1000) == make_trials(10, 1000)
    assert make_trials(10, 1000) != make_trials(10, 1010)


def test_every_sentence_names_the_cube_it_is_said_to_name() -> None:
    trials = make_trials(60, 1000)
    told = [t.first for t in trials] + [t.then for t in trials if t.then is not None]
    assert all(target_in(one.text) == one.colour for one in told)
    assert {one.split for one in told} == {"train", "held_out"}
    assert {one.colour for one in told} == {"red", "green", "blue"}
    assert len({one.text for one in told}) > 30


def test_the_other_cube_is_another_one() -> None:
    for trial in make_trials(60, 1000):
        if trial.then is not None:
            assert trial.kind is Kind.RENAMED
            assert trial.then.colour != trial.first.colour
            assert 0.0 < trial.after < 2.0


def test_wilson_against_published_values() -> None:
    # Newcombe, Statist. Med. 17 (1998) 857-872, table I: 81/263, 15/148, 0/20, 1/29.
    for successes, trials, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ):
        assert wilson(successes, trials) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 500), st.integers(1, 500))
def test_wilson_holds_the_rate_and_stays_in_range(successes: int, trials: int) -> None:
    successes = min(successes, trials)
    low, high = wilson(successes, trials)
    assert 0.0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1.0


def result(trial: Trial, reached: str) -> Result:
    return Result(trial, reached, 2.0 if reached == trial.last.colour else math.nan, 0.01)


def test_figures_and_verdict() -> None:
    results = [result(NAMED, "red")] * 9 + [result(NAMED, "")]
    results += [result(RENAMED, "blue")] * 8 + [result(RENAMED, "red")] * 2
    figures = evaluation.summarise(results)
    assert figures["named"]["rate"] == 0.9
    assert figures["named_other"]["rate"] == 0.8
    assert figures["went_to_original"]["rate"] == 0.2
    assert figures["by_wording"]["train"]["trials"] == 10
    assert figures["time_to_reach_s"]["p50"] == 2.0
    assert evaluation.verdict(figures, 0.8, 0.25) == ""
    assert "original" in evaluation.verdict(figures, 0.8, 0.15)
    assert "named cube" in evaluation.verdict(figures, 0.95, 0.25)


def test_nothing_measured_is_not_good_enough() -> None:
    assert evaluation.verdict(evaluation.summarise([]), 0.8, 0.15)


def test_results_fit_into_json() -> None:
    import json

    for one in (result(NAMED, "red"), result(RENAMED, "")):
        json.dumps(evaluation.result_dict(one), allow_nan=False)
