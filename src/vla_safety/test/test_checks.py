"""The checks of a chunk at their very borders."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safety_world import ROS, World, make_robot

from vla_common.core.trace import Trace
from vla_safety.core.checks import (
    EPOCHS_AHEAD,
    MAX_EPOCH,
    MAX_STAMP,
    UNIX_EPOCHS,
    InputCheck,
    Refused,
    check_names,
    rows_of,
)
from vla_safety.core.limits import limits_of
from vla_safety.core.reasons import Reason

INT64 = 1 << 63
AGES = {"max_action_age_ms": 1000.0, "max_capture_age_ms": 8000.0, "future_ms": 200.0}
NOW = 20_000_000_000
# so long that an error of a millionth of a factor is more than a nanosecond


@pytest.fixture
def checks():
    robot = make_robot(3, **AGES)
    return InputCheck(limits_of(robot), robot.safety)


def raw(**changes):
    world = World(make_robot(3))
    world.now = NOW
    return world.raw(np.zeros((8, 3)), **changes)


LAST_EPOCH = UNIX_EPOCHS + EPOCHS_AHEAD


def reason_of(checks, offset=ROS, **changes):
    """Return why a chunk is refused; None when it is not."""
    try:
        checks.check(raw(**changes), NOW, offset)
    except Refused as refused:
        assert str(refused) == refused.reason.value
        return refused.reason
    return None


@pytest.mark.parametrize(
    ("field", "good", "bad", "reason"),
    [
        ("epoch", 0, -1, Reason.SHAPE),
        ("epoch", LAST_EPOCH, LAST_EPOCH + 1, Reason.OUT_OF_ORDER),
        ("epoch", LAST_EPOCH, MAX_EPOCH + 1, Reason.SHAPE),
        ("seq", 0, -1, Reason.SHAPE),
        ("seq", 2 * INT64 - 1, 2 * INT64, Reason.SHAPE),
        ("step_dt", 0.01, np.nextafter(0.01, 0.0), Reason.STEP),
        ("step_dt", 1.0, np.nextafter(1.0, 2.0), Reason.STEP),
        ("start_ns", NOW + 250_000_000, NOW + 250_000_001, Reason.FUTURE),
        ("start_ns", NOW + 50_000_000 - 10**9, NOW + 49_999_999 - 10**9, Reason.STALE),
        ("capture_ns", NOW + 200_000_000, NOW + 200_000_001, Reason.FUTURE),
        ("capture_ns", NOW - 8 * 10**9, NOW - 8 * 10**9 - 1, Reason.STALE_CAPTURE),
        ("stamp_ns", NOW + ROS + 200_000_000, NOW + ROS + 200_000_001, Reason.FUTURE),
        ("stamp_ns", 0, -1, Reason.FUTURE),
        ("horizon", 8, 0, Reason.SHAPE),
        ("confidence", 0.0, "1", Reason.SHAPE),
    ],
)
def test_the_last_good_value_and_the_first_bad_one(checks, field, good, bad, reason):
    # the sender's step is what dates row 0, so that it must fit the start
    start = {"start_ns": NOW + round(good * 1e9)} if field == "step_dt" else {}
    assert reason_of(checks, **{field: good}, **start) is None
    assert reason_of(checks, **{field: bad}, **start) is reason


@pytest.mark.parametrize("field", ["start_ns", "capture_ns", "stamp_ns"])
@pytest.mark.parametrize("value", [-INT64 - 1, INT64, INT64 + 1, "now", None, 1.5])
def test_times_that_are_none(checks, field, value):
    assert reason_of(checks, **{field: value}) is Reason.SHAPE


@pytest.mark.parametrize("value", [-INT64, INT64 - 1, INT64 - 2])
def test_times_at_the_ends_of_64_bits_are_refused_for_their_age(checks, value):
    reason = Reason.FUTURE if value > 0 else Reason.STALE
    assert reason_of(checks, start_ns=value) is reason
    reason = Reason.FUTURE if value > 0 else Reason.STALE_CAPTURE
    assert reason_of(checks, capture_ns=value) is reason
    assert reason_of(checks, stamp_ns=value) is Reason.FUTURE


def test_a_stamp_beyond_its_32_bits_of_seconds(checks):
    assert reason_of(checks, offset=None, stamp_ns=MAX_STAMP - 1) is None
    assert reason_of(checks, offset=None, stamp_ns=MAX_STAMP) is Reason.FUTURE


def test_a_capture_time_of_zero_means_none(checks):
    checks._capture_ns = 1 << 62  # however old a capture may be
    assert reason_of(checks, capture_ns=1) is None
    assert reason_of(checks, capture_ns=0) is Reason.STALE_CAPTURE


def test_one_row_is_a_plan_and_its_shape_may_be_flat_or_not(checks):
    assert rows_of([1.0, 2.0, 3.0], 1, 3).tolist() == [[1.0, 2.0, 3.0]]
    assert rows_of([[1.0, 2.0, 3.0]], 1, 3).shape == (1, 3)
    assert rows_of(np.zeros(3 * 1024), 1024, 3).shape == (1024, 3)
    for positions, horizon in (
        (np.zeros((3, 1)), 1),
        (np.zeros((1, 3, 1)), 1),
        (np.zeros((1, 1, 3)), 1),
        (np.zeros(3 * 1025), 1025),
        (np.zeros(4), 1),
    ):
        with pytest.raises(Refused) as refused:
            rows_of(positions, horizon, 3)
        assert refused.value.reason is Reason.SHAPE


def test_names_that_are_no_list():
    for names in ("ab", b"ab", 3, None, {"a", "b"}, iter(("a", "b"))):
        with pytest.raises(Refused) as refused:
            check_names(names, ("a", "b"))
        assert refused.value.reason is Reason.NAMES
    check_names(["a", "b"], ("a", "b"))
    with pytest.raises(Refused) as refused:
        check_names(["b", 1], ("a", "b"))
    assert refused.value.reason is Reason.NAMES


def test_a_plan_is_the_chunk_and_nothing_else(checks):
    trace = Trace(capture_ns=5)
    chunk = raw(epoch=7, seq=8, trace=trace, confidence=0.25, step_dt=0.051)
    plan = checks.check(chunk, NOW, ROS)
    assert (plan.epoch, plan.seq, plan.confidence) == (7, 8, 0.25)
    assert plan.step_ns == 51_000_000
    assert plan.sent_ns == chunk.start_ns - 51_000_000
    assert (plan.start_ns, plan.capture_ns) == (chunk.start_ns, chunk.capture_ns)
    assert plan.stamp_ns == chunk.stamp_ns
    assert plan.trace is trace
    checks.check(raw(step_dt=1.0, start_ns=NOW + 10**9), NOW, ROS)
    assert checks.check(raw(step_dt=1.0, start_ns=NOW + 10**9), NOW, ROS).step_ns == 10**9


def test_epoch_zero_is_good_until_it_is_void(checks):
    checks.void_old_plans()
    assert checks.min_epoch == 0
    plan = checks.check(raw(epoch=0, seq=3), NOW, ROS)
    checks.accept(plan)
    assert reason_of(checks, epoch=0, seq=3) is Reason.DUPLICATE
    assert reason_of(checks, epoch=0, seq=2) is Reason.OUT_OF_ORDER
    assert reason_of(checks, epoch=0, seq=4) is None
    checks.void_old_plans()
    assert checks.min_epoch == 1
    assert reason_of(checks, epoch=0, seq=4) is Reason.OLD_EPOCH
    checks.void_old_plans()
    assert checks.min_epoch == 1


@given(st.lists(st.integers(0, MAX_EPOCH), min_size=1, max_size=5))
def test_whatever_epochs_come_once_there_are_later_ones_for_long(epochs):
    """A flipped bit must not void all epochs to come."""
    robot = make_robot(3)
    checks = InputCheck(limits_of(robot), robot.safety)
    for epoch in epochs:
        if reason_of(checks, epoch=epoch) is None:
            checks.accept(checks.check(raw(epoch=epoch), NOW, ROS))
        checks.void_old_plans()
        assert reason_of(checks, epoch=checks.min_epoch) is None
    assert checks.min_epoch <= UNIX_EPOCHS + len(epochs) * (EPOCHS_AHEAD + 1)
