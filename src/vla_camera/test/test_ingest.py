"""From messages to sets: what is refused and counted, and which faults stop the sets."""

from dataclasses import replace

import numpy as np
import pytest
from camera_cases import MS, Noise, image_of, make_robot
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_camera.core.ingest import Ingest
from vla_common.core.errors import ConfigError

ROS = 1_700_000_000_000 * MS  # ROS time at monotonic zero
PERIOD = 33 * MS
START = 1_000 * MS


class Bench:
    """Feeds images at given times, 5 ms after their capture."""

    def __init__(self, cameras, **sync):
        self.ingest = Ingest(make_robot(cameras, **sync))
        self.ingest.restart(START)
        self.noise = Noise()
        self.now_ns = START

    def feed(self, index=0, pixels=None, age_ms=5.0, stamp_ns=None, ros=ROS, **fields):
        image = image_of(self.noise() if pixels is None else pixels)
        for name, value in fields.items():
            setattr(image, name, value)
        stamp_ns = self.now_ns + ros - round(age_ms * MS) if stamp_ns is None else stamp_ns
        return self.ingest.add(index, image, stamp_ns, self.now_ns + ros, self.now_ns)

    def step(self, **kwargs):
        self.now_ns += PERIOD
        return self.feed(**kwargs)

    @property
    def stream(self):
        return self.ingest.streams[0]


def one(**sync):
    bench = Bench({"front": {}}, **sync)
    assert bench.step() is not None
    return bench


def test_a_good_image_becomes_a_set():
    bench = Bench({"front": {}})
    pixels = bench.noise()
    frames = bench.step(pixels=pixels)
    np.testing.assert_array_equal(frames.images["front"], pixels)
    assert frames.capture_ns == bench.now_ns - 5 * MS
    assert frames.stamp_ns == bench.now_ns - 5 * MS + ROS
    assert frames.trace.received_ns == frames.trace.ingest_ns == bench.now_ns


@pytest.mark.parametrize(
    ("kwargs", "reason"),
    [
        ({"age_ms": 200.0}, "stale"),
        ({"age_ms": -25.0}, "future stamp"),
        ({"stamp_ns": 0}, "out of order"),
        ({"age_ms": 39.0}, "out of order"),
        ({"age_ms": 38.0}, "duplicate stamp"),
        ({"width": 31}, "wrong size"),
        ({"encoding": "bgr8"}, "wrong encoding"),
        ({"step": 90}, "wrong step"),
        ({"height": 0}, "wrong size"),
    ],
)
def test_a_bad_image_is_refused_and_counted(kwargs, reason):
    bench = one()
    if reason == "stale":
        bench.now_ns += 400 * MS  # so that the stamp still rises
    assert bench.step(**kwargs) is None
    assert bench.stream.report(bench.now_ns).reasons == {reason: 1}
    assert bench.step() is not None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"width": 640, "height": 480}, ["front: size", "640x480", "32x32"]),
        ({"encoding": "bgr8"}, ["front: encoding", "bgr8", "rgb8"]),
    ],
)
def test_a_camera_that_is_wrong_from_the_start_is_a_mistake_of_the_user(fields, words):
    bench = Bench({"front": {}})
    with pytest.raises(ConfigError) as caught:
        bench.step(**fields)
    for word in [*words, "/camera/front/image_raw", "bench.yaml"]:
        assert word in str(caught.value)


def test_a_camera_that_turns_wrong_is_a_fault_and_recovers():
    bench = one()
    for _ in range(5):
        assert bench.step(width=31) is None
    assert bench.stream.report(bench.now_ns).wrong
    assert bench.stream.fault(bench.now_ns) == "wrong size"
    assert bench.step() is not None
    assert bench.stream.fault(bench.now_ns) == ""


def test_a_frozen_camera_stops_the_sets_and_recovers():
    bench = one()
    stuck = bench.noise()
    made = [bench.step(pixels=stuck) is not None for _ in range(8)]
    assert made == [True] * 4 + [False] * 4
    assert bench.stream.fault(bench.now_ns) == "frozen"
    assert bench.ingest.report(bench.now_ns).blocked_by == ("front: frozen",)
    assert [bench.step() is not None for _ in range(3)] == [False, False, True]


