"""The gate's diagnostics: each level of each status is reached, and left again.

Each row is a story: what is done, step by step, and which level the status then has.
"""

import numpy as np
import pytest
from safety_world import MS, ROS, World, make_robot

from vla_common.core.stats import Window
from vla_common.diagnostics import ERROR, OK, WARN
from vla_safety.core.state_machine import State
from vla_safety.report import GateReport


class Stat:
    def __init__(self):
        self.values = {}

    def summary(self, level, message):
        self.level, self.message = level, message

    def add(self, key, value):
        assert key not in self.values
        self.values[key] = value


class Panel(World):
    """A gate and its report, with what may happen to them by name."""

    def __init__(self, **safety):
        super().__init__(make_robot(2, recover_ms=0.0, **safety))
        self.report = GateReport(self.gate, Window(16))

    def read(self, task):
        stat = Stat()
        getattr(self.report, task)(stat)
        return stat

    def rows(self, **targets):
        """Return a plan that stands still, but for joints that are sent outside at its end."""
        q = self.gate.motion.command(self.now)[0]
        rows = np.tile(q, (8, 1))
        for name, target in targets.items():
            rows[1:, int(name[1:])] = target
        return rows

    def plan(self, times=1, **targets):
        for _ in range(times):
            self.chunk(self.rows(**targets))
            self.tick(20), self.tick(20), self.tick(10)
        assert self.gate.state is State.ACTIVE

    def refused(self, times=1):
        for _ in range(times):
            self.chunk(self.rows(), stamp_ns=self.now + ROS + 1000 * MS)
            self.tick(10)

    def wait(self, seconds):
        """Let time pass in which nobody sends a plan; the report is looked at meanwhile."""
        for part in (0.0, 0.5, 0.5):
            self.now += round(seconds * part * 1e9)
            self.read("state"), self.read("limits")
        self.tick(20)

    def jump(self):
        self.gate.clock.offset_ns -= 1000 * MS
        self.tick(20)

    def enable(self):
        self.gate.reset(self.now)
        self.tick(20)
        ok, message = self.gate.enable(self.now)
        assert ok, message
        self.plan()

    def stand_outside(self, q):
        self.joints_talk = False
        self.gate.on_joint_state(["j0", "j1"], [q, 0.0], [0.0, 0.0], self.now)

    def beat(self, pressed=False, ms=0):
        self.gate.on_estop("button", pressed, self.now)
        self.now += ms * MS

    def released(self):
        """Let the source talk until reset and enable are allowed, and do both."""
        for _ in range(120):
            self.beat()
            self.tick(10)
        self.enable()
        self.beat()

    def dark(self, frames):
        self.cameras_talk = False
        self.now += MS
        self.camera_health(dark=[frames])

    def publisher_says(self, mode, problems=()):
        self.gate.on_command_state(mode, "why", self.gate.announcer.seq, list(problems), self.now)

    def long_good_run(self):
        """As after an hour of plans that nothing held back."""
        self.gate.following.plans += 72_000
        self.wait(61)


def walk(panel, task, story):
    for number, (step, level, words) in enumerate(story):
        step(panel)
        stat = panel.read(task)
        where = f"step {number}: {stat.message}"
        assert stat.level == level, where
        assert words in stat.message, where


@pytest.fixture
def tell(monkeypatch):
    """Return what tells a story to a gate whose clock the report reads too."""

    def tell(task, story, **safety):
        panel = Panel(**safety)
        monkeypatch.setattr("time.monotonic_ns", lambda: panel.now)
        panel.enabled()
        panel.plan()
        walk(panel, task, story)
        return panel

    return tell


def nothing(panel):
    pass


@pytest.mark.parametrize(
    "story",
    [
        [(nothing, OK, "ACTIVE"), (lambda p: p.wait(0.3), ERROR, "HOLD: no_chunk"),
         (lambda p: p.plan(3), OK, "ACTIVE")],
        [(lambda p: p.gate.stop(p.now), ERROR, "STOPPING: stop_requested"),
         (lambda p: p.wait(1.1), ERROR, "LATCHED"), (lambda p: p.enable(), OK, "ACTIVE")],
        [(lambda p: p.plan(18), OK, ""), (lambda p: p.plan(1, j1=2.5), OK, ""),
         (lambda p: p.plan(1, j1=2.5), WARN, "10 % of plans of the last 60 s"),
         (lambda p: p.wait(61), ERROR, "HOLD"), (lambda p: p.plan(3), OK, "ACTIVE")],
        [(lambda p: p.plan(1, j1=2.5), OK, "ACTIVE")],  # 50 %, but of two plans
        [(lambda p: p.long_good_run(), ERROR, "HOLD"), (lambda p: p.plan(3), OK, ""),
         (lambda p: p.plan(20, j1=2.5), WARN, "held back")],
        [(lambda p: p.plan(30, j1=2.5), WARN, "held back"), (lambda p: p.wait(61), ERROR, "HOLD"),
         (lambda p: p.plan(30), OK, "ACTIVE")],
    ],
)  # fmt: skip
def test_state(tell, story):
    panel = tell("state", story)
    assert {"State", "Latched", "Cause", "Epoch", "Seq", "Reset blocked by"} <= set(
        panel.read("state").values
    )


