"""Measures how soon the arm begins to stop after a fault, on the running graph.

The simulated arm, the publisher and the gate run as always; plans come from here, flawless, at a
constant speed. Each fault is injected again and again; between two injections it is healed, the
gate is reset and enabled, and only processes that were killed are started anew. A reaction begins
with the first desired state of the arm's controller, by its own stamp, that is slower by 5 %.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent), str(ROOT / "test")]

try:
    import rclpy  # noqa: F401
    from vla_msgs.msg import SafeAction  # noqa: F401
except ImportError as missing:
    sys.exit(f"reactions: {missing}; run it with `make reactions`, or `. tools/env.sh` first")

import page  # noqa: E402
from awake import Awake  # noqa: E402
from faults import BY_NAME, FAULTS, Fault  # noqa: E402
from host import machine  # noqa: E402
from rig import Rig  # noqa: E402
from table import BEGIN, END, Tally, markdown, renewed  # noqa: E402

SAY_EVERY = 25
"""Injections after which a line is printed where nobody watches a terminal."""
PATIENCE = 1.5
"""[s] beyond a bound that a reaction is waited for."""


def injection(rig: Rig, fault: Fault, tally: Tally) -> None:
    """Inject a fault once, and note what came of it.

    What went wrong while the machine itself stood still says nothing and is made again; what went
    well all the same counts, with the time that it took.
    """
    before = rig.watcher.counts.get(fault.reason, 0)
    try:
        fault_ns = fault.inject(rig)
        found = rig.reaction(fault_ns, fault.bound + PATIENCE, fault.rests)
        problems = []
        if found is None:
            problems.append(f"no reaction: {rig.seen(fault_ns)}")
        if fault.states and not rig.reached(fault.states):
            problems.append(f"the gate is {rig.watcher.state}: {rig.seen(fault_ns)}")
        if fault.reason and not rig.counted(fault.reason, before):
            problems.append(f"{fault.reason} was not counted: {rig.seen(fault_ns)}")
        problems += filter(None, [fault.check(rig)])
        tally.problems += filter(None, [rig.outside_limits()])  # never, whatever stood still
        if found is not None and (problems or found[0] > fault.bound):
            still = rig.stood_still(fault_ns, found[0])
            if still:
                tally.disturbed.append(still)
                return
        tally.add(found)
        tally.problems += problems
    finally:
        fault.heal(rig)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [fault.name for fault in FAULTS]
    parser.add_argument("--faults", default=",".join(names), help="of %(default)s")
    parser.add_argument("--count", type=int, default=100, help="of each fault (%(default)s)")
    parser.add_argument("--domain", type=int, default=66, help="ROS_DOMAIN_ID (%(default)s)")
    parser.add_argument("--output", type=Path, default=ROOT / "bench" / "reactions.json")
    parser.add_argument(
        "--add", action="store_true", help="keep what the output holds of other faults"
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="renew these rows in this file")
    parser.add_argument(
        "--from", dest="kept", type=Path, metavar="JSON", help="measure nothing, show this result"
    )
    options = parser.parse_args(arguments)
    options.faults = [name for name in options.faults.split(",") if name]
    unknown = sorted(set(options.faults) - set(names))
    if unknown or not options.faults:
        parser.error(f"--faults {','.join(unknown)!r}: allowed are {', '.join(names)}")
    if options.count < 1:
        parser.error(f"--count {options.count}: 1 or more is allowed")
    if options.page is not None:
        try:  # now, and not when hours have been measured
            page.parts(options.page, BEGIN, END)
        except (OSError, ValueError) as error:
            parser.error(f"--page: {error}")
    return options


class Kept:
    """The result, written after each fault: what was measured outlives whatever ends the run."""

    def __init__(self, output: Path, add: bool) -> None:
        self.output = output
        self.result: dict[str, Any] = {
            "machine": machine(),
            "begun": time.strftime("%Y-%m-%d %H:%M:%S"),
        }
        self.tallies: dict[str, Tally] = {}
        self._old: dict[str, Any] = {}
        if add and output.exists():
            self._old = json.loads(output.read_text(encoding="utf-8"))["faults"]

    def write(self, interrupted: bool) -> None:
        """Write what there is."""
        found = {name: tally.figures() for name, tally in self.tallies.items()}
        found = {**self._old, **found}
        self.result["interrupted"] = interrupted
        self.result["faults"] = {name: found[name] for name in BY_NAME if name in found}
        self.output.parent.mkdir(parents=True, exist_ok=True)
        self.output.write_text(json.dumps(self.result, indent=1) + "\n", encoding="utf-8")


def measure(options: argparse.Namespace, kept: Kept) -> None:
    """Inject the faults; those that need another gate or robot file have a graph of their own."""
    chosen = [BY_NAME[name] for name in options.faults]
    for door, variant in dict.fromkeys((fault.door, fault.variant) for fault in chosen):
        with Rig(options.domain, door=door, variant=variant) as rig:
            for fault in chosen:
                if (fault.door, fault.variant) == (door, variant):
                    _measure(rig, fault, options.count, kept)
                    kept.write(interrupted=True)


def _measure(rig: Rig, fault: Fault, count: int, kept: Kept) -> None:
    tally = kept.tallies[fault.name] = Tally(
        fault.name, fault.what, fault.bound, time.strftime("%Y-%m-%d")
    )
    begun = time.monotonic()
    rig.source.speed = fault.speed
    done = 0
    while done < count and len(tally.disturbed) <= count:
        rig.ready()
        injection(rig, fault, tally)
        before, done = done, tally.injections
        if sys.stderr.isatty():
            last = f"{1e3 * tally.slowed[-1]:.0f} ms" if tally.slowed else "no reaction"
            print(f"{fault.name} {done}/{count}: {last}   ", end="\r", file=sys.stderr)
        elif done > before and done % SAY_EVERY == 0 and done < count:
            print(f"{fault.name} {done}/{count}", file=sys.stderr)
    found = tally.figures()
    print(
        f"{fault.name:<18}{found.get('begins_p50_ms', 0.0):>7.1f} "
        f"{found.get('begins_max_ms', 0.0):>7.1f} ms of {found['bound_ms']:.0f}; "
        f"{'kept' if tally.passed else 'NOT KEPT'}, "
        f"{tally.missed} missed, {len(tally.problems)} problems, {len(tally.disturbed)} again, "
        f"{(time.monotonic() - begun) / count:.1f} s each",
        flush=True,
    )
    for problem in sorted(set(tally.problems))[:5]:
        print(f"    {problem}", flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Measure, write the results; 1 when a bound was not kept."""
    options = parse(arguments)
    if options.kept is not None:
        result = json.loads(options.kept.read_text(encoding="utf-8"))
    else:
        kept = Kept(options.output, options.add)
        interrupted = False
        try:
            with Awake():
                measure(options, kept)
        except KeyboardInterrupt:
            interrupted = True
        except (RuntimeError, AssertionError) as error:  # what was measured is kept
            print(f"ended early: {error}", file=sys.stderr)
            interrupted = True
        kept.write(interrupted)
        result = kept.result
        print(f"{options.output} written{', interrupted' if interrupted else ''}")
    print(markdown(result["faults"]))
    if options.page is not None:
        old = page.parts(options.page, BEGIN, END)[1]
        every = [fault.what for fault in FAULTS]
        page.put(options.page, BEGIN, END, renewed(old, result["faults"], every))
    good = all(found["passed"] for found in result["faults"].values())
    return 0 if good and not result.get("interrupted") else 1


if __name__ == "__main__":
    sys.exit(main())
