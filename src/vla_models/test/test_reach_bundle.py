"""Pins: the committed bundle computes its golden answers, reaches what is named, else holds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vla_models.core import export
from vla_models.core.rollout import Runner, Trial, run_trials
from vla_sim.core.arm import HOME_Q
from vla_sim.core.scene import Scene

BUNDLE = Path(__file__).resolve().parents[3] / "bundles" / "reach"
LARGEST = 20 * 2**20


def test_golden_answers_and_size():
    golden = dict(np.load(BUNDLE / "golden.npz"))
    assert export.check(BUNDLE, golden) <= export.TOLERANCE
    assert sum(file.stat().st_size for file in BUNDLE.iterdir()) <= LARGEST


def test_it_reaches_the_named_cube_also_when_the_name_changes():
    trials = [Trial(seed=500, split="held_out"), Trial(seed=501, split="held_out", switch=1.2)]
    for outcome in run_trials(str(BUNDLE), trials):
        assert outcome.success, outcome
        assert not outcome.other_reached
        assert outcome.rest < 0.025


@pytest.mark.parametrize("text", ["", "stop", "reach the yellow cube", "go to the pink ball"])
def test_it_holds_when_no_cube_is_named(text):
    runner = Runner(BUNDLE)
    scene = Scene(runner.size, seed=502)
    images = np.stack([scene.render(camera) for camera in runner.cameras])
    scene.close()
    still, free = np.tile(HOME_Q, (runner.horizon, 1)), np.zeros(runner.horizon)
    noise = np.random.default_rng(0).normal(size=(1, *still.shape)).astype(np.float32)
    chunk = runner.infer(images, text, HOME_Q, noise, still, free)
    assert np.abs(chunk - HOME_Q)[:, :7].max() < 0.03
    moving = runner.infer(images, "reach the red cube", HOME_Q, noise, still, free)
    assert np.abs(moving - HOME_Q)[:, :7].max() > 0.1


def test_the_graphs_do_not_name_the_folders_they_were_made_in():
    for name in ("vision.onnx", "policy.onnx"):
        assert b"vla_models" not in (BUNDLE / name).read_bytes()
