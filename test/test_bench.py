"""The benchmark's arithmetic, and that its null bundle is a bundle like any other."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

BENCH = Path(__file__).resolve().parent.parent / "bench"
sys.path.insert(0, str(BENCH))

import analysis  # noqa: E402
import null_bundle  # noqa: E402
import rounds  # noqa: E402
from stalls import Stalls, union_ns  # noqa: E402
from stops import longest_without, stops  # noqa: E402

from vla_common.core import robot  # noqa: E402
from vla_inference.core import bundle  # noqa: E402
from vla_inference.core.backend import open_backend  # noqa: E402
from vla_inference.core.golden import self_test  # noqa: E402

MS = 1_000_000


def test_naive_commands_are_joined_by_stamp_and_lost_images_counted(tmp_path: Path) -> None:
    camera, publisher = tmp_path / "camera.txt", tmp_path / "publisher.txt"
    camera.write_text("".join(f"{1000 + i} {i * 50 * MS}\n" for i in range(10)))
    answered = [i for i in range(10) if i not in (0, 7)]  # 0: before the chain was up
    publisher.write_text("".join(f"{1000 + i} {i * 50 * MS + 8 * MS}\n" for i in answered))
    measured = analysis.naive_round(camera, publisher, (100 * MS, 400 * MS))
    assert (measured.frames, measured.used, measured.lost) == (9, 5, 1)
    assert measured.total == pytest.approx([8.0] * 5)


def _sink(path: Path, captures: list[int], received: int) -> None:
    steps = (0, 3, 4, 5, 5, 6, 9, 10, 11, 12)  # [ms] after capture; 3 ms wait for the tick
    lines = ["latency " + " ".join(str(c + s * MS) for s in steps) for c in captures]
    status = {"at_ns": 0, "name": "camera_ingest: front topic", "message": ""}
    lines.append("diagnostic " + json.dumps({**status, "values": {"Received": str(received)}}))
    path.write_text("".join(line + "\n" for line in lines))


def test_our_commands_carry_their_trace(tmp_path: Path) -> None:
    camera, sink = tmp_path / "camera.txt", tmp_path / "sink.txt"
    camera.write_text("".join(f"{1000 + i} {i * 50 * MS}\n" for i in range(10)))
    _sink(sink, [i * 50 * MS for i in range(1, 10)], received=9)
    measured = analysis.our_round(camera, sink, (100 * MS, 400 * MS))
    assert (measured.commands, measured.used, measured.lost) == (6, 6, 1)
    assert measured.total == pytest.approx([12.0] * 6)
    assert measured.without_wait == pytest.approx([9.0] * 6)
    assert sum(v[0] for v in measured.stages.values()) == pytest.approx(12.0)


def test_a_round_without_commands_is_an_error_and_no_good_figure(tmp_path: Path) -> None:
    camera, sink = tmp_path / "camera.txt", tmp_path / "sink.txt"
    camera.write_text("1000 0\n")
    _sink(sink, [], received=1)
    with pytest.raises(RuntimeError, match="only 0 commands"):
        analysis.our_round(camera, sink, (0, 100 * MS))
    publisher = tmp_path / "publisher.txt"
    publisher.write_text("")
    with pytest.raises(ValueError, match="nothing was measured"):
        analysis.pooled([analysis.naive_round(camera, publisher, (0, 100 * MS))])


def test_tables_show_both_chains_and_the_ratio(tmp_path: Path) -> None:
    camera, sink = tmp_path / "camera.txt", tmp_path / "sink.txt"
    publisher = tmp_path / "publisher.txt"
    camera.write_text("".join(f"{1000 + i} {i * 50 * MS}\n" for i in range(10)))
    publisher.write_text("".join(f"{1000 + i} {i * 50 * MS + 24 * MS}\n" for i in range(10)))
    _sink(sink, [i * 50 * MS for i in range(10)], received=10)
    window = (0, 500 * MS)
    result = {
        "naive": analysis.pooled([analysis.naive_round(camera, publisher, window)]),
        "ours": analysis.pooled([analysis.our_round(camera, sink, window)]),
    }
    for figures in result.values():
        figures["cpu_cores"] = 0.5
    assert "| vla_ros / naive | 0.50 | 0.50 | 0.50 | 0.50 |" in analysis.table(result)
    assert analysis.WAIT in analysis.stage_table(result)


def test_null_bundle_passes_every_check(tmp_path: Path) -> None:
    folder = null_bundle.write_bundle(tmp_path / "bundle", ("front", "wrist"))
    file = tmp_path / "robot.yaml"
    file.write_text(yaml.safe_dump(rounds.robot_file(folder, 30.0, ("front", "wrist"))))
    checked = robot.load(file)
    loaded = bundle.load(folder)
    bundle.check_robot(loaded, checked)
    backend = open_backend(loaded, checked.model)
    try:
        result = self_test(loaded, backend)
    finally:
        backend.close()
    assert result.chunk_error <= loaded.manifest.tolerance.atol


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9))),
    st.integers(0, 60),
    st.integers(0, 40),
)
def test_times_that_overlap_count_once(spans: list[tuple[int, int]], begin: int, size: int) -> None:
    times = [(at, at + long) for at, long in spans]
    covered = {n for first, last in times for n in range(first, last)}
    assert union_ns(times, begin, begin + size) == len(covered & set(range(begin, begin + size)))


class Noted(Stalls):
    """Pauses of a machine, as if they had been seen [ms]."""

    def __init__(self, *times: tuple[int, int]) -> None:
        self.times = [(begin * MS, end * MS) for begin, end in times]


def test_only_a_pause_of_the_machine_excuses_a_stop() -> None:
    changes = [
        (1000 * MS, "HOLD", "joint_state_stale"),  # behind 40 ms in two pauses
        (1080 * MS, "LATCHED", "publisher"),
        (2500 * MS, "READY", "reset"),
        (2600 * MS, "ACTIVE", "enabled"),
        (9000 * MS, "SLOW", "confidence"),  # behind 39 ms
        (9500 * MS, "ACTIVE", "confidence"),
        (9900 * MS, "HOLD", "plan_silent"),  # a pause, but too long ago
    ]
    pauses = Noted((810, 830), (970, 990), (8900, 8939), (9640, 9690))
    first, second, third = stops(changes, pauses)
    assert (first.state, first.at_ns, first.until_ns) == ("HOLD", 1000 * MS, 2600 * MS)
    assert (first.excused, first.stood_still, first.longest) == (True, 0.04, 0.02)
    assert (second.excused, second.state, second.until_ns) == (False, "SLOW", 9500 * MS)
    assert (third.excused, third.until_ns) == (False, None)
    assert longest_without([first, second, third], 0, 20_000 * MS) == 6400 * MS
    assert longest_without([], 5 * MS, 20 * MS) == 15 * MS
    assert longest_without([first], 0, 20_000 * MS) == 17_400 * MS
