"""Prints what a robot file may say, as Markdown tables made from the schema itself.

``describe_parameters.py`` prints; ``--write README.md`` puts the tables between the two marks in
that file; ``--check README.md`` ends with 1 when they are not what the schema says.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import sys
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "src" / "vla_common"))

from vla_common.core import robot, surroundings
from vla_common.core.joint_limits import JointLimit
from vla_common.core.schema import allowed

BEGIN = "<!-- parameters: written by tools/describe_parameters.py -->"
END = "<!-- /parameters -->"
PLACES = {
    "joint_limits": "joint_limits.<joint>",
    "cameras": "cameras.<name>",
    "workspace": "workspace.<name>",
    "collision": "collision.<name>",
}
ITEMS = {
    "joint_limits": JointLimit,
    "cameras": robot.Camera,
    "workspace": surroundings.Zone,
    "collision": surroundings.Solid,
}
NAMES = {
    "cameras": "| `cameras.names` | list: text | required | the cameras, in order |",
    "workspace": "| `workspace.names` | list: text | `[]` | the zones |",
    "collision": "| `collision.names` | list: text | `[]` | the objects |",
}
KINDS = {float: "number", int: "whole number", bool: "true or false", str: "text"}


def kind_of(hint: Any) -> str:
    """Return the word for a field's type."""
    if typing.get_origin(hint) is tuple:
        return f"list: {KINDS[typing.get_args(hint)[0]]}"
    return KINDS[hint]


def default_of(field: dataclasses.Field[Any]) -> str:
    """Return the default as YAML would say it; "required" where there is none."""
    if field.default is dataclasses.MISSING:
        return "required"
    value = field.default
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, float):
        return "" if math.isnan(value) else f"`{value:g}`"
    if isinstance(value, tuple):
        return "`[" + ", ".join(str(v) for v in value) + "]`"
    return f"`{value}`" if value != "" else '`""`'


def rows(cls: type, place: str) -> Iterator[str]:
    """Yield a table row for each field of one section."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        takes = allowed(field.metadata, kind_of(hints[field.name])).replace("|", "\\|")
        meaning = str(field.metadata["description"]).replace("|", "\\|").replace("<", "\\<")
        yield f"| `{place}.{field.name}` | {takes} | {default_of(field)} | {meaning} |"


def describe() -> str:
    """Return the tables of all sections."""
    parts = []
    for section, cls in robot.SECTIONS.items():
        place = PLACES.get(section, section)
        lines = [f"**`{section}`**", "", "| key | takes | default | meaning |", "|---|---|---|---|"]
        if section in NAMES:
            lines.append(NAMES[section])
        lines += rows(ITEMS.get(section, cls), place)
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def put(text: str, where: str) -> str:
    """Return ``text`` with the tables between its marks. Raises ValueError without marks."""
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        raise ValueError(f"{where}: needs {BEGIN} and {END}, each once")
    head, rest = text.split(BEGIN)
    return f"{head}{BEGIN}\n{describe()}\n{END}{rest.split(END)[1]}"


def main() -> int:
    """Print, write or check."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables into this file")
    parser.add_argument("--check", type=Path, metavar="FILE", help="compare with this file")
    options = parser.parse_args()
    path = options.write or options.check
    if path is None:
        print(describe())
        return 0
    text = path.read_text(encoding="utf-8")
    wanted = put(text, str(path))
    if options.write:
        path.write_text(wanted, encoding="utf-8")
    elif text != wanted:
        print(f"{path}: parameters are not current: tools/describe_parameters.py --write {path}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
