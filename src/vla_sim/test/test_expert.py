"""Pins: from anywhere the expert reaches any cube, gently, within the limits, and stays there."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_sim.core import arm, expert
from vla_sim.core.scene import CUBE_HALF, CUBE_X, CUBE_Y, place_cubes
from vla_sim.core.task import REACH_RADIUS

STEP = 0.05

seeds = st.integers(0, 2**32 - 1)
BATCH = 64


def some_tops(rng: np.random.Generator) -> np.ndarray:
    low, high = (CUBE_X[0], CUBE_Y[0], 2 * CUBE_HALF), (CUBE_X[1], CUBE_Y[1], 2 * CUBE_HALF)
    return rng.uniform(low, high, (BATCH, 3))


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_chunks_obey_position_and_speed_limits_from_any_posture(seed):
    rng = np.random.default_rng(seed)
    q = arm.Q_MIN + rng.uniform(0.0, 1.0, (BATCH, 8)) * (arm.Q_MAX - arm.Q_MIN)
    rows = expert.chunk(q, some_tops(rng), 16, STEP)
    rows = np.concatenate([q[:, None], rows], axis=1)
    assert np.all(rows >= arm.Q_MIN)
    assert np.all(rows <= arm.Q_MAX)
    speed = np.abs(np.diff(rows, axis=1)) / STEP
    assert np.all(speed[..., :7] <= expert.JOINT_SPEED + 1e-9)
    assert np.all(speed[..., 7] <= expert.FINGER_SPEED + 1e-9)


@settings(max_examples=5, deadline=None)
@given(seed=seeds)
def test_it_arrives_and_stays(seed):
    rng = np.random.default_rng(seed)
    top = some_tops(rng)
    q = arm.HOME_Q + rng.uniform(-0.25, 0.25, (BATCH, 8)) * np.array([1.0] * 7 + [0.0])
    for _ in range(120):
        q = expert.advance(q, top, STEP)
    for _ in range(20):
        q = expert.advance(q, top, STEP)
        assert np.linalg.norm(arm.tcp_position(q) - top, axis=-1).max() < 0.02
    assert np.all(q[:, 7] > 0.035)


def paths(count: int, steps: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return expert paths (steps, count, 8) from home and their tops (count, 3)."""
    rng = np.random.default_rng(seed)
    places = np.array([place_cubes(rng)[0][0] for _ in range(count)])
    top = np.concatenate([places, np.full((count, 1), 2 * CUBE_HALF)], axis=1)
    q = np.tile(arm.HOME_Q, (count, 1))
    out = [q]
    for _ in range(steps):
        out.append(expert.advance(out[-1], top, STEP))
    return np.array(out), top


def test_paths_from_home_are_quick_and_gentle():
    path, top = paths(100, 80, 0)
    distance = np.linalg.norm(arm.tcp_position(path) - top, axis=-1)
    assert np.all(distance[60] < REACH_RADIUS), "reached within 3 s"
    speed = np.diff(path, axis=0) / STEP
    assert np.abs(np.diff(speed, axis=0)[..., :7] / STEP).max() < 4.0


def test_the_hand_descends_from_above_and_misses_the_cube():
    path, top = paths(100, 80, 1)
    tcp = arm.tcp_position(path)
    lateral = np.linalg.norm(tcp[..., :2] - top[:, :2], axis=-1)
    assert (tcp[..., 2] - 2 * CUBE_HALF)[lateral > 0.05].min() > 0.03
    assert (tcp[..., 2] - 2 * CUBE_HALF).min() > 0.005


def test_a_chunk_is_the_path_that_follows():
    path, top = paths(3, 30, 2)
    rows = expert.chunk(path[4], top, 16, STEP)
    assert rows.shape == (3, 16, 8)
    assert np.allclose(rows, path[5:21].swapaxes(0, 1))
