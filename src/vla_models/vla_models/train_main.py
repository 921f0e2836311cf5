"""``vla_train``: make demonstrations, train, export the bundle; go on where it was stopped.

torch is loaded when training starts: the help and the rendering processes do without.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from vla_common.core.errors import UserError
from vla_models.core import demonstrations
from vla_models.core.recipe import Recipe, quick

if TYPE_CHECKING:
    from vla_models.core.train import Losses, Trainer

INTERRUPTED = 130
VALIDATE_EVERY = 250
REPORT_EVERY = 25


def arguments() -> argparse.ArgumentParser:
    """Return the command line; defaults are the recipe of the committed bundle."""
    default = Recipe()
    parser = argparse.ArgumentParser(
        prog="vla_train",
        description="Train the reach policy from scripted demonstrations and write its bundle. "
        "Ctrl-C stops after the current step; the same command goes on from there.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--bundle", type=Path, default=Path("bundles/reach"), help="bundle to write"
    )
    parser.add_argument(
        "--work", type=Path, default=Path("data/train"), help="demonstrations and checkpoint"
    )
    parser.add_argument("--seed", type=int, default=default.seed, help="of everything drawn")
    parser.add_argument("--steps", type=int, default=default.steps, help="optimiser steps")
    parser.add_argument("--batch", type=int, default=default.batch, help="images a step")
    parser.add_argument("--scenes", type=int, default=default.scenes, help="scenes demonstrated")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="rendering processes")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="training threads")
    parser.add_argument("--fresh", action="store_true", help="forget an earlier checkpoint")
    parser.add_argument("--export-only", action="store_true", help="export the checkpoint and stop")
    parser.add_argument("--quick", action="store_true", help="tiny run that only proves the path")
    return parser


def recipe_from(options: argparse.Namespace) -> Recipe:
    """Return the recipe that the command line asks for."""
    recipe = Recipe(seed=options.seed)
    if options.quick:
        return quick(recipe)
    return replace(recipe, steps=options.steps, batch=options.batch, scenes=options.scenes)


def bars(console: Console, unit: str) -> Progress:
    """Return a progress display that counts ``unit``."""
    return Progress(
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(unit),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
    )


def demonstrate(console: Console, folder: Path, recipe: Recipe, workers: int) -> None:
    """Make the demonstrations unless they are there."""
    if demonstrations.is_complete(folder, recipe):
        console.print(f"Demonstrations: {folder} (made earlier)")
        return
    started = time.monotonic()
    with bars(console, "states") as progress:
        total = recipe.scenes * recipe.states
        task = progress.add_task("Demonstrations", total=total, note="")
        demonstrations.make(folder, recipe, workers, lambda made: progress.advance(task, made))
    console.print(f"Demonstrations: {total} states in {time.monotonic() - started:.0f} s")


class Stop:
    """Set by Ctrl-C or SIGTERM while entered; training looks at it after each step."""

    def __init__(self) -> None:
        self.asked = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self.asked = True


def train(console: Console, trainer: Trainer, checkpoint: Path) -> bool:
    """Train to the recipe's end; return False when stopped before. The checkpoint is written."""
    recipe, mean = trainer.recipe, None
    with Stop() as stop, bars(console, "steps") as progress:
        task = progress.add_task("Training", total=recipe.steps, completed=trainer.step, note="")
        since, started = time.monotonic(), trainer.step
        while trainer.step < recipe.steps and not stop.asked:
            mean = _blend(mean, trainer.advance())
            progress.update(task, completed=trainer.step)
            if trainer.step % REPORT_EVERY == 0:
                speed = recipe.batch * (trainer.step - started) / (time.monotonic() - since)
                note = f"loss {mean[0]:.4f}  place {mean[1]:.2f} cm  {speed:.0f} images/s"
                progress.update(task, note=note)
                if not console.is_terminal:
                    console.print(f"step {trainer.step}/{recipe.steps}  {note}")
            if trainer.step % VALIDATE_EVERY == 0:
                _show(console, trainer)
                trainer.save(checkpoint)
    trainer.save(checkpoint)
    return trainer.step >= recipe.steps


def _blend(mean: tuple[float, float] | None, now: Losses) -> tuple[float, float]:
    """Return a moving average of the losses over about REPORT_EVERY steps."""
    if mean is None:
        return now.chunk, now.place_cm
    w = 1.0 / REPORT_EVERY
    return (1 - w) * mean[0] + w * now.chunk, (1 - w) * mean[1] + w * now.place_cm


def _show(console: Console, trainer: Trainer) -> None:
    v = trainer.validate(256)
    parts = [
        f"{split}: place {v.place_cm[split]:.2f} cm, joints {v.joint[split]:.4f} rad"
        for split in v.joint
    ]
    console.print(f"step {trainer.step}, unseen scenes: " + "; ".join(parts))


def provenance(trainer: Trainer) -> dict[str, Any]:
    """Return what bundle.yaml says about the training."""
    v = trainer.validate(256)
    return {
        "recipe": trainer.recipe.as_dict(),
        "step": trainer.step,
        "demonstrated_states": trainer.data.count,
        "demonstrated_scene_seeds_from": demonstrations.scene_seed(trainer.recipe, 0),
        "validation_place_cm": {k: round(x, 3) for k, x in v.place_cm.items()},
        "validation_joint_rad": {k: round(x, 5) for k, x in v.joint.items()},
        "torch": version("torch"),
    }


def run(options: argparse.Namespace, console: Console) -> int:
    """Do what the command line asks; return the exit status."""
    recipe, checkpoint = recipe_from(options), options.work / "checkpoint.pt"
    demonstrate(console, options.work / "demonstrations", recipe, options.workers)
    import torch

    from vla_models.core import export
    from vla_models.core.train import Trainer

    torch.set_num_threads(options.threads)
    trainer = Trainer(recipe, options.work / "demonstrations")
    if options.fresh:
        checkpoint.unlink(missing_ok=True)
    if checkpoint.exists():
        trainer.load(checkpoint)
        console.print(f"Going on from step {trainer.step} ({checkpoint})")
    if not options.export_only and not train(console, trainer, checkpoint):
        console.print(f"Stopped at step {trainer.step}; the same command goes on from there.")
        return INTERRUPTED
    worst = export.write(
        trainer.average, trainer.tokenizer, recipe, options.bundle, provenance(trainer)
    )
    console.print(f"Bundle: {options.bundle} (ONNX Runtime and torch agree to {worst:.1e})")
    return 0


def main() -> None:
    """Entry point."""
    console = Console(soft_wrap=True)
    try:
        sys.exit(run(arguments().parse_args(), console))
    except UserError as error:
        console.print(f"[red]Error:[/red] {error}", highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        console.print("Stopped; the same command starts the demonstrations again.")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
