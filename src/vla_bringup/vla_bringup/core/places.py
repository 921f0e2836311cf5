"""Where robot files and bundles are found."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from vla_common.core.errors import ConfigError

SOURCE_ROOT = Path(__file__).resolve().parents[4]
"""Top of the source tree when this file is (a link into) one; meaningless elsewhere."""


def roots(share: Path | None) -> tuple[Path, ...]:
    """Return the folders that hold ``config/`` and ``bundles/``: the source tree, the install."""
    candidates = (SOURCE_ROOT, share)
    return tuple(c for c in candidates if c is not None and (c / "config" / "robots").is_dir())


def robot_files(places: Iterable[Path]) -> dict[str, Path]:
    """Return the known robots by name; the first place that has one wins."""
    found: dict[str, Path] = {}
    for place in places:
        for path in sorted((place / "config" / "robots").glob("*.yaml")):
            found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def find_robot(robot: str, places: Iterable[Path]) -> Path:
    """Return the robot file for a name or a path. Raises :class:`ConfigError`."""
    if robot.endswith((".yaml", ".yml")) or "/" in robot:
        path = Path(robot).expanduser()
        if not path.is_file():
            raise ConfigError(
                "command line", "robot", robot, "a file that exists, or a known robot"
            )
        return path.resolve()
    known = robot_files(places)
    if robot not in known:
        raise ConfigError(
            "command line", "robot", robot, choices("a path to a robot file", known, robot)
        )
    return known[robot]


def known_bundles(folders: Iterable[Path]) -> tuple[str, ...]:
    """Return the names of the bundles in ``folders``."""
    return tuple(sorted({f.parent.name for d in folders for f in d.glob("*/bundle.yaml")}))


def choices(first: str, known: Iterable[str], given: str) -> str:
    """Say what is allowed: ``first``, or one of the known names, the nearest one first."""
    names = sorted(known)
    near = difflib.get_close_matches(given, names, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}{first}, or one of: {', '.join(names) or '(none found)'}"
