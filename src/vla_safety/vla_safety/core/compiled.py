"""Numeric loops as machine code where numba is installed, as plain Python where it is not.

A compiled function is the same function: it takes arrays where the plain one takes lists, and
gives the same numbers to the last bit (numba reorders nothing unless it is told to). Kept code is
used again while the file that a function is in has the same time and size: all that it calls must
be in that file.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

try:
    import numba  # type: ignore[import-untyped,unused-ignore]
    from numba.core.caching import NullCache  # type: ignore[import-untyped,unused-ignore]
except Exception:  # missing, or not made for this NumPy: slower, and as good
    COMPILED = False
else:
    COMPILED = not numba.config.DISABLE_JIT  # type: ignore[attr-defined,unused-ignore]

F = TypeVar("F", bound=Callable[..., Any])
_made: list[Any] = []


def compiled(function: F) -> F:
    """Return ``function``, compiled at its first call, or from a file when it was before."""
    if not COMPILED:
        return function
    try:
        made = numba.njit(function, cache=True)
    except RuntimeError:  # there is no folder that may be written to
        made = numba.njit(function)
    _made.append(made)
    return made  # type: ignore[no-any-return]


def warm_up(call: Callable[[], object]) -> None:
    """Make a first call, so that all it uses is compiled before anything moves.

    Files that cannot be read, such as power cuts leave behind, are thrown away; where there is no
    room for new ones nothing is kept.
    """
    try:
        call()
    except Exception:
        _forget()
        try:
            call()
        except OSError:
            for made in _made:
                made._cache = NullCache()
            call()


def _forget() -> None:
    for made in _made:
        name = f"{made.__module__.rpartition('.')[2]}.{made.__qualname__}-*.nb?"
        for kept in Path(made.stats.cache_path or os.devnull).glob(name):
            with contextlib.suppress(OSError):
                kept.unlink()


def plain(array: np.ndarray) -> Any:
    """Return what the functions take for ``array``: itself, or its numbers in lists."""
    return array if COMPILED else array.tolist()
