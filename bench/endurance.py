"""No false stops: the trained policy at work for a long time while other work takes the CPU.

Every few seconds the cubes lie elsewhere and a new sentence names one of them, so that the arm is
nearly always in motion; meanwhile one process for each core but one computes for nothing. Whatever
the gate then stops for is a false stop, since nothing is wrong, unless the machine itself stood
still just before: see :mod:`stops`. Prints how often it stopped, how many plans a limit held back,
the rates, and how often the cube named was reached; a gate that latched is reset and enabled, and
the run goes on. Ends with 1 when a stop was false, or a limit held back more than 5 % of the plans.
On a virtual machine, whose host lends an idle core to others, ``--awake`` keeps the cores from
being idle: see :mod:`awake`.

    make endurance ARGS="--minutes 30"
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from awake import Awake
from stalls import Stalls
from stops import longest_without, stops

from vla_bringup import options as command_line
from vla_bringup.core import evaluation, report
from vla_bringup.evaluate import PASSING, make_plan
from vla_bringup.graph_runner import GraphFailed
from vla_bringup.session import Session, StopRequest
from vla_common.core.errors import UserError

ROOT = Path(__file__).resolve().parents[1]
SCALED_AT_MOST = 0.05
BEGIN = 3.0
"""Seconds after the gate became active from which on everything counts."""
BUSY = "while True: pass"
AGAIN = 0.5
"""Seconds after which a gate that refused to be enabled is asked again."""


@contextmanager
def load(processes: int) -> Iterator[list[int]]:
    """Compute for nothing, each process on a core of its own, the last cores first."""
    cores = sorted(os.sched_getaffinity(0))
    started = []
    for core in cores[len(cores) - processes :]:
        process = subprocess.Popen([sys.executable, "-c", BUSY])
        os.sched_setaffinity(process.pid, {core})
        started.append(process)
    try:
        yield [process.pid for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


class Work:
    """Gives the arm something to do, and notes what came of it."""

    def __init__(self, session: Session, stop: StopRequest, every: float, seed: int) -> None:
        self._session, self._stop, self._every = session, stop, every
        self._observer = session.observer
        self._seed = seed
        self._ask = 0.0
        self.scenes = self.reached = 0

    def poll(self) -> bool:
        """Look after the processes; return whether to go on."""
        self._session.poll()
        safety = self._observer.recorder.safety
        if safety is not None and safety.state == "LATCHED" and time.monotonic() > self._ask:
            self._observer.rearm_gate()
            self._ask = time.monotonic() + AGAIN
        time.sleep(0.02)
        return not self._stop.is_set()

    def wait_active(self, timeout: float = 60.0) -> None:
        """Wait until the gate lets plans pass. Raises GraphFailed when it does not."""
        end = time.monotonic() + timeout
        while time.monotonic() < end and self.poll():
            safety = self._observer.recorder.safety
            if safety is not None and safety.state in PASSING and self._observer.recorder.task:
                return
        raise GraphFailed(f"not ready within {timeout:g} s; logs: {self._session.graph.logs}")

    def scene(self) -> bool:
        """Place the cubes anew and name one; return whether to go on."""
        trial = evaluation.make_trials(1, self._seed)[0]
        self._seed += 1
        if not self._observer.reset_scene(trial.seed):
            self.scenes += 1
            scored = True
        else:  # the arm is where a cube would be: the next sentence leads it away
            scored = False
        self._observer.instruct(trial.last.text)
        judge = evaluation.Judge(trial, time.monotonic(), self._every)
        end = time.monotonic() + self._every
        while time.monotonic() < end:
            if not self.poll():
                return False
            task = self._observer.recorder.task
            result = judge.update(time.monotonic(), task.distances if task else {})
            if result is not None:
                self.reached += result.success and scored
                return True
        return True


def parse(words: list[str] | None) -> argparse.Namespace:
    """Return the options: those of `make eval` that matter here, and our own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--minutes", type=float, default=30.0, help="(%(default)s)")
    parser.add_argument(
        "--every", type=float, default=8.0, help="[s] a scene at most (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=5000, help="of the first scene (%(default)s)")
    parser.add_argument(
        "--load",
        type=int,
        default=cores - 1,
        help="processes that compute for nothing (%(default)s)",
    )
    parser.add_argument(
        "--awake",
        action="store_true",
        help="also keep every core from being idle, below all other work (virtual machines)",
    )
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "endurance.json")
    options = parser.parse_args(words)
    if not 0 <= options.load <= cores:
        parser.error(f"--load {options.load}: 0 .. {cores} are allowed")
    if options.minutes <= 0.0:
        parser.error(f"--minutes {options.minutes}: more than 0 is allowed")
    return options


