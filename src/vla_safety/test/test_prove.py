"""The proof by many steps: it passes, it would fail, and what it finds can be run again."""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from safety_world import interpreted

from vla_safety import prove
from vla_safety.core import limiter, path
from vla_safety.core.limits import Limits

STOP_ROWS = path.stop_rows


def test_a_hundred_thousand_steps():
    proof, _ = prove.prove(100_000, 77, jobs=1)
    assert proof.steps >= 100_000
    assert not proof.verdict.violations
    assert set(proof.verdict.ratios) == {"position", "velocity", "acceleration", "jerk"}
    assert max(proof.verdict.ratios.values()) <= 1.0 + 1e-9
    assert min(proof.verdict.ratios.values()) > 0.99  # it went up to each limit
    assert {2, 14} <= proof.joints
    assert proof.grids_ms == {5.0, 10.0, 20.0, 50.0, 100.0}


def weaker(monkeypatch, limit, share):
    """Let the limiter believe in a limit that is larger than stated."""
    real = Limits.for_grid

    def for_grid(self, dt, stop_time):
        found = real(self, dt, stop_time)
        return prove.Limits(**{**found.__dict__, limit: getattr(found, limit) * share})

    monkeypatch.setattr(Limits, "for_grid", for_grid)


DEFECTS = {
    "acceleration": lambda m: weaker(m, "a_max", 1.00001),
    "velocity": lambda m: weaker(m, "v_max", 1.00001),
    "jerk": lambda m: m.setattr(Limits, "for_grid", lambda s, *a: s),
    "position": lambda m: m.setattr(limiter, "towards", lambda d, v, dt, b: np.inf),
    "does not end at rest": lambda m: m.setattr(
        "vla_safety.core.planner.stop_rows", lambda q, v, *a: [x[:-1] for x in STOP_ROWS(q, v, *a)]
    ),
}


@pytest.mark.parametrize("word", DEFECTS)
def test_a_defect_is_found_and_its_seed_finds_it_again(monkeypatch, word):
    interpreted(monkeypatch)
    DEFECTS[word](monkeypatch)
    proof, _ = prove.prove(20_000, 0, jobs=1)
    found = [text for text in proof.verdict.violations if word in text]
    assert found
    seed = int(found[0].split()[1].rstrip(":"))
    assert any(word in text for text in prove.trial(seed).verdict.violations)


def command(*arguments):
    return [sys.executable, "-m", "vla_safety.prove", *arguments]


def test_the_command_uses_several_processes_and_says_what_it_found():
    words = command("--steps", "2000", "--jobs", "2")
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "0 violations" in done.stdout
    assert "largest jerk / limit: " in done.stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_gives_the_figures_so_far(number):
    words = command("--steps", "1e9", "--jobs", "2")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        run.stderr.readline()  # the first line of progress
        run.send_signal(number)
        begun = time.monotonic()
        out, err = run.communicate(timeout=30)
    assert "interrupted" in out, err
    assert run.returncode == 0
    assert time.monotonic() - begun < 10.0
    assert "Traceback" not in err


@pytest.mark.parametrize("words", [("--steps", "0"), ("--jobs", "0"), ("--seed", "-1")])
def test_senseless_options_are_refused(words):
    done = subprocess.run(command(*words), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "allowed" in done.stderr or "0 or more" in done.stderr


def test_a_violation_ends_with_exit_code_1(monkeypatch, capsys):
    DEFECTS["velocity"](monkeypatch)
    with pytest.raises(SystemExit) as end:
        prove.main(["--steps", "5000", "--jobs", "1"])
    assert end.value.code == 1
    shown = capsys.readouterr().out
    assert "\n  seed " in shown
    assert "--replay" in shown