def test_a_dark_camera_stops_the_sets():
    bench = one()
    made = []
    for i in range(12):
        made.append(bench.step(pixels=np.full((32, 32, 3), i % 3, dtype=np.uint8)) is not None)
    assert made == [True] * 9 + [False] * 3
    assert bench.stream.fault(bench.now_ns) == "dark"


def test_silence_is_a_fault_after_150_ms():
    bench = one()
    assert bench.stream.fault(bench.now_ns + 150 * MS) == ""
    assert bench.stream.fault(bench.now_ns + 151 * MS) == "no usable image for 151 ms"


def test_a_camera_never_heard_of_is_a_fault_after_150_ms():
    bench = Bench({"front": {}})
    assert bench.stream.fault(START + 150 * MS) == ""
    assert bench.ingest.report(START + 151 * MS).blocked_by


@pytest.mark.parametrize("fault", ["silent", "frozen", "dark"])
@pytest.mark.parametrize("required", [True, False])
def test_a_fault_of_the_second_camera_follows_its_policy(fault, required):
    bench = Bench({"front": {}, "wrist": {"required": required}})
    level = 2 if fault == "dark" else 128
    sets = []
    for i in range(60):
        sets.append(bench.step(index=0))
        if i < 10:
            sets.append(bench.feed(index=1))
        elif fault != "silent":
            changing = i % 2 if fault == "dark" else 0
            sets.append(bench.feed(1, np.full((32, 32, 3), level - changing, dtype=np.uint8)))
    late = [frames for frames in sets[-40:] if frames is not None]
    if required:
        assert late == []
        assert bench.ingest.report(bench.now_ns).blocked_by
    else:
        assert len(late) >= 19
        assert all(frames.missing == ("wrist",) for frames in late)
        assert bench.ingest.report(bench.now_ns).missing


@pytest.mark.parametrize("jump_ms", [-5000, -60, 60, 5000])
def test_a_jump_of_the_clock_costs_the_images_under_way_at_most(jump_ms):
    bench = one()
    after = ROS + jump_ms * MS
    old_stamp = bench.now_ns + PERIOD - 5 * MS + ROS  # captured before the jump
    bench.step(stamp_ns=old_stamp, ros=after)
    assert bench.ingest.report(bench.now_ns).clock_jumps == 1
    made = [bench.step(ros=after) for _ in range(5)]
    assert all(frames is not None for frames in made[-3:])
    assert all(f is None or bench.now_ns - f.capture_ns < 200 * MS for f in made)


def test_monotonic_capture_times_do_not_depend_on_ros_time():
    captures = []
    for ros in (ROS, ROS + 3_600_000 * MS):
        bench = Bench({"front": {}})
        captures.append(bench.step(ros=ros).capture_ns)
    assert captures[0] == captures[1]


def test_restart_forgets_everything():
    bench = one()
    for _ in range(6):
        bench.step(pixels=np.zeros((32, 32, 3), dtype=np.uint8))
    bench.ingest.restart(bench.now_ns)
    report = bench.stream.report(bench.now_ns)
    assert (report.received, report.dropped, report.fault) == (0, 0, "")
    assert bench.step() is not None


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(-400, 400), st.sampled_from(["rgb8", "mono8"])),
        max_size=40,
    )
)
@settings(deadline=None, max_examples=100)
def test_whatever_the_stamps_a_set_is_never_stale_nor_from_the_future(events):
    bench = Bench({"front": {}, "wrist": {}})
    bench.step(index=0)
    bench.feed(index=1)
    last_ns = 0
    for index, age_ms, encoding in events:
        frames = bench.step(index=index, age_ms=float(age_ms), encoding=encoding)
        if frames is None:
            continue
        assert frames.skew_ns <= 40 * MS
        assert last_ns < frames.capture_ns
        newest_ns = max(frames.captures_ns.values())
        assert bench.now_ns - 150 * MS - 40 * MS <= frames.capture_ns
        assert newest_ns <= bench.now_ns + 20 * MS
        last_ns = frames.capture_ns


def test_reports_are_values():
    report = one().stream.report(START)
    assert replace(report) == report
