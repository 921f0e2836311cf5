"""Demonstrations: states visited around the expert's paths, with what the cameras see there.

The expert answers in any state, so states come from noisy runs that change their target and
wander off the path; each is then labelled with the expert's chunk towards *every* cube. One
rendered state therefore teaches three instructions.

A demonstration set is a folder of flat arrays:
images.u8 (N, 2, S, S, 3) uint8, joints.f32 (N, 8), tops.f32 (N, 3, 3) top-face centres [m],
chunks.f32 (N, 3, H, 8) [rad], [m], and meta.json. Scene seeds start at ``FIRST_SEED``; smaller
seeds are for evaluation.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from vla_models.core.recipe import Recipe
from vla_sim.core import arm, expert
from vla_sim.core.scene import CUBE_HALF, CUBE_X, CUBE_Y, VISION_CAMERAS, Scene, place_cubes
from vla_sim.core.task import COLOURS

Floats = npt.NDArray[np.float64]
Mode = Literal["r", "r+", "w+"]

FIRST_SEED: Final = 1_000_000
"""Scene seeds below this one are never trained on."""
RUN_STEPS: Final = 150
"""Length of a demonstration run, in steps of ``step_dt``."""
SCENES_A_JOB: Final = 50


@dataclass(frozen=True, slots=True)
class Shapes:
    """Array shapes of a demonstration set of ``count`` states."""

    count: int
    image: int
    horizon: int

    def open(self, folder: Path, mode: Mode) -> dict[str, Any]:
        """Map the arrays of ``folder``; mode "w+" creates, "r+" writes, "r" reads."""
        joints, cubes, cameras = len(arm.JOINTS), len(COLOURS), len(VISION_CAMERAS)
        layout: dict[str, tuple[str, Any, tuple[int, ...]]] = {
            "images": ("images.u8", np.uint8, (cameras, self.image, self.image, 3)),
            "joints": ("joints.f32", np.float32, (joints,)),
            "tops": ("tops.f32", np.float32, (cubes, 3)),
            "chunks": ("chunks.f32", np.float32, (cubes, self.horizon, joints)),
        }
        return {
            name: np.memmap(folder / file, dtype=kind, mode=mode, shape=(self.count, *shape))
            for name, (file, kind, shape) in layout.items()
        }


def scene_seed(recipe: Recipe, index: int) -> int:
    """Return the seed of demonstration scene ``index``; different recipes' seeds do not meet."""
    return FIRST_SEED * (1 + recipe.seed) + index


def _goals(rng: np.random.Generator, tops: Floats) -> Floats:
    """Draw where each run heads next (B, 3): mostly a cube's top, else a free place [m]."""
    count = len(tops)
    chosen = tops[np.arange(count), rng.integers(0, tops.shape[1], count)]
    low, high = (
        (CUBE_X[0] - 0.08, CUBE_Y[0] - 0.06, 0.04),
        (CUBE_X[1] + 0.04, CUBE_Y[1] + 0.06, 0.45),
    )
    free = rng.uniform(low, high, (count, 3))
    goals: Floats = np.where(rng.random((count, 1)) < 0.75, chosen, free)
    return goals


def visit_states(rng: np.random.Generator, tops: Floats, keep: int, step_dt: float) -> Floats:
    """Run the expert with noise in a batch of scenes; return ``keep`` states of each (B, keep, 8).

    tops: (B, 3, 3) top-face centres [m]. Every run starts near the home pose, changes its goal
    about every three seconds and is pushed by a slowly changing joint velocity.
    """
    count = len(tops)
    level = rng.choice([0.0, 0.05, 0.15, 0.3], size=(count, 1)) * np.array([1.0] * 7 + [0.03])
    start = rng.choice([0.0, 0.03, 0.15], size=(count, 1), p=[0.3, 0.3, 0.4])
    q = arm.HOME_Q + start * rng.normal(size=(count, 8)) * np.array([1.0] * 7 + [0.1])
    q = np.clip(q, arm.Q_MIN, arm.Q_MAX)
    kept = np.sort(rng.integers(0, RUN_STEPS, (count, keep)), axis=1)
    kept[:, 0] = rng.integers(0, 12, count)
    goal, push = _goals(rng, tops), np.zeros_like(q)
    out = np.empty((count, keep, 8))
    for step in range(RUN_STEPS):
        hit = kept == step
        out[hit] = np.broadcast_to(q[:, None], out.shape)[hit]
        change = rng.random(count) < step_dt / 3.0
        goal = np.where(change[:, None], _goals(rng, tops), goal)
        push = 0.92 * push + np.sqrt(1 - 0.92**2) * level * rng.normal(size=q.shape)
        q = expert.advance(q, goal, step_dt) + push * step_dt
        q = np.clip(q, arm.Q_MIN, arm.Q_MAX)
    return out


