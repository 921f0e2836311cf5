"""`vla_eval`: how often the arm reaches the cube named, measured on the whole ROS graph."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from vla_bringup import options as command_line
from vla_bringup.core import evaluation, graph, preflight, report
from vla_bringup.core.evaluation import Judge, Result, Told, Trial
from vla_bringup.core.preflight import Plan
from vla_bringup.graph_runner import GraphFailed
from vla_bringup.runner import FAILED, OK, WRONG_SETUP, absolute_output
from vla_bringup.session import Session, StopRequest
from vla_common.core.errors import ConfigError, UserError
from vla_common.core.urdf import installed_share

TICK = 0.01
STARTUP = 60.0
SETTLE = 0.3
"""Time [s] for images of the new scene to arrive before the sentence is said."""

AWAY = 1.5
"""Time [s] for the arm to leave a place where a cube is to lie."""
ATTEMPTS = 6
REARM, REARM_EVERY = 15.0, 1.2
"""Time [s] for a latched gate to accept reset and enable; the publisher tells once a second."""
PASSING = ("ACTIVE", "SLOW", "HOLD")


class Stopped(Exception):
    """The user wants to stop."""


def make_plan(arguments: argparse.Namespace) -> Plan:
    """Return the checked graph: simulated, nothing to do at the start."""
    absolute_output(arguments.report, "report")
    options = graph.Options(
        instruction="",
        use_sim=None,
        log_level=arguments.log_level,
        seed=arguments.seed,
        video=absolute_output(arguments.video, "video"),
        split=arguments.split,
    )
    plan = preflight.plan(arguments.robot, arguments.bundle, options, installed_share)
    if not plan.robot.identity.simulated:
        raise ConfigError(
            str(plan.robot_path), "robot.simulated", False, "true: true positions are needed"
        )
    return plan


class Evaluation:
    """Plays trials on a running graph."""

    def __init__(self, session: Session, stop: StopRequest, timeout: float) -> None:
        self._session = session
        self._observer = session.observer
        self._stop = stop
        self._timeout = timeout

    def _pause(self) -> None:
        if self._stop.is_set():
            raise Stopped
        self._session.poll()
        time.sleep(TICK)

    def wait_until_ready(self) -> None:
        """Wait until the gate lets plans pass. Raises GraphFailed when it does not."""
        deadline = time.monotonic() + STARTUP
        while time.monotonic() < deadline:
            safety, task = self._observer.recorder.safety, self._observer.recorder.task
            if safety is not None and safety.state in PASSING and task is not None:
                return
            self._pause()
        state = safety.state if safety else "not heard of"
        raise GraphFailed(
            f"not ready within {STARTUP:g} s: gate {state}; logs: {self._session.graph.logs}"
        )

    def play(self, trial: Trial) -> Result:
        """Place the cubes, say the sentences, and watch what the arm does."""
        self._arm_gate()
        self._place(trial)
        self._observer.instruct("")
        self._wait_for(trial)
        self._say(trial.first)
        if trial.then is not None:
            self._sleep(trial.after)
            self._say(trial.then)
        judge = Judge(trial, time.monotonic(), self._timeout)
        while True:
            task = self._observer.recorder.task
            result = judge.update(time.monotonic(), task.distances if task else {})
            if result is not None:
                return result
            self._pause()

    def _arm_gate(self) -> None:
        """Enable gate and publisher anew when one latched in the trial before, which it cost."""
        deadline = time.monotonic() + REARM
        stopped = False
        while self._gate() not in PASSING or self._observer.recorder.publisher_stands():
            if not stopped and self._gate() in PASSING:
                refused = self._observer.stop_gate()
                stopped = True
            else:
                refused = self._observer.rearm_gate()
            if time.monotonic() > deadline:
                raise GraphFailed(f"the gate stays {self._gate()}: {refused}")
            self._sleep(REARM_EVERY)

    def _gate(self) -> str:
        safety = self._observer.recorder.safety
        return safety.state if safety else ""

    def _place(self, trial: Trial) -> None:
        """Place the cubes; where the arm is in the way it is sent to another cube first."""
        for attempt in range(ATTEMPTS):
            refused = self._observer.reset_scene(trial.seed)
            if not refused:
                return
            task = self._observer.recorder.task
            distances = sorted(task.distances.items(), key=lambda item: item[1]) if task else []
            if distances:
                away = distances[-1 - attempt % 2][0]
                self._observer.instruct(f"reach the {away} cube")
            self._sleep(AWAY)
        raise GraphFailed(f"the simulator did not place the cubes of seed {trial.seed}: {refused}")

    def _sleep(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._pause()

    def _say(self, told: Told) -> None:
        self._observer.instruct(told.text)

    def _wait_for(self, trial: Trial) -> None:
        """Wait until the task's state is that of the new scene."""
        deadline = time.monotonic() + 5.0
        while time.monotonic() < deadline:
            task = self._observer.recorder.task
            if task is not None and task.seed == trial.seed:
                self._sleep(SETTLE)
                return
            self._pause()
        raise GraphFailed(f"scene {trial.seed} did not appear on /sim_arm/task_state")


