"""Compiled or not, the numbers are the same; and no damaged file keeps the gate from starting."""

import os
import subprocess
import sys

import pytest

from vla_safety.core import compiled as compiled_module
from vla_safety.core.compiled import COMPILED

PATHS = """
import hashlib
import numpy as np
from vla_common.core.robot import Safety
from vla_safety.core.compiled import COMPILED
from vla_safety.core.motion import Motion
from vla_safety.core.reference import through
from vla_safety.prove import random_limits

made = hashlib.sha256()
for seed in range(60):
    rng = np.random.default_rng(seed)
    limits = random_limits(rng)
    motion = Motion(limits, Safety(), "test")
    low, high = np.maximum(limits.q_min, -3.0), np.minimum(limits.q_max, 3.0)
    motion.anchor(rng.uniform(low, high), 0)
    for now in range(0, 400_000_000, 50_000_000):
        rows = rng.uniform(low - 0.5, high + 0.5, (8, limits.joints))
        motion.follow(through(rows, now, 50_000_000), now, float(rng.choice([1.0, 0.3])))
        made.update(motion.path.q.tobytes() + motion.path.v.tobytes() + bytes(motion.planner.held))
print(COMPILED, made.hexdigest())
"""
BLOCKED = "import sys\nsys.modules['numba'] = None\n"


def paths(cache, before="", **environment):
    """Return whether a fresh process compiled, and the hash of the paths that it made."""
    done = subprocess.run(
        [sys.executable, "-c", before + PATHS], check=False, text=True, capture_output=True,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache), "NUMBA_DISABLE_JIT": "0", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ran, made = done.stdout.split()
    return ran == "True", made


def test_without_numba_all_numbers_are_the_same_to_the_last_bit(tmp_path):
    with_it, made = paths(tmp_path)
    assert paths(tmp_path, BLOCKED) == (False, made)
    assert paths(tmp_path, NUMBA_DISABLE_JIT="1") == (False, made)
    if not with_it:
        pytest.skip("nothing is compiled: numba is missing, or off")


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled: numba is missing, or off")
@pytest.mark.parametrize("ending", ["nbi", "nbc"])
def test_what_a_power_cut_left_of_the_kept_code_is_made_anew(tmp_path, ending):
    _, made = paths(tmp_path)
    kept = list(tmp_path.rglob(f"*.{ending}"))
    assert len(kept) >= 6
    for path in kept:
        path.write_bytes(path.read_bytes()[:3] if path is kept[0] else b"")
    assert paths(tmp_path) == (True, made)
    assert all(path.stat().st_size > 3 for path in kept)
    assert paths(tmp_path) == (True, made)


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled: numba is missing, or off")
def test_where_nothing_may_be_written_it_is_compiled_at_each_start(monkeypatch):
    njit = compiled_module.numba.njit

    def refusing(function, cache=False):
        if cache:
            raise RuntimeError("no locator available")
        return njit(function)

    monkeypatch.setattr(compiled_module.numba, "njit", refusing)
    assert compiled_module.compiled(lambda x: x + 1.0)(2.0) == 3.0


@pytest.mark.skipif(not COMPILED, reason="nothing is compiled: numba is missing, or off")
@pytest.mark.parametrize("room", [0, 2000])
def test_on_a_full_disk_it_is_compiled_at_each_start(tmp_path, room):
    full = f"import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({room}, {room}))\n"
    ran, made = paths(tmp_path / "full", full)
    assert ran and paths(tmp_path / "kept") == (True, made)
    assert not [path for path in (tmp_path / "full").rglob("*.nb?") if path.stat().st_size > room]


def test_what_fails_with_the_kept_code_away_too_is_told(monkeypatch):
    monkeypatch.setattr(compiled_module, "_made", [])

    def fails():
        raise ValueError("told")

    with pytest.raises(ValueError, match="told"):
        compiled_module.warm_up(fails)
