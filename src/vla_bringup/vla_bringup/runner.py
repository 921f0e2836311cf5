"""`vla_run`: the node graph without launch, supervised and watched."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vla_bringup import options as command_line
from vla_bringup.core import graph, preflight, report
from vla_bringup.core.preflight import Plan
from vla_bringup.graph_runner import GraphFailed
from vla_bringup.live import View
from vla_bringup.session import Session, StopRequest
from vla_common.core.errors import UserError
from vla_common.core.urdf import installed_share

OK, FAILED, WRONG_SETUP = 0, 1, 2
TICK = 0.05
STARTUP = 60.0
"""How long [s] a run with a duration waits for the first action."""


def make_plan(arguments: argparse.Namespace) -> Plan:
    """Return the checked graph for the command line. Raises :class:`UserError`."""
    use_sim = {"auto": None, "true": True, "false": False}[arguments.use_sim]
    options = graph.Options(
        instruction=arguments.instruction,
        use_sim=use_sim,
        log_level=arguments.log_level,
        seed=arguments.seed,
        video=absolute_output(arguments.video, "video"),
        split=arguments.split,
    )
    absolute_output(arguments.report, "report")
    return preflight.plan(arguments.robot, arguments.bundle, options, installed_share)


def absolute_output(path: Path | None, key: str) -> Path | None:
    """Return the path made absolute. Raises :class:`UserError` when it cannot be written."""
    if path is None:
        return None
    path = path.expanduser().absolute()
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(
            f"command line: {key} = {str(path)!r} is not allowed: a file in a folder that exists "
            "and can be written"
        )
    return path


def describe(plan: Plan) -> str:
    """Return what was checked, in a few lines."""
    cameras = ", ".join(f"{c.name} {c.width}x{c.height} {c.encoding}" for c in plan.bundle.cameras)
    lines = [
        f"robot    {plan.robot.identity.name}  ({plan.robot_path})",
        f"joints   {', '.join(plan.robot.joints)}",
        f"bundle   {plan.bundle.model_id}  ({plan.bundle_path})",
        f"cameras  {cameras}",
        f"horizon  {plan.bundle.horizon} steps of {plan.bundle.step_dt * 1e3:g} ms",
        f"graph    {', '.join(p.name for p in plan.processes)}",
    ]
    return "\n".join(lines)


def time_left(session: Session, duration: float | None, now_ns: int) -> float | None:
    """Return how long the run still lasts [s]; None: until Ctrl-C."""
    if duration is None:
        return None
    first_ns = session.observer.recorder.actions.first_ns
    if first_ns == 0:
        if now_ns - session.start_ns > STARTUP * 1e9:
            raise GraphFailed(
                f"no action within {STARTUP:g} s of the start; logs: {session.graph.logs}"
            )
        return duration
    return duration - (now_ns - first_ns) * 1e-9


def watch(session: Session, view: View, duration: float | None, stop: StopRequest) -> str:
    """Watch the graph until it has run long enough or the user stops it; return which."""
    while not stop.is_set():
        session.poll()
        left = time_left(session, duration, time.monotonic_ns())
        with session.observer.lock:
            view.show(
                session.observer.recorder,
                session.meter,
                session.graph.pids(),
                session.graph.restarts(),
                left,
            )
        if left is not None and left <= 0.0:
            return "ran for the duration asked for"
        time.sleep(TICK)
    return "stopped by the user"


def run(plan: Plan, arguments: argparse.Namespace, console: Console) -> int:
    """Run the graph and report on it; return the exit code."""
    stop = StopRequest()
    stop.install()
    code = OK
    view = View(plan, console, console.is_terminal and not arguments.no_view)
    try:
        with Session(plan, arguments.runs, view.say) as session:
            view.say(f"logs: {session.graph.logs}")
            try:
                outcome = watch(session, view, arguments.duration, stop)
            except GraphFailed as error:
                outcome, code = str(error), FAILED
            view.close()
            console.print("stopping: the arm comes to rest, then the processes end")
        if arguments.report is not None:
            write_report(session, arguments.report, outcome, console)
    finally:
        view.close()
    if code != OK:
        console.print(f"error: {outcome}", style="red", markup=False, soft_wrap=True)
    return code


def write_report(session: Session, path: Path, outcome: str, console: Console) -> None:
    """Write the report of a session that has ended."""
    document = report.make(
        session.plan,
        session.observer.recorder,
        session.meter,
        session.graph.restarts(),
        session.start_ns,
        session.end_ns,
        outcome,
    )
    report.write_atomically(path, document)
    console.print(f"report: {path}", soft_wrap=True)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = command_line.run_parser()
    arguments = parser.parse_args(words)
    console = Console(highlight=False)
    try:
        plan = make_plan(arguments)
        if arguments.validate_only:
            console.print(describe(plan), markup=False, soft_wrap=True)
            return OK
        return run(plan, arguments, console)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return WRONG_SETUP


if __name__ == "__main__":
    sys.exit(main())
