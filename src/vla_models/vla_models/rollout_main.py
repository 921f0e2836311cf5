"""``vla_rollout``: closed-loop evaluation of a bundle in the simulator, without ROS."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from vla_common.core.errors import ConfigError, UserError
from vla_models.core import demonstrations
from vla_models.core.rollout import Outcome, Trial, run_trials


def arguments() -> argparse.ArgumentParser:
    """Return the command line."""
    parser = argparse.ArgumentParser(
        prog="vla_rollout",
        description="Let a bundle reach for cubes in scenes it was not trained on. Fast and "
        "without ROS, for development; `make eval` runs the whole graph.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--bundle", type=Path, default=Path("bundles/reach"))
    parser.add_argument("--scenes", type=int, default=100, help="number of scenes")
    parser.add_argument("--seed", type=int, default=1000, help="seed of the first scene")
    parser.add_argument("--latency-ms", type=float, default=100.0, help="capture to chunk")
    parser.add_argument("--wording", choices=("train", "held_out"), default="held_out")
    parser.add_argument(
        "--switch", type=float, default=None, help="name another cube until this time [s]"
    )
    parser.add_argument("--no-guidance", action="store_true", help="chunks ignore the one before")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="processes")
    parser.add_argument("--report", type=Path, default=None, help="write outcomes as JSON")
    return parser


def trials(options: argparse.Namespace) -> list[Trial]:
    """Return the trials asked for. Raises ConfigError for seeds that were trained on."""
    last = options.seed + options.scenes
    if options.seed < 0 or last > demonstrations.FIRST_SEED:
        allowed = f"0 .. {demonstrations.FIRST_SEED - options.scenes}: larger ones were trained on"
        raise ConfigError("vla_rollout", "--seed", options.seed, allowed)
    return [
        Trial(
            seed=seed,
            split=options.wording,
            latency=options.latency_ms / 1000.0,
            guidance=not options.no_guidance,
            switch=options.switch,
        )
        for seed in range(options.seed, last)
    ]


def evaluate(bundle: Path, wanted: list[Trial], workers: int) -> list[Outcome]:
    """Run the trials in ``workers`` processes."""
    parts = [wanted[i::workers] for i in range(workers) if wanted[i::workers]]
    with multiprocessing.get_context("spawn").Pool(len(parts)) as pool:
        done = pool.starmap(run_trials, [(str(bundle), part) for part in parts])
    return sorted((o for part in done for o in part), key=lambda o: o.trial.seed)


def summary(outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the figures over all outcomes."""
    times = [o.time for o in outcomes if o.success] or [float("nan")]
    return {
        "scenes": len(outcomes),
        "reached": float(np.mean([o.success for o in outcomes])),
        "other_cube_reached": float(np.mean([o.other_reached for o in outcomes])),
        "time_median_s": float(np.median(times)),
        "time_p95_s": float(np.percentile(times, 95)),
        "rest_distance_mean_cm": 100.0 * float(np.mean([o.rest for o in outcomes if o.success])),
        "limited_share": float(np.mean([o.limited for o in outcomes])),
    }


def main() -> None:
    """Entry point; exits with 0 whatever the success rate, 2 on a mistake of the user."""
    console, options = Console(), arguments().parse_args()
    try:
        outcomes = evaluate(options.bundle, trials(options), max(1, options.workers))
    except (UserError, OSError) as error:
        console.print(f"[red]Error:[/red] {error}", highlight=False)
        sys.exit(2)
    figures = summary(outcomes)
    table = Table(title=f"{options.bundle}, {options.wording} wordings")
    table.add_column("figure")
    table.add_column("value", justify="right")
    for name, value in figures.items():
        table.add_row(name, f"{value:.3f}" if isinstance(value, float) else str(value))
    console.print(table)
    for o in outcomes:
        if not o.success:
            console.print(
                f"missed: seed {o.trial.seed} '{o.text}' closest {100 * o.closest:.1f} cm"
            )
    if options.report is not None:
        content = {"summary": figures, "outcomes": [asdict(o) for o in outcomes]}
        options.report.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