def play_all(
    session: Session, stop: StopRequest, arguments: argparse.Namespace, console: Console
) -> tuple[list[Result], str]:
    """Play every trial; return the results so far and how it ended."""
    trials = evaluation.make_trials(arguments.scenes, arguments.seed)
    results: list[Result] = []
    columns = (
        TextColumn("[bold]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rates]}"),
        TimeRemainingColumn(),
    )
    player = Evaluation(session, stop, arguments.timeout)
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            bar = progress.add_task("trials", total=len(trials), rates="")
            player.wait_until_ready()
            for trial in trials:
                results.append(player.play(trial))
                progress.update(bar, advance=1, rates=short(results))
                if not console.is_terminal:
                    print(f"{len(results)}/{len(trials)}  {one_line(results[-1])}", flush=True)
    except Stopped:
        return results, "stopped by the user"
    except GraphFailed as error:
        return results, str(error)
    return results, "complete"


def one_line(result: Result) -> str:
    """Return a result in a few words."""
    trial = result.trial
    end = (
        f"reached {result.reached}"
        if result.reached
        else f"nowhere (nearest {result.nearest * 100:.1f} cm)"
    )
    words = (
        f"{trial.kind.value:8} {'ok  ' if result.success else 'MISS'} {result.time:5.2f} s  {end}"
    )
    first = f"{trial.first.text!r}, then " if trial.then else ""
    return f"{words}  {first}{trial.last.text!r}"


def short(results: Sequence[Result]) -> str:
    """Return the rates so far for the progress bar."""
    figures = evaluation.summarise(results)
    parts = []
    for name in ("named", "named_other", "went_to_original"):
        if figures[name]["trials"]:
            parts.append(f"{name.replace('_', ' ')} {figures[name]['rate']:.0%}")
    return "  ".join(parts)


def show(figures: dict[str, Any], console: Console) -> None:
    """Print the figures as a table."""
    table = Table(box=None, title="evaluation on the whole ROS graph", title_justify="left")
    for heading in ("", "rate", "95 % interval", "trials"):
        table.add_column(heading, justify="left" if not heading else "right")
    rows = {
        "named cube reached": figures["named"],
        "cube named on the way reached": figures["named_other"],
        "... went to the original cube": figures["went_to_original"],
        **{f"wordings: {k.replace('_', ' ')}": v for k, v in figures["by_wording"].items()},
        **{f"colour: {k}": v for k, v in figures["by_colour"].items()},
    }
    for name, found in rows.items():
        if found["trials"]:
            low, high = found["wilson_95"]
            table.add_row(
                name, f"{found['rate']:.1%}", f"{low:.1%} .. {high:.1%}", str(found["trials"])
            )
    console.print(table)
    for name, words in (
        ("time_to_reach_s", "time to reach"),
        ("time_to_reach_other_s", "... the other"),
    ):
        if figures[name]["p50"] is not None:
            console.print(
                f"{words}: p50 {figures[name]['p50']:.1f} s, p95 {figures[name]['p95']:.1f} s"
            )


def run(plan: Plan, arguments: argparse.Namespace, console: Console) -> int:
    """Evaluate and report; return the exit code."""
    stop = StopRequest()
    stop.install()
    with Session(plan, arguments.runs, console.print) as session:
        console.print(f"logs: {session.graph.logs}", soft_wrap=True)
        results, outcome = play_all(session, stop, arguments, console)
    figures = evaluation.summarise(results)
    show(figures, console)
    if arguments.report is not None:
        document = report.make(
            plan,
            session.observer.recorder,
            session.meter,
            session.graph.restarts(),
            session.start_ns,
            session.end_ns,
            outcome,
        )
        document["evaluation"] = {
            "scenes": arguments.scenes,
            "first_seed": arguments.seed,
            "timeout_s": arguments.timeout,
            **figures,
            "results": [evaluation.result_dict(r) for r in results],
        }
        report.write_atomically(arguments.report, document)
        console.print(f"report: {arguments.report}", soft_wrap=True)
    if outcome == "complete":
        fault = evaluation.verdict(figures, arguments.min_success, arguments.max_original)
    else:
        fault = f"not complete: {outcome}"
    if fault:
        console.print(f"not good enough: {fault}", style="red", markup=False, soft_wrap=True)
    return FAILED if fault else OK


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    arguments = command_line.eval_parser().parse_args(words)
    console = Console(highlight=False)
    try:
        return run(make_plan(arguments), arguments, console)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_SETUP


if __name__ == "__main__":
    sys.exit(main())