def figures(work: Work, before: dict[str, Any], session: Session, stalls: Stalls) -> dict[str, Any]:
    """Return what happened since ``before``."""
    now = snapshot(session)
    found = stops(session.observer.recorder.state_changes[before["states"] :], stalls)
    free_ns = longest_without(found, before["at_ns"], now["at_ns"])
    plans = now["plans"] - before["plans"]
    counts = {
        name: count - before["counts"].get(name, 0)
        for name, count in now["counts"].items()
        if count != before["counts"].get(name, 0)
    }
    return {
        "seconds": round(1e-9 * (now["at_ns"] - before["at_ns"]), 1),
        "plans": plans,
        "transitions": now["transitions"] - before["transitions"],
        "false_stops": sum(not stop.excused for stop in found),
        "right_stops": sum(stop.excused for stop in found),
        "stops": [str(stop) for stop in found[:50]],
        "longest_without_a_stop_s": round(1e-9 * free_ns, 1),
        "stood_still": {
            "times": len(stalls.times),
            "longest_ms": round(1e3 * stalls.during(0, time.monotonic_ns()), 1),
            "in_all_ms": round(1e3 * stalls.in_all(0, time.monotonic_ns()), 1),
        },
        "held_back_share": round(counts.get("held_back", 0) / max(plans, 1), 4),
        "counts": counts,
        "scenes": work.scenes,
        "named_cube_reached": work.reached,
        "restarts": session.graph.restarts(),
    }


def line(found: dict[str, Any]) -> str:
    """Return what is told every minute."""
    return (
        f"{found['seconds'] / 60:5.1f} min: {found['false_stops']} false stops, "
        f"{found['right_stops']} as the machine stood still, "
        f"{100 * found['held_back_share']:.1f} % of {found['plans']} plans held back, "
        f"{found['named_cube_reached']}/{found['scenes']} reached"
    )


def snapshot(session: Session) -> dict[str, Any]:
    """Return the counters now."""
    recorder = session.observer.recorder
    safety = recorder.safety
    assert safety is not None
    return {
        "at_ns": time.monotonic_ns(),
        "plans": recorder.actions.count,
        "transitions": safety.transitions,
        "counts": dict(safety.counts),
        "states": len(recorder.state_changes),
    }


def run(options: argparse.Namespace) -> int:
    """Run, print, write; return the exit code."""
    words = ["--runs", str(ROOT / "runs"), "--seed", str(options.seed)]
    arguments = command_line.eval_parser().parse_args(words)
    plan = make_plan(arguments)
    stop = StopRequest()
    stop.install()
    stalls = Stalls()
    with ExitStack() as running:  # what is begun ends, also where the graph cannot be started
        running.enter_context(closing(stalls))
        running.enter_context(load(options.load))
        if options.awake:
            running.enter_context(Awake())
        session = running.enter_context(Session(plan, arguments.runs, print))
        work = Work(session, stop, options.every, options.seed)
        work.wait_active()
        going = work.scene()
        time.sleep(BEGIN)
        before = snapshot(session)
        end, told = time.monotonic() + 60.0 * options.minutes, 0
        while going and time.monotonic() < end:
            going = work.scene()
            found = figures(work, before, session, stalls)
            if found["seconds"] >= 60.0 * (told + 1):
                told += 1
                print(line(found), flush=True)
        found = figures(work, before, session, stalls)
    recorder = session.observer.recorder
    whole = report.make(
        plan, recorder, session.meter, session.graph.restarts(), session.start_ns, session.end_ns,
        "complete" if going else "stopped by the user",
    )  # fmt: skip
    if plan.robot_path.is_relative_to(ROOT):  # the same on every machine
        whole["robot_file"] = str(plan.robot_path.relative_to(ROOT))
    result = {"load": options.load, "awake": options.awake, **found, "report": whole}
    options.output.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for told_stop in found["stops"]:
        print(f"  {told_stop}")
    unseen = found["transitions"] > 0 and not found["stops"]
    good = not found["false_stops"] and not unseen and found["held_back_share"] <= SCALED_AT_MOST
    print(f"longest time without any stop: {found['longest_without_a_stop_s'] / 60:.1f} min")
    print(f"{options.output} written: {'no false stop' if good else 'NOT good enough'}")
    return 0 if good else 1


def main(words: list[str] | None = None) -> int:
    """Run the command line."""
    try:
        return run(parse(words))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
