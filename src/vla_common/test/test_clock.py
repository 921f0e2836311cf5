"""Readings of two clocks."""

from vla_common.core.clock import read_both


def test_both_clocks_are_read_again_when_interrupted_and_the_quickest_reading_counts():
    times = iter([0, 500_000, 1_000_000, 1_040_000, 2_000_000, 2_300_000])
    ros = iter([1, 2, 3])
    assert read_both(lambda: next(ros), lambda: next(times)) == (2, 1_020_000)
    times, ros = iter([0, 20_000]), iter([7])
    assert read_both(lambda: next(ros), lambda: next(times)) == (7, 10_000)
