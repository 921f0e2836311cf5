"""A table of figures in a page, between two marks that say which command writes it."""

from __future__ import annotations

from pathlib import Path


def marks(name: str, command: str) -> tuple[str, str]:
    """Return the marks of the table ``name`` that ``command`` writes."""
    return f"<!-- {name}: written by {command} -->", f"<!-- /{name} -->"


def parts(page: Path, begin: str, end: str) -> tuple[str, str, str]:
    """Return what stands before, between and behind two marks of a page.

    Raises ValueError where one is missing or not alone.
    """
    text = page.read_text(encoding="utf-8")
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(end) < text.index(begin):
        raise ValueError(f"{page}: needs the marks {begin} and {end}, each once and in this order")
    head, rest = text.split(begin)
    between, tail = rest.split(end)
    return head, between, tail


def put(page: Path, begin: str, end: str, table: str) -> None:
    """Replace what is between two marks of a page. Raises ValueError as :func:`parts` does."""
    head, _, tail = parts(page, begin, end)
    page.write_text(f"{head}{begin}\n{table}\n{end}{tail}", encoding="utf-8")