@pytest.mark.parametrize(
    "story",
    [
        [(nothing, OK, "within"), (lambda p: p.plan(4, j1=2.5), OK, ""),
         (lambda p: p.plan(1, j1=2.5), WARN, "60 s: j1 (5)"), (lambda p: p.wait(61), OK, "")],
        [(lambda p: p.plan(4, j1=2.5), OK, ""), (lambda p: p.plan(4, j0=-2.5), OK, ""),
         (lambda p: p.plan(1, j0=-2.5, j1=2.5), WARN, "j0 (5), j1 (5)")],
        [(lambda p: p.stand_outside(2.1), ERROR, "measured outside"),
         (lambda p: p.stand_outside(1.9), OK, "within")],
    ],
)  # fmt: skip
def test_limits(tell, story):
    tell("limits", story)


def test_limits_are_told_by_joint(tell):
    """The clamps of all joints were one number."""
    panel = tell("limits", [(lambda p: p.plan(3, j1=2.5), OK, "")])
    values = panel.read("limits").values
    assert (values["j0 Clamps (60 s)"], values["j1 Clamps (60 s)"]) == ("0", "3")
    for key in ("margin (rad)", "Velocity ratio", "Acceleration ratio", "Jerk ratio"):
        assert f"j0 {key}" in values
    panel.wait(61)
    assert panel.read("limits").values["j1 Clamps (60 s)"] == "0"


@pytest.mark.parametrize(
    "story",
    [
        [(nothing, OK, "no plan refused"), (lambda p: p.refused(1), WARN, "1 plans refused"),
         (lambda p: p.wait(61), OK, "")],
        [(lambda p: p.refused(2), WARN, ""), (lambda p: p.refused(1), ERROR, "3 plans refused"),
         (lambda p: p.plan(), WARN, "3 plans refused in 60 s"), (lambda p: p.wait(61), OK, "")],
        # the error stayed for ever when the plans ended
        [(lambda p: p.refused(3), ERROR, "in a row"), (lambda p: p.wait(0.9), ERROR, "in a row"),
         (lambda p: p.wait(0.1), WARN, "in 60 s"), (lambda p: p.wait(61), OK, "")],
        # a clock jump was not seen here
        [(lambda p: p.jump(), WARN, "1 clock jumps in 60 s"), (lambda p: p.wait(61), OK, "")],
    ],
)  # fmt: skip
def test_input(tell, story):
    tell("input", story)


def test_input_has_the_keys_that_are_promised(tell):
    panel = tell("input", [(lambda p: p.jump(), WARN, "")])
    values = panel.read("input").values
    assert values["Clock jumps"] == "1"
    for key in ("Non-finite", "Wrong size", "Stale", "Duplicate", "Out of order", "Future"):
        assert values[key] == "0"


@pytest.mark.parametrize(
    ("required", "story"),
    [
        (False, [(nothing, OK, "no source (not required)"), (lambda p: p.beat(ms=75), OK, "rel"),
                 (lambda p: p.beat(ms=76), WARN, "heartbeat 76 ms old"),
                 (lambda p: p.beat(ms=50), OK, "released"),
                 (lambda p: p.beat(pressed=True), ERROR, "pressed: button"),
                 (lambda p: p.beat(), ERROR, "latched: estop_pressed"),
                 (lambda p: p.released(), OK, "released"),
                 (lambda p: p.wait(0.2), ERROR, "heartbeat lost: button"),
                 (lambda p: p.released(), OK, "released")]),
        (True, [(lambda p: p.beat(), OK, "released")]),
    ],
)  # fmt: skip
def test_emergency_stop(tell, monkeypatch, required, story):
    if required:  # it is not enabled without
        panel = Panel(estop_required=True)
        monkeypatch.setattr("time.monotonic_ns", lambda: panel.now)
        walk(panel, "emergency_stop", [(nothing, ERROR, "no heartbeat on /vla/estop"), *story])
    else:
        panel = tell("emergency_stop", story)
    keys = {"Latched", "Source", "Heartbeat age (ms)", "Trips"}
    assert set(panel.read("emergency_stop").values) == keys


@pytest.mark.parametrize(
    ("watched", "story"),
    [
        (True, [(nothing, OK, "all required"), (lambda p: p.dark(10), ERROR, "camera_dark"),
                (lambda p: p.dark(0), OK, ""), (lambda p: p.wait(0.2), ERROR, "camera"),
                (lambda p: p.dark(0), OK, "")]),
        (False, [(nothing, WARN, "camera_watch is false")]),
    ],
)  # fmt: skip
def test_cameras(tell, watched, story):
    tell("cameras", story, camera_watch=watched)


@pytest.mark.parametrize(
    "story",
    [
        [(nothing, OK, "following"), (lambda p: p.publisher_says(0), WARN, "waiting: why"),
         (lambda p: p.publisher_says(3), WARN, "latched: why"),
         (lambda p: p.publisher_says(1), OK, "armed"),
         (lambda p: p.publisher_says(1, ["no controller"]), ERROR, "no controller"),
         (lambda p: p.publisher_says(2), OK, "following")],
    ],
)  # fmt: skip
def test_publisher(tell, story):
    panel = tell("publisher", story)
    panel.now += 251 * MS
    assert panel.read("publisher").level == ERROR
    panel.publisher_says(2)
    assert panel.read("publisher").level == OK
    assert panel.gate.state is State.ACTIVE
