"""What is told to the gate, and when: every 50 ms, and at once when a verdict changes."""

import numpy as np
import pytest
from camera_cases import MS, Noise, image_of, make_robot

from vla_camera.core.health import POLL_NS, HealthBeat
from vla_camera.core.ingest import Ingest
from vla_common.core.robot import from_parameters

ROS = 1_700_000_000_000 * MS
START = 1_000 * MS
PERIOD = 30 * MS
BLACK = np.zeros((32, 32, 3), np.uint8)


class Bench:
    """A clock; images of each camera every 30 ms, the beat asked every 10 ms."""

    def __init__(self, cameras=None, **safety):
        values = dict(make_robot(cameras or {"front": {}}).parameters)
        robot = from_parameters({**values, "safety": safety}, "bench.yaml")
        self.ingest = Ingest(robot)
        self.ingest.restart(START)
        self.beat = HealthBeat(self.ingest.streams, robot)
        self.noise = Noise()
        self.now = START
        self.sent = []

    def run(self, ms, pixels=None, silent=(), **fields):
        """Let time pass; ``pixels(i)`` are those of the i-th image."""
        for _ in range(round(ms / 10)):
            self.now += POLL_NS
            if (self.now - START) % PERIOD == 0:
                for index in range(len(self.ingest.streams)):
                    if index not in silent:
                        self.feed(index, self.noise() if pixels is None else pixels, **fields)
            health = self.beat.due(self.now)
            if health is not None:
                self.sent.append((self.now, health))

    def feed(self, index, pixels, **fields):
        image = image_of(pixels)
        for name, value in fields.items():
            setattr(image, name, value)
        self.ingest.add(index, image, self.now + ROS - 5 * MS, self.now + ROS, self.now)

    def clear(self):
        """Forget what was sent, and begin at an image."""
        while (self.now - START) % PERIOD:
            self.run(10)
        del self.sent[:]


def test_an_image_that_comes_after_the_time_was_noted_has_no_negative_age():
    """The gate refuses a report with one, and the report before it grows old."""
    bench = Bench()
    bench.run(300)
    noted_ns = bench.now
    bench.now += 7 * MS
    bench.feed(0, bench.noise())
    health = HealthBeat(bench.ingest.streams, make_robot({"front": {}})).due(noted_ns)
    assert health.age_ms == (0.0,) and health.faults == ("",)


def test_a_live_camera_is_told_of_at_20_hz():
    bench = Bench()
    bench.run(300)
    bench.clear()
    bench.run(1000)
    assert 20 <= len(bench.sent) <= 21
    for _, health in bench.sent:
        assert health.cameras == ("front",)
        assert health.faults == ("",)
        assert health.repeated == (1,)
        assert health.dark == (0,)
        assert 0.0 <= health.age_ms[0] <= 30.0


def first(bench, condition):
    """Return when the first report that fulfils the condition was sent, and the report."""
    return next((at, health) for at, health in bench.sent if condition(health))


def test_a_camera_that_stops_is_told_of_when_it_is_too_old_not_at_the_next_beat():
    for phase in range(0, 50, 10):
        bench = Bench()
        bench.run(300 + phase)
        bench.clear()
        last = bench.now
        bench.run(400, silent=(0,))
        at, health = first(bench, lambda h: h.age_ms[0] > 150.0)
        assert at - last == 160 * MS
        assert health.age_ms[0] == pytest.approx(160.0)
        assert health.faults[0].startswith("no usable image")


def test_frozen_at_the_fifth_and_live_again_after_the_third_new_image():
    bench = Bench()
    still = bench.noise()
    bench.run(300)
    bench.clear()
    began = bench.now
    bench.run(180, pixels=still)
    at, health = first(bench, lambda h: h.repeated[0] >= 5)
    assert at == began + 5 * PERIOD
    assert health.faults == ("frozen",)
    bench.clear()
    began = bench.now
    bench.run(300)
    at, health = first(bench, lambda h: not h.faults[0])
    assert at <= began + 3 * PERIOD
    assert health.repeated == (1,)


def test_dark_images_are_counted_and_told_at_the_tenth():
    bench = Bench()
    bench.run(300)
    bench.clear()
    began = bench.now
    numbers = np.random.default_rng(3)
    while bench.now < began + 12 * PERIOD:
        bench.run(30, pixels=numbers.integers(0, 3, BLACK.shape, dtype=np.uint8))
    at, health = first(bench, lambda h: h.dark[0] >= 10)
    assert at == began + 10 * PERIOD
    assert health.faults == ("dark",)
    bench.run(60)
    assert bench.sent[-1][1].dark == (0,)


def test_images_that_are_not_usable_leave_the_camera_to_grow_old():
    bench = Bench()
    bench.run(300)
    bench.run(300, encoding="mono8")
    assert bench.sent[-1][1].age_ms[0] > 150.0
    assert bench.sent[-1][1].faults == ("wrong encoding",)


def test_before_the_first_image_the_age_counts_from_the_start():
    bench = Bench()
    bench.run(200, silent=(0,))
    health = bench.sent[-1][1]
    assert health.age_ms[0] == pytest.approx(200.0, abs=50.0)
    assert health.repeated == (0,)


def test_each_camera_has_its_own_verdict():
    bench = Bench({"front": {}, "wrist": {"required": False}})
    bench.run(300)
    bench.run(300, silent=(1,))
    health = bench.sent[-1][1]
    assert health.cameras == ("front", "wrist")
    assert health.age_ms[0] < 31.0 < 150.0 < health.age_ms[1]
    assert health.faults[0] == ""


def test_the_gates_thresholds_decide_what_a_change_is():
    bench = Bench(camera_age_ms=60.0)
    bench.run(300)
    bench.clear()
    last = bench.now
    bench.run(100, silent=(0,))
    at, _ = first(bench, lambda h: h.age_ms[0] > 60.0)
    assert at - last == 70 * MS
