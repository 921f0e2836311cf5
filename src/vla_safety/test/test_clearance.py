"""Distances, and the verdict on a path, against a judge that shares no code with them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from space_world import HOME, clearance_of, judge, limits, make_arm

from vla_safety.core.probe import Probe
from vla_safety.core.reasons import Reason

NAMES = {
    "tcp:workspace.room": "room tcp",
    "elbow:workspace.room": "room elbow",
    "tcp:workspace.case": "case",
}


@pytest.fixture  # one for each test: a mutation run asks which test reaches what
def clearance():
    return clearance_of()


@pytest.fixture
def probe(clearance):
    return Probe(clearance.arm)


def postures(count, seed=0):
    return np.random.default_rng(seed).uniform(-2.9, 2.9, (count, 3))


def columns(clearance):
    """Return the judge's name of each pair."""
    return [NAMES.get(pair.name, pair.name) for pair in clearance.pairs]


def test_every_pair_is_judged(clearance):
    assert set(columns(clearance)) == set(limits())


def test_distances_are_those_of_the_judge(clearance, probe):
    q = postures(500)
    found = np.array([probe.survey(row) for row in q])
    for name, wanted in judge(q).items():
        mine = found[:, [i for i, n in enumerate(columns(clearance)) if n == name]].min(axis=1)
        apart = wanted > 0
        assert apart.sum() > 20, name
        assert mine[apart] == pytest.approx(wanted[apart], abs=1e-6), name
        assert (mine[~apart] <= 1e-9).all(), name


def test_no_distance_changes_by_more_than_reach_allows(clearance):
    rng = np.random.default_rng(1)
    q = postures(2000, 1)
    there = q + rng.normal(size=q.shape) * 10 ** rng.uniform(-4, 0.3, (len(q), 1))
    before, after = judge(q), judge(there)
    for name, pair in zip(columns(clearance), clearance.pairs):
        apart = (before[name] > 0) & (after[name] > 0)
        change = np.abs(before[name] - after[name])
        assert (change <= np.abs(there - q) @ pair.reach + 1e-9)[apart].all(), name


def path(start, towards, speed, rows):
    """Return a path (rows, 3) that turns away from a straight line as it goes."""
    steps = np.arange(rows)[:, None] * speed
    return start + steps * towards + 0.02 * np.sin(steps * 40.0) * towards[::-1]


def verdict(rows):
    """Return what the judge says: blocked, and how near that was to being decided otherwise."""
    margins = []
    for name, d in judge(rows).items():
        margins.append((d - min(limits()[name], d[0])).min())
    return min(margins)


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.integers(0, 10**6),
    st.lists(st.floats(-1, 1), min_size=3, max_size=3),
    st.floats(1e-3, 0.1),
    st.integers(2, 40),
)
def test_a_path_is_blocked_exactly_when_a_row_of_it_is_too_near(
    clearance, seed, towards, speed, rows
):
    rng = np.random.default_rng(seed)
    start = np.array(HOME) + rng.normal(size=3) * 0.8
    wanted = path(start, np.array(towards), speed, rows)
    first = judge(wanted[:1])
    if min(float(d[0]) for d in first.values()) <= 0.0:
        return  # in contact the two measure depth differently
    margin = verdict(wanted)
    if abs(margin) > 1e-6 or margin == 0.0:
        assert (clearance.check(wanted).blocked is None) == (margin >= 0.0)


def lowered(height):
    """Return a posture with the forearm level, ``height`` [m] between it and the table."""
    pitch = np.arcsin((0.4 - 0.04 - height) / 0.4)
    return np.array([0.0, pitch, -pitch])


def down(start, metres, rows=20):
    """Return a path that lowers the level forearm by ``metres``, from ``start`` metres."""
    return np.array([lowered(h) for h in np.linspace(start, start - metres, rows)])


@pytest.fixture
def no_room():
    return clearance_of(make_arm(workspace=None))


def test_motion_into_the_table_is_blocked_and_says_where(no_room):
    found = no_room.check(down(0.10, 0.09))
    assert found.blocked is Reason.COLLISION
    assert no_room.pairs[found.pair].name == "fore:table"
    assert found.distance < 0.02


@pytest.mark.parametrize(
    ("start", "metres", "blocked"),
    [
        (0.10, 0.0799, False),
        (0.10, 0.0801, True),
        (0.010, 0.001, True),  # nearer than the stop already, and nearer still
        (0.010, 0.0, False),  # stands still
        (0.010, -0.05, False),  # leads out
        (0.001, -0.001, False),
        (0.03, -0.02, False),
    ],
)
def test_stop_distance_and_the_way_out(no_room, start, metres, blocked):
    assert (no_room.check(down(start, metres)).blocked is not None) == blocked


def test_a_way_out_by_way_of_further_in_is_blocked(no_room):
    rows = np.vstack((down(0.010, 0.005), down(0.005, -0.1)))
    assert no_room.check(rows).blocked is Reason.COLLISION


def test_speed_falls_from_slow_distance_to_stop_distance(no_room):
    ease = [no_room.check(down(0.09, 0.09 - end)).ease for end in (0.06, 0.05, 0.04, 0.03, 0.0201)]
    assert ease[:2] == [1.0, pytest.approx(1.0, abs=0.01)]
    assert ease[2] == pytest.approx(0.1 + 0.9 * 2 / 3, abs=0.01)
    assert ease[3] == pytest.approx(0.1 + 0.9 / 3, abs=0.01)
    assert ease[4] == pytest.approx(0.1, abs=0.01)


def test_away_from_something_near_is_not_slowed(no_room):
    assert no_room.check(down(0.025, -0.05)).ease == 1.0


def test_a_distance_that_is_not_a_number_blocks(no_room, monkeypatch):
    monkeypatch.setattr(
        no_room._probe, "at", lambda q, pairs=None: [float("nan")] * len(pairs or no_room.pairs)
    )
    assert no_room.check(down(0.3, 0.001)).blocked is not None


def test_a_path_far_from_everything_is_settled_by_its_first_row(no_room):
    before = no_room.searched
    assert no_room.check(down(0.3, 0.001)).blocked is None
    assert no_room.searched == before


def test_what_was_checked_before_decides_nothing(clearance):
    rng = np.random.default_rng(3)
    paths = [
        path(np.array(HOME) + rng.normal(size=3) * 0.5, rng.normal(size=3), 10**-speed, 20)
        for speed in rng.uniform(1.0, 3.0, 200)
    ]
    found = [clearance.check(rows) for rows in paths]
    assert {f.blocked for f in found} > {None, Reason.COLLISION}
    for rows, first in zip(reversed(paths), reversed(found)):
        again = clearance.check(rows)
        assert (again.blocked, again.ease) == (first.blocked, pytest.approx(first.ease, abs=1e-3))
