"""The publisher's diagnostics: each level of each status is reached, and left again."""

from collections import Counter
from types import SimpleNamespace

import pytest
from command_world import MS

from vla_command.core.latency import LatencyBook
from vla_command.core.path import GateState
from vla_command.core.watchdog import Watchdog
from vla_command.report import Report
from vla_common.core.stats import RateMeter, Window
from vla_common.core.trace import FIELDS, Trace
from vla_common.diagnostics import ERROR, OK, WARN

PERIOD_MS = 10.0
LEASE_NS = 50 * MS
NOW = 10_000 * MS


class Stat:
    def __init__(self):
        self.values = {}

    def summary(self, level, message):
        self.level, self.message = level, message

    def add(self, key, value):
        assert key not in self.values
        self.values[key] = value


class Panel:
    """What the report reads of the node, and what may happen to it by name."""

    def __init__(self, dry_run=False):
        self.now = NOW
        self.watchdog = Watchdog(LEASE_NS)
        self.loop = SimpleNamespace(
            period_ns=round(PERIOD_MS * MS), period_ms=Window(100), overruns=0, alive=True
        )
        self.commander = SimpleNamespace(
            watchdog=self.watchdog, refused=Counter(), accepted=0, ignored=0
        )
        self.robot = SimpleNamespace(
            controller=SimpleNamespace(dry_run=dry_run, type="joint_trajectory")
        )
        self.margin_ms, self.sent, self.topic = Window(100), RateMeter(), "/command"
        self.watch = SimpleNamespace(subscribers=1, others=0)
        self.latency = LatencyBook()
        self.report = Report(self)

    def read(self, task):
        stat = Stat()
        getattr(self.report, task)(stat)
        return stat

    def hear(self, state=GateState.ACTIVE):
        self.watchdog.hear(state, self.now + LEASE_NS, self.now)

    def enabled(self):
        """Let the gate be heard idle, then enabled."""
        self.hear(GateState.READY)
        self.now += MS
        self.hear()

    def lease_lost(self):
        self.now += 51 * MS
        assert self.watchdog.check(self.now)

    def periods(self, *periods_ms):
        """Let the loop take these periods, after 100 good ones."""
        for period in (*[PERIOD_MS] * 100, *periods_ms):
            self.loop.period_ms.add(period)

    def command(self, total_ms, times=1):
        """Send commands whose images are so old."""
        self.now += 1000 * MS
        for _ in range(times):
            begun = self.now - round(total_ms * MS)
            passed = dict.fromkeys(FIELDS, self.now) | {"capture_ns": begun}
            self.latency.add(Trace(**passed))

    def ended(self):
        self.loop.alive = False

    def anew(self):
        """As after deactivate and activate."""
        self.loop.alive, self.watchdog = True, Watchdog(LEASE_NS)
        self.commander.watchdog = self.watchdog
        self.enabled()


def walk(panel, task, story):
    for number, (step, level, words) in enumerate(story):
        step(panel)
        stat = panel.read(task)
        where = f"step {number}: {stat.message}"
        assert stat.level == level, where
        assert words in stat.message, where


@pytest.fixture
def panel(monkeypatch):
    made = Panel()
    monkeypatch.setattr("time.monotonic_ns", lambda: made.now)
    return made


def nothing(panel):
    pass


@pytest.mark.parametrize(
    "story",
    [
        [(nothing, WARN, "the gate was not heard yet"), (lambda p: p.enabled(), OK, "following"),
         (lambda p: p.lease_lost(), ERROR, "lease lost"), (lambda p: p.enabled(), OK, "following")],
        # one percent: at 1.2 periods a warning, an error when more than one period late
        [(lambda p: p.enabled(), OK, ""), (lambda p: p.periods(11.9, 11.9), OK, ""),
         (lambda p: p.periods(12.1, 12.1), WARN, "period p99"), (lambda p: p.periods(), OK, ""),
         (lambda p: p.periods(20.0), OK, ""), (lambda p: p.periods(20.1), ERROR, "overrun"),
         (lambda p: p.periods(), OK, "following")],
        [(lambda p: p.enabled(), OK, ""), (lambda p: p.ended(), ERROR, "the loop has ended"),
         (lambda p: p.anew(), OK, "following")],
    ],
)  # fmt: skip
def test_loop(panel, story):
    walk(panel, "loop", story)
    keys = {"Target (Hz)", "Period p50 (ms)", "Period p99 (ms)", "Period max (ms)", "Overruns"}
    assert keys | {"Lease margin (ms)"} <= set(panel.read("loop").values)


@pytest.mark.parametrize(
    "story",
    [
        [(nothing, OK, "no command yet"), (lambda p: p.command(40.0), OK, "total p99 40.0"),
         (lambda p: p.command(500.0, 5000), WARN, "budget"),
         (lambda p: p.command(40.0, 5000), OK, "total p99 40.0")],
    ],
)  # fmt: skip
def test_latency(panel, story):
    walk(panel, "latency", story)


@pytest.mark.parametrize(
    "story",
    [
        [(lambda p: p.enabled(), OK, "sending"),
         (lambda p: p.watchdog.hold(("no controller",)), ERROR, "no controller"),
         (lambda p: p.watchdog.hold(()), OK, "sending")],
    ],
)  # fmt: skip
def test_output(panel, story):
    walk(panel, "output", story)
