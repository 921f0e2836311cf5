"""Pins: demonstrations are the expert's, resuming equals not stopping, the bundle is whole."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
import yaml

from vla_common.core.errors import ConfigError, InternalError
from vla_models.core import demonstrations, export, rollout, tokens
from vla_models.core.batches import Demonstrations
from vla_models.core.recipe import Recipe, quick
from vla_models.core.train import Trainer
from vla_sim.core import arm, expert
from vla_sim.core.scene import Scene

RECIPE = quick(Recipe())


@pytest.fixture(scope="module")
def demos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("demonstrations")
    made = []
    demonstrations.make(folder, RECIPE, 1, made.append)
    assert sum(made) == RECIPE.scenes * RECIPE.states
    return folder


@pytest.fixture(scope="module")
def bundle(demos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    trainer = Trainer(RECIPE, demos)
    for _ in range(2):
        trainer.advance()
    assert export.write(trainer.net, trainer.tokenizer, RECIPE, folder, {}) <= export.TOLERANCE
    return folder


def arrays(demos):
    count = RECIPE.scenes * RECIPE.states
    return demonstrations.Shapes(count, RECIPE.image, RECIPE.horizon).open(demos, "r")


def test_a_demonstration_is_a_seeded_scene_in_the_expert_s_words(demos):
    data, row = arrays(demos), 2 * RECIPE.states + 1
    scene = Scene(RECIPE.image)
    scene.reset(demonstrations.scene_seed(RECIPE, 2))
    cubes = np.array(list(scene.cubes().values()))
    assert np.allclose(data["tops"][row], cubes, atol=1e-6)
    q = data["joints"][row].astype(float)
    labels = expert.chunk(np.tile(q, (3, 1)), cubes, RECIPE.horizon, RECIPE.step_dt)
    assert np.allclose(data["chunks"][row], labels, atol=1e-4)
    scene.set_joints(q)
    seen = scene.render("front").astype(int)
    scene.close()
    assert np.abs(data["images"][row, 0].astype(int) - seen).mean() < 0.5


def test_states_stay_within_limits_and_spread(demos):
    joints = arrays(demos)["joints"]
    assert np.all(joints >= arm.Q_MIN - 1e-6)
    assert np.all(joints <= arm.Q_MAX + 1e-6)
    assert joints[:, 0].std() > 0.05


def test_seeds_of_evaluation_and_of_other_recipes_are_never_demonstrated():
    first = demonstrations.scene_seed(Recipe(), 0)
    last = demonstrations.scene_seed(Recipe(), Recipe().scenes - 1)
    assert demonstrations.FIRST_SEED <= first <= last
    assert last < demonstrations.scene_seed(replace(Recipe(), seed=1), 0)


def test_an_interrupted_set_is_not_taken_for_whole(demos, tmp_path):
    assert demonstrations.is_complete(demos, RECIPE)
    assert not demonstrations.is_complete(demos, replace(RECIPE, scenes=13))
    assert not demonstrations.is_complete(tmp_path, RECIPE)


def test_batches_are_decided_by_seed_and_step(demos):
    trainer = Trainer(RECIPE, demos)
    again = Demonstrations(demos, RECIPE, trainer.tokenizer)
    one, same, other = trainer.data.batch(3), again.batch(3), again.batch(4)
    assert torch.equal(one.images, same.images)
    assert torch.equal(one.tokens, same.tokens)
    assert not torch.equal(one.images, other.images)


def test_blurring_keeps_the_colour(demos):
    trainer = Trainer(RECIPE, demos)
    texts, rng = trainer.data.texts["train"], np.random.default_rng(0)
    ids = texts.blur(rng, texts.draw(rng, 200))
    for i, colour in enumerate(("red", "green", "blue")):
        assert np.all((ids[:, i] == trainer.tokenizer.token_to_id(colour)).sum(axis=-1) == 1)
    assert (ids == tokens.UNKNOWN_ID).any()


def test_resuming_equals_not_stopping(demos, tmp_path):
    whole = Trainer(RECIPE, demos)
    for _ in range(4):
        whole.advance()
    first = Trainer(RECIPE, demos)
    for _ in range(2):
        first.advance()
    first.save(tmp_path / "checkpoint.pt")
    second = Trainer(RECIPE, demos)
    second.load(tmp_path / "checkpoint.pt")
    assert second.step == 2
    for _ in range(2):
        second.advance()
    for nets in ((whole.net, second.net), (whole.average, second.average)):
        for a, b in zip(*(net.state_dict().values() for net in nets), strict=True):
            assert torch.allclose(a, b, atol=1e-6)


def test_a_checkpoint_of_another_recipe_is_refused(demos, tmp_path):
    trainer = Trainer(RECIPE, demos)
    trainer.save(tmp_path / "checkpoint.pt")
    other = Trainer(replace(RECIPE, rate=1e-4), demos)
    with pytest.raises(ConfigError, match="rate"):
        other.load(tmp_path / "checkpoint.pt")


def test_training_lowers_the_loss(demos):
    trainer = Trainer(replace(RECIPE, steps=1000), demos)
    trainer.step = 300  # past the warm-up
    errors = [trainer.advance().place_cm for _ in range(15)]
    assert errors[-1] < 0.5 * errors[0]


def test_bundle_has_the_files_it_names(bundle):
    spec = yaml.safe_load((bundle / "bundle.yaml").read_text())
    for name, digest in spec["files"].items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest
    assert {f.name for f in bundle.iterdir()} == {*spec["files"], "bundle.yaml"}
    assert spec["joints"] == list(arm.JOINTS)
    assert [camera["name"] for camera in spec["cameras"]] == ["front", "wrist"]


def test_graphs_have_the_agreed_inputs(bundle):
    vision = onnxruntime.InferenceSession(bundle / "vision.onnx")
    policy = onnxruntime.InferenceSession(bundle / "policy.onnx")
    assert [i.name for i in vision.get_inputs()] == ["image", "camera"]
    assert [i.name for i in policy.get_inputs()] == list(export.POLICY_INPUTS)
    image = np.zeros((3, RECIPE.image, RECIPE.image, 3), dtype=np.uint8)
    features = vision.run(None, {"image": image, "camera": np.array([0, 1, 1])})[0]
    assert features.shape == (3, (RECIPE.image // 4) ** 2, RECIPE.width)


def test_golden_answers_are_checked(bundle):
    golden = dict(np.load(bundle / "golden.npz"))
    assert export.check(bundle, golden) <= export.TOLERANCE
    golden["chunk_1"] = golden["chunk_1"] + 0.01
    with pytest.raises(InternalError, match="differ"):
        export.check(bundle, golden)


def test_the_loop_runs_a_bundle_to_the_time_limit(bundle):
    trial = rollout.Trial(seed=5, split="held_out", limit=0.5, switch=0.2)
    first, again = (rollout.run_trials(str(bundle), [trial])[0] for _ in range(2))
    assert first.time == pytest.approx(0.5)
    assert not first.success
    assert first == again


def test_guidance_weights_cover_the_delay_and_fade():
    weights = rollout.guidance_weights(16, 3)
    assert np.all(weights[:3] == 1.0)
    assert np.all(np.diff(weights[2:13]) < 0)
    assert np.all(weights[12:] == 0.0)
