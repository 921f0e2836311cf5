"""Pins: the commands refuse what makes no sense, and training goes on after a signal."""

from __future__ import annotations

import io
import os
import signal

import pytest
from rich.console import Console

from vla_common.core.errors import ConfigError
from vla_models import rollout_main, train_main
from vla_models.core.recipe import Recipe, quick
from vla_models.core.rollout import Outcome, Trial
from vla_models.core.train import Trainer


def options(main, *words):
    return main.arguments().parse_args(list(words))


@pytest.mark.parametrize("main", [train_main, rollout_main])
def test_help_explains_itself(main, capsys):
    with pytest.raises(SystemExit) as stopped:
        options(main, "--help")
    assert stopped.value.code == 0
    assert "default" in capsys.readouterr().out


def test_the_defaults_are_the_recipe_of_the_bundle():
    assert train_main.recipe_from(options(train_main)) == Recipe()
    assert train_main.recipe_from(options(train_main, "--quick")) == quick(Recipe())
    assert train_main.recipe_from(options(train_main, "--seed", "3", "--steps", "9")).steps == 9


@pytest.mark.parametrize("seed", ["-1", "999999"])
def test_scenes_that_were_trained_on_are_refused(seed):
    with pytest.raises(ConfigError, match="--seed"):
        rollout_main.trials(options(rollout_main, "--seed", seed, "--scenes", "5"))


def test_trials_take_the_options():
    made = rollout_main.trials(
        options(rollout_main, "--scenes", "3", "--latency-ms", "150", "--no-guidance")
    )
    assert [t.seed for t in made] == [1000, 1001, 1002]
    assert {(t.latency, t.guidance, t.split) for t in made} == {(0.15, False, "held_out")}


def test_summary_counts():
    def outcome(success, other):
        return Outcome(Trial(seed=1), "", "red", "blue", success, other, 3.0, 0.01, 0.01, 0.5)

    figures = rollout_main.summary([outcome(True, False), outcome(False, True)])
    assert (figures["reached"], figures["other_cube_reached"]) == (0.5, 0.5)


def test_training_goes_on_after_a_signal_and_exports(tmp_path, monkeypatch):
    console = Console(file=io.StringIO())
    words = ("--quick", "--work", str(tmp_path / "work"), "--bundle", str(tmp_path / "bundle"))
    advance = Trainer.advance

    def interrupted(trainer):
        if trainer.step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return advance(trainer)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(Trainer, "advance", interrupted)
    chosen = options(train_main, *words, "--workers", "1", "--threads", "1")
    assert train_main.run(chosen, console) == train_main.INTERRUPTED
    assert signal.getsignal(signal.SIGINT) is before
    assert not (tmp_path / "bundle").exists()
    monkeypatch.undo()
    assert train_main.run(chosen, console) == 0
    assert "Going on from step 3" in console.file.getvalue()
    assert (tmp_path / "bundle" / "bundle.yaml").exists()
