"""Pins: seeds decide the cubes, servos follow, cameras see, a teleport moves only the arm."""

from __future__ import annotations

import numpy as np
import pytest

from vla_sim.core import arm, expert
from vla_sim.core.scene import CUBE_HALF, CUBE_SEPARATION, CUBE_X, CUBE_Y, Scene
from vla_sim.core.task import COLOURS

PURE = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}


@pytest.fixture(scope="module")
def scene():
    made = Scene(camera_size=64)
    yield made
    made.close()


def test_reset_is_decided_by_the_seed(scene):
    scene.reset(3)
    first = scene.cubes()
    scene.reset(4)
    other = scene.cubes()
    scene.reset(3)
    assert all(np.array_equal(first[c], scene.cubes()[c]) for c in COLOURS)
    assert any(not np.allclose(first[c], other[c]) for c in COLOURS)
    assert scene.time == 0.0
    assert np.array_equal(scene.joints()[0], arm.HOME_Q)


@pytest.mark.parametrize("seed", range(20))
def test_cubes_lie_apart_on_the_reachable_table(scene, seed):
    scene.reset(seed)
    tops = np.array([scene.cubes()[c] for c in COLOURS])
    assert np.all((tops[:, 0] >= CUBE_X[0]) & (tops[:, 0] <= CUBE_X[1]))
    assert np.all((tops[:, 1] >= CUBE_Y[0]) & (tops[:, 1] <= CUBE_Y[1]))
    assert np.allclose(tops[:, 2], 2 * CUBE_HALF)
    gaps = [np.linalg.norm(tops[i] - tops[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert min(gaps) >= CUBE_SEPARATION


def test_servos_hold_and_follow(scene):
    scene.reset(0)
    scene.step(arm.HOME_Q, 0.5)
    q, dq = scene.joints()
    assert np.abs(q - arm.HOME_Q).max() < 1e-4
    assert np.abs(dq).max() < 1e-3
    goal = arm.HOME_Q + np.array([0.2, 0.1, -0.1, 0.2, 0.1, 0.1, -0.2, 0.03])
    for part in np.linspace(0.0, 1.0, 101):
        scene.step(arm.HOME_Q + part * (goal - arm.HOME_Q), 0.01)
    scene.step(goal, 0.5)
    assert np.abs(scene.joints()[0] - goal).max() < 1e-3
    assert np.allclose(scene.tcp(), arm.tcp_position(goal), atol=1e-3)


def test_time_below_a_timestep_is_not_lost(scene):
    scene.reset(0)
    for _ in range(100):
        scene.step(arm.HOME_Q, 0.0033)
    assert scene.time == pytest.approx(0.33, abs=0.0021)


def test_teleport_moves_the_arm_and_nothing_else(scene):
    scene.reset(5)
    before = scene.cubes()
    q = arm.HOME_Q + 0.1
    q[7] = 0.02
    scene.set_joints(q)
    assert np.array_equal(scene.joints()[0], q)
    assert np.allclose(scene.tcp(), arm.tcp_position(q), atol=1e-9)
    assert all(np.array_equal(before[c], scene.cubes()[c]) for c in COLOURS)


def test_the_front_camera_sees_all_cubes_from_home(scene):
    for seed in range(10):
        scene.reset(seed)
        image = scene.render("front").astype(float)
        assert image.shape == (64, 64, 3)
        for colour, pure in PURE.items():
            strength = image @ np.array(pure) - image @ (1 - np.array(pure)) / 1.4
            assert (strength > 40).any(), (seed, colour)


def test_the_wrist_camera_sees_the_cube_below_the_hand(scene):
    scene.reset(2)
    top = scene.cubes()["red"]
    q = arm.HOME_Q
    for _ in range(100):
        q = expert.advance(q, top, 0.05)
    scene.set_joints(q)
    image = scene.render("wrist").astype(float)
    assert (image[..., 0] - image[..., 1:].max(axis=-1) > 80).mean() > 0.005


def test_rendering_is_repeatable_and_of_any_size(scene):
    scene.reset(1)
    assert np.array_equal(scene.render("front"), scene.render("front"))
    assert scene.render("spectator", 160, 120).shape == (120, 160, 3)
    assert scene.render("front", 48, 32).shape == (32, 48, 3)
    with pytest.raises(KeyError):
        scene.render("nowhere")
