"""A table of figures in a page, between two marks that say which command writes it."""

from __future__ import annotations

from pathlib import Path


def marks(name: str, command: str) -> tuple[str, str]:
    """Return the marks of the table ``name`` that ``command`` writes."""
    return f"<!-- {name}: written by {command} -->", f"<!-- /{name} -->"


def put(page: Path, begin: str, end: str, table: str) -> None:
    """Replace what is between two marks of a page.

    Raises ValueError, and changes nothing, where one is missing or not alone.
    """
    text = page.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        raise ValueError(f"{page}: needs the marks {begin} and {end}, each once and in this order")
    head, rest = text.split(begin)
    text = f"{head}{begin}\n{table}\n{end}{rest.split(end)[1]}"
    page.write_text(text, encoding="utf-8")