def _job(arguments: tuple[Recipe, str, int, int]) -> int:
    """Demonstrate scenes first..last into the mapped arrays; return how many states were made."""
    recipe, folder, first, last = arguments
    shapes = Shapes(recipe.scenes * recipe.states, recipe.image, recipe.horizon)
    arrays = shapes.open(Path(folder), "r+")
    seeds = [scene_seed(recipe, i) for i in range(first, last)]
    places = np.stack([place_cubes(np.random.default_rng(seed))[0] for seed in seeds])
    tops = np.concatenate([places, np.full((*places.shape[:2], 1), 2 * CUBE_HALF)], axis=-1)
    rng = np.random.default_rng([recipe.seed, first, 7])
    states = visit_states(rng, tops, recipe.states, recipe.step_dt)
    part = slice(first * recipe.states, last * recipe.states)
    arrays["joints"][part] = states.reshape(-1, states.shape[-1])
    arrays["tops"][part] = np.repeat(tops, recipe.states, axis=0)
    arrays["chunks"][part] = _labels(recipe, states, tops)
    _photograph(recipe, seeds, states, arrays["images"][part])
    return (last - first) * recipe.states


def _labels(recipe: Recipe, states: Floats, tops: Floats) -> Floats:
    """Return the expert's chunks (B * keep, 3, H, 8) from each state (B, keep, 8) to each cube."""
    chunks = expert.chunk(
        np.repeat(states[:, :, None], tops.shape[1], axis=2),
        np.repeat(tops[:, None], recipe.states, axis=1),
        recipe.horizon,
        recipe.step_dt,
    )
    flat: Floats = chunks.reshape(-1, *chunks.shape[2:])
    return flat


def _photograph(recipe: Recipe, seeds: list[int], states: Floats, images: Any) -> None:
    """Render both cameras in each state of each scene into ``images`` (B * keep, C, S, S, 3)."""
    scene, row = Scene(recipe.image), 0
    for seed, visited in zip(seeds, states, strict=True):
        scene.reset(seed)
        for q in visited:
            scene.set_joints(q)
            images[row] = [scene.render(camera) for camera in VISION_CAMERAS]
            row += 1
    scene.close()


def _meta(recipe: Recipe) -> dict[str, Any]:
    keys = ("seed", "image", "horizon", "step_dt", "scenes", "states")
    return {"format": 1, **{key: recipe.as_dict()[key] for key in keys}}


def is_complete(folder: Path, recipe: Recipe) -> bool:
    """Tell whether ``folder`` holds the finished demonstrations of this recipe."""
    try:
        return bool(json.loads((folder / "meta.json").read_text()) == _meta(recipe))
    except (OSError, ValueError):
        return False


def _jobs(recipe: Recipe, folder: Path) -> Iterator[tuple[Recipe, str, int, int]]:
    for first in range(0, recipe.scenes, SCENES_A_JOB):
        yield recipe, str(folder), first, min(first + SCENES_A_JOB, recipe.scenes)


def make(
    folder: Path, recipe: Recipe, workers: int, progress: Callable[[int], None] | None = None
) -> None:
    """Make the demonstrations of ``recipe`` in ``folder`` with ``workers`` processes.

    ``progress`` is told how many states were added. ``meta.json`` is written last, so an
    interrupted set is made again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "meta.json").unlink(missing_ok=True)
    Shapes(recipe.scenes * recipe.states, recipe.image, recipe.horizon).open(folder, "w+")
    context = multiprocessing.get_context("spawn")  # OpenGL contexts do not survive a fork
    with context.Pool(workers, initializer=_prepare) as pool:
        for made in pool.imap_unordered(_job, _jobs(recipe, folder)):
            if progress is not None:
                progress(made)
    (folder / "meta.json").write_text(json.dumps(_meta(recipe)))


def _prepare() -> None:
    """Set up a rendering process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends its children
    os.environ["LP_NUM_THREADS"] = "1"  # the software rasteriser: one worker a core is faster
    os.environ["OMP_NUM_THREADS"] = "1"
