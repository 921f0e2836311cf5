"""Mutation testing of the gate's core: change a line, see whether a test fails.

mutmut makes the mutants, in build/mutants, and runs for each of them the tests that reach it;
this puts the files there, keeps what is already decided, and says what survived. Ctrl-C, or
``--minutes``, ends a run; the next one goes on. Mutants of a function that was changed are run
again, and so are the survivors when a test was changed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import mutants_page

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "vla_safety"
CORE = PACKAGE / "vla_safety" / "core"
PLACE = ROOT / "build" / "mutants"
# Not the long ones, nor those that need ROS: a mutant should be decided in two seconds. Nor those
# that start Python anew, where mutants do not run, of what is compiled, which they are not.
LEFT_OUT = ("test_*_fuzz.py", "test_prove.py", "test_compiled.py")
SURVIVED, NO_TESTS = 0, 33
KINDS: dict[int | None, str] = {
    None: "not run", 1: "killed", 3: "killed", SURVIVED: "survived", NO_TESTS: "untested",
    **dict.fromkeys((-6, -11), "killed"), **dict.fromkeys((-24, 24, 36, 152, 255, -9), "timeout"),
}  # fmt: skip
"""By the exit code of a mutant's tests, as mutmut keeps it; -6 and -11: a library aborted."""
CONFIG = """[mutmut]
source_paths = vla_safety
only_mutate = vla_safety/core/*
do_not_mutate =
    *__init__.py
    *compiled.py
pytest_add_cli_args =
    -p
    no:cacheprovider
    -p
    no:launch_testing
    -W
    ignore
pytest_add_cli_args_test_selection =
{tests}
timeout_constant = 2.0
timeout_multiplier = 5
use_git_change_detection = false
on_dependency_change = ignore
track_dependencies = false
use_setproctitle = false
"""


def tests() -> list[Path]:
    """Return the test files that mutants are run against."""
    found = sorted((PACKAGE / "test").glob("*.py"))
    short = [path for path in found if not any(path.match(pattern) for pattern in LEFT_OUT)]
    return [path for path in short if "rclpy" not in path.read_text(encoding="utf-8")]


def copy_if_changed(source: Path, target: Path) -> bool:
    """Copy a file unless the same is there; return whether it was copied."""
    if target.exists() and target.read_bytes() == source.read_bytes():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return True


def prepare() -> None:
    """Put package, tests and configuration in place; forget what has to be found out anew."""
    package = list((PACKAGE / "vla_safety").rglob("*.py"))
    wanted = {path.relative_to(PACKAGE) for path in (*tests(), *package)}
    changed = set()
    for folder in ("vla_safety", "test"):
        for old in (PLACE / folder).rglob("*.py"):
            if old.relative_to(PLACE) not in wanted:
                changed.add(old.relative_to(PLACE))
                old.unlink()
                for gone in (PLACE / "mutants" / old.relative_to(PLACE).parent).glob(
                    old.name + "*"
                ):
                    gone.unlink()
    changed |= {name for name in sorted(wanted) if copy_if_changed(PACKAGE / name, PLACE / name)}
    names = [f"    test/{path.name}" for path in tests() if path.name.startswith("test_")]
    (PLACE / "setup.cfg").write_text(CONFIG.format(tests="\n".join(names)), encoding="utf-8")
    if any(name.parts[0] == "test" for name in changed):
        # a survivor may be killed now, and which test reaches what is another matter, too
        (PLACE / "mutants" / "mutmut-stats.json").unlink(missing_ok=True)
        forget(lambda mutant, code: KINDS.get(code) != "killed")
    forget(lambda mutant, code: Path("vla_safety", "core", module(mutant)) in changed)


def metas() -> list[Path]:
    """Return the files in which mutmut keeps its results."""
    return sorted((PLACE / "mutants").rglob("*.py.meta"))


def forget(which: Callable[[str, int | None], bool]) -> None:
    """Take back the results of some mutants."""
    for path in metas():
        kept = json.loads(path.read_text(encoding="utf-8"))
        codes = kept["exit_code_by_key"]
        kept["exit_code_by_key"] = {
            k: None if which(k, code) else code for k, code in codes.items()
        }
        path.write_text(json.dumps(kept), encoding="utf-8")


