"""Mailbox, windows, rates, clock offset, traces."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vla_common.core.clock import ClockOffset
from vla_common.core.mailbox import Mailbox
from vla_common.core.stats import RateMeter, Rise, Window
from vla_common.core.trace import STAGES, Trace, stages_ms


def test_mailbox_gives_the_newest_and_counts_the_replaced():
    box = Mailbox()
    for item in range(5):
        box.put(item)
    assert (box.take(), box.take(), box.received, box.replaced) == (4, None, 5, 4)


def test_mailbox_close_wakes_the_waiting_thread():
    box = Mailbox()
    results = []
    thread = threading.Thread(target=lambda: results.append(box.take(30.0)))
    thread.start()
    box.close()
    thread.join(5.0)
    assert results == [None]


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=200), st.integers(1, 50))
def test_window_summary_is_that_of_the_last_values(values, size):
    window = Window(size)
    for value in values:
        window.add(value)
    held = np.array(values[-size:])
    summary = window.summary()
    assert summary.count == len(held)
    assert summary.max == held.max()
    assert summary.p50 == pytest.approx(np.percentile(held, 50))
    assert window.max_ever == max(values)


def test_empty_window_is_nan():
    assert np.isnan(Window(4).summary().p99)


@given(st.integers(2, 300), st.integers(1_000_000, 1_000_000_000))
def test_rate_of_even_events(count, period_ns):
    meter = RateMeter(64)
    for i in range(count):
        meter.add(1 + i * period_ns)
    last = 1 + (count - 1) * period_ns
    assert meter.rate(last) == pytest.approx(1e9 / period_ns)
    assert meter.rate(last + 100 * period_ns) == pytest.approx(1e9 / (100 * period_ns))


def test_clock_jump_is_one_jump_and_drift_is_none():
    offset = ClockOffset()
    assert not offset.update(1_000_000_000, 0)
    for i in range(1, 100):
        assert not offset.update(1_000_000_000 + i * 1_010_000, i * 1_000_000)
    assert offset.update(500_000_000, 100_000_000)
    assert not offset.update(600_000_000, 200_000_000)
    assert (offset.jumps, offset.to_monotonic(650_000_000)) == (1, 250_000_000)


def test_clock_offset_unknown_is_an_error():
    with pytest.raises(ValueError, match="not known yet"):
        ClockOffset().to_monotonic(1)


def test_stages_add_up_to_the_total():
    names = list(Trace.__dataclass_fields__)
    trace = Trace(**{name: (i + 1) * 1_000_000 for i, name in enumerate(names)})
    stages = stages_ms(trace)
    parts = sum(v for k, v in stages.items() if k != "total")
    assert parts == pytest.approx(stages["total"])
    assert sum(b for n, (_, _, b) in STAGES.items() if n != "total") <= STAGES["total"][2]


def test_stage_not_reached_is_left_out():
    assert stages_ms(Trace(capture_ns=5, received_ns=1_000_005)) == {"capture": 1.0}


def test_a_rise_is_that_of_the_span_and_forgets_what_was_before():
    rise = Rise(1000, step_ns=10)
    assert rise.look([3, 0], 0).tolist() == [3, 0]  # so they rose since the beginning
    assert rise.look([5, 1], 500).tolist() == [5, 1]
    assert rise.look([5, 2], 999).tolist() == [5, 2]
    assert rise.look([5, 2], 1500).tolist() == [0, 1]
    assert rise.look([9, 2], 1505).tolist() == [4, 1]
    assert rise.look([9, 2], 9000).tolist() == [4, 0]
    assert rise.look([9, 2], 9999).tolist() == [4, 0]
    assert rise.look([9, 2], 10000).tolist() == [0, 0]


def test_a_rise_remembers_no_more_looks_than_it_needs():
    rise = Rise(1000, step_ns=100)
    for now_ns in range(20_000):
        assert 1000 <= rise.look([now_ns], now_ns)[0] <= 1101 or now_ns < 1101
    assert len(rise._looks) <= 12