def results() -> dict[str, int | None]:
    """Return the exit code of each mutant's tests; None: not run yet."""
    found: dict[str, int | None] = {}
    for path in metas():
        found.update(json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"])
    return found


def module(mutant: str) -> str:
    """Return the file name of a mutant: ``vla_safety.core.path.x...`` is in ``path.py``."""
    return mutant.split(".")[2] + ".py"


def undecided(only: list[str]) -> list[str] | None:
    """Return what mutmut is to be given: names or patterns; empty: all that are new; None: none."""
    decided = results()
    if not only:
        return []
    new = set(only) - {module(name) for name in decided}
    names = [name for name, code in decided.items() if code is None and module(name) in only]
    return [*names, *(f"vla_safety.core.{name.removesuffix('.py')}.*" for name in new)] or None


def run(patterns: list[str], jobs: int, minutes: float) -> int:
    """Let mutmut run; return its exit code."""
    words = [sys.executable, "-m", "mutmut", "run", "--max-children", str(jobs), *patterns]
    # a mutant is not worth the time that compiling takes
    environment = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": ""}
    log = PLACE / "mutmut.log"
    print(f"mutmut runs; its log is {log}", flush=True)
    with (
        log.open("wb") as stream,
        subprocess.Popen(
            words, cwd=PLACE, env=environment, start_new_session=True,
            stdout=None if sys.stdout.isatty() else stream, stderr=subprocess.STDOUT,
        ) as process,
    ):  # fmt: skip
        try:
            code = process.wait(minutes * 60.0 if minutes else None)
            if code and not sys.stdout.isatty():
                print(log.read_text(encoding="utf-8", errors="replace")[-2000:])
            return code
        except (KeyboardInterrupt, subprocess.TimeoutExpired):
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20.0)
            return 0
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


DIFFS = """
import json, sys
from mutmut.mutation.diff_apply import get_diff_for_mutant
print(json.dumps({name: get_diff_for_mutant(name) for name in json.load(sys.stdin)}))
"""


def diffs(mutants: list[str]) -> dict[str, list[str]]:
    """Return the lines that each mutant changes."""
    if not mutants:
        return {}
    done = subprocess.run(
        [sys.executable, "-c", DIFFS], cwd=PLACE, input=json.dumps(mutants), text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    found = {}
    for name, text in json.loads(done.stdout).items():
        lines = [line for line in text.splitlines() if line.startswith(("+", "-"))]
        kept = [line for line in lines if not line.startswith(("+++", "---"))]
        found[name] = [f"{line[0]} {line[1:].strip()}" for line in kept]
    return found


def tell(only: list[str], show: Path | None) -> float:
    """Print the score of each file and what survived; return the score of all.

    ``show``: a page that is to say so too, of files of which enough was run.
    """
    every = Counter[str]()
    survivors = []
    files: dict[str, Counter[str]] = {}
    for mutant, code in results().items():
        if only and module(mutant) not in only:
            continue
        kind = KINDS.get(code, "odd")
        files.setdefault(module(mutant), Counter())[kind] += 1
        every[kind] += 1
        if kind in ("survived", "untested", "odd"):
            survivors.append((mutant, kind))
    changes = diffs([mutant for mutant, _ in survivors])
    for mutant, kind in survivors:
        print(f"\n{mutant} ({kind})")
        print("\n".join(f"    {line}" for line in changes[mutant]))
    heads = ("mutants", "killed", "timeout", "survived", "not run")
    print(f"\n{'file':<20}" + "".join(f"{head:>9}" for head in heads) + "  score")
    for name, counts in [*sorted(files.items()), ("all", every)]:
        run_ = sum(counts.values()) - counts["not run"]
        dead = counts["killed"] + counts["timeout"]
        alive = run_ - dead
        print(
            f"{name:<20}{sum(counts.values()):>9}{counts['killed']:>9}{counts['timeout']:>9}"
            f"{alive:>9}{counts['not run']:>9}  {100.0 * dead / run_ if run_ else 0.0:5.1f} %"
        )
    if show is not None:
        done = {name: counts for name, counts in files.items() if mutants_page.enough(counts)}
        shown = [mutant for mutant, _ in survivors if module(mutant) in done]
        found = [mutants_page.Survivor.of(mutant, changes[mutant]) for mutant in shown]
        known = {path.name for path in CORE.glob("*.py")}
        mutants_page.write(show, done, found, known, time.strftime("%Y-%m-%d"))
    run_ = sum(every.values()) - every["not run"]
    return (every["killed"] + every["timeout"]) / run_ if run_ else 0.0


def main() -> int:
    """Run the mutants that are not decided; print the score of each file and the survivors."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--only", default="", help="files of core/, e.g. limiter.py,path.py")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="(%(default)s)")
    parser.add_argument("--minutes", type=float, default=0.0, help="stop after; 0: when done")
    parser.add_argument("--fresh", action="store_true", help="forget what is decided already")
    parser.add_argument("--show", action="store_true", help="only print what is decided already")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put table and survivors there")
    parser.add_argument("--least", type=float, default=0.9, help="score to reach (%(default)s)")
    options = parser.parse_args()
    only = [name for name in options.only.split(",") if name]
    known = {path.name for path in CORE.glob("*.py")}
    if set(only) - known:
        parser.error(f"--only {options.only}: allowed are {', '.join(sorted(known))}")
    if options.fresh:
        shutil.rmtree(PLACE, ignore_errors=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # mutmut would live on without us
    if not options.show:
        prepare()
        patterns = undecided(only)
        code = run(patterns, options.jobs, options.minutes) if patterns is not None else 0
        if code:
            return code
    score = tell(only, options.page)
    return 0 if score >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
