"""Which path the motion goes on from, when one was lost on the way to the publisher."""

import numpy as np
import pytest
from safety_world import MS, World, count, make_robot, moving

from vla_safety.core.handover import GRACE_NS, KEPT, UNFOLLOWED, UNFOLLOWED_NS, Handover
from vla_safety.core.path import rest
from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State

START = 1_000 * MS


def sent(upto):
    """Return a handover of paths 1 .. ``upto``, one each 50 ms, and the paths."""
    found = Handover()
    paths = [rest(np.zeros(2), START + 50 * MS * i, 10 * MS) for i in range(upto)]
    for seq, path in enumerate(paths, 1):
        found.sent(seq, path, of_plan=True)
    return found, paths


def test_what_is_followed_needs_no_correction():
    found, paths = sent(3)
    assert found.correction(3, 3, paths[2].start_ns + 10**9) is None


def test_a_path_that_is_on_its_way_counts_as_followed():
    found, paths = sent(3)
    last = paths[2].start_ns + GRACE_NS
    assert found.correction(2, 2, last) is None
    assert found.correction(2, 2, last + 1) is paths[1]


def test_a_path_that_was_heard_and_not_followed_was_refused():
    found, paths = sent(3)
    assert found.correction(2, 3, paths[2].start_ns - 5 * MS) is paths[1]
    assert found.correction(2, 3, paths[2].start_ns) is None  # once is enough


def test_one_that_comes_after_all_is_gone_on_from_again():
    found, paths = sent(3)
    assert found.correction(1, 1, paths[2].start_ns + GRACE_NS + 1) is paths[0]
    assert found.correction(3, 3, paths[2].start_ns + GRACE_NS + 2) is paths[2]


@pytest.mark.parametrize("followed", [0, 99, -1, 2.0, None, "3", True])
def test_what_says_nothing_changes_nothing(followed):
    found, paths = sent(3)
    assert found.correction(followed, 3, paths[2].start_ns + 10**9) is None


def begun(upto, before=5):
    """Return a handover enabled after some paths, where the arm stood, and the new paths."""
    found, _ = sent(before)
    start = rest(np.ones(2), START, 10 * MS)
    found.begin(start)
    paths = [rest(np.zeros(2), START + 50 * MS * i, 10 * MS) for i in range(upto)]
    for seq, path in enumerate(paths, before + 1):
        found.sent(seq, path, of_plan=True)
    return found, start, paths


def test_while_none_is_followed_the_motion_goes_on_from_where_it_was_enabled():
    found, start, paths = begun(1)
    last = paths[0].start_ns + GRACE_NS
    assert found.correction(0, 0, last) is None
    assert found.correction(0, 0, last + 1) is start
    assert found.correction(0, 6, last + 2) is None  # once is enough
    found.sent(7, paths[0], of_plan=True)
    assert found.correction(0, 7, last) is start  # heard, and refused
    assert found.correction(7, 7, last) is paths[0]


@pytest.mark.parametrize("late", [False, True])
def test_once_one_was_followed_none_means_a_stop_of_the_publisher(late):
    found, _, paths = begun(2)
    now = paths[1].start_ns + GRACE_NS + 1
    assert (found.correction(6 if late else 7, 7, now) is paths[0]) is late
    assert found.correction(0, 7, now) is None


def test_paths_from_before_the_enable_are_not_gone_on_from():
    found, start, paths = begun(1)
    now = paths[0].start_ns + GRACE_NS + 1
    assert found.correction(4, 6, now) is None and found.correction(5, 6, now) is None
    assert found.correction(0, 6, now) is start


def test_the_gate_begins_anew_where_it_was_enabled_when_its_first_path_was_lost():
    world = World(make_robot(3)).enabled()
    world.tick()
    stood = world.gate.motion.command(world.now)[0]
    output = world.chunk(stood + 0.02 * np.arange(1, 9)[:, None])
    world.gate.on_followed(0, output.action.seq, world.now)
    assert count(world, Reason.PATH_LOST) == 1
    again = world.chunk(stood + 0.02 * np.arange(1, 9)[:, None])
    np.testing.assert_array_equal(again.action.positions[0], stood)
    assert not again.action.velocities[0].any()


def test_only_the_newest_are_remembered():
    found, paths = sent(KEPT + 1)
    assert found.correction(1, KEPT + 1, paths[-1].start_ns) is None
    assert found.correction(2, KEPT + 1, paths[-1].start_ns) is paths[1]
    assert Handover().correction(1, 1, 0) is None


@pytest.mark.parametrize("odd", [None, "2", 2.0, True, [2]])
def test_numbers_that_are_none_change_nothing(odd):
    found, paths = sent(2)
    assert found.correction(odd, 2, START) is None and found.correction(1, odd, START) is None
    assert found.correction(1, 2, START) is paths[0]


def test_what_the_arm_follows_is_remembered_however_many_were_refused_since():
    found, paths = sent(1)
    assert found.correction(1, 1, START) is None
    for seq in range(2, 3 * KEPT):
        path = rest(np.zeros(2), START + 50 * MS * seq, 10 * MS)
        found.sent(seq, path, of_plan=True)
        assert found.correction(1, seq, path.start_ns) is paths[0]


def test_so_it_is_while_none_of_those_that_a_hold_sends_is_heard():
    found, paths = sent(2)
    for seq in range(3, 3 * KEPT):
        found.sent(seq, rest(np.zeros(2), START + 50 * MS * seq, 10 * MS), of_plan=False)
        assert found.correction(1, 1, START, patient=True) is None
    assert found.correction(1, seq, START, patient=True) is paths[0]


def test_where_it_was_enabled_is_remembered_however_many_were_refused_since():
    found, start, _ = begun(1)
    for seq in range(7, 3 * KEPT):
        found.sent(seq, rest(np.zeros(2), START + 50 * MS * seq, 10 * MS), of_plan=False)
        assert found.correction(0, seq, START) is start


def test_the_gate_goes_on_from_the_path_that_the_arm_follows():
    world = moving(World(make_robot(3)).enabled())
    followed = world.gate.announcer.seq
    path = world.gate.motion.path
    world.chunk(world.gate.motion.command(world.now)[0] + 0.01 * np.arange(1, 9)[:, None])
    assert world.gate.motion.path is not path
    world.gate.on_followed(followed, followed + 1, world.now)
    assert world.gate.motion.path is path and count(world, Reason.PATH_LOST) == 1
    assert world.gate.state is State.ACTIVE
    output = world.chunk(world.gate.motion.command(world.now)[0] + 0.01 * np.arange(1, 9)[:, None])
    q, _ = path.row(output.action.start_ns)
    np.testing.assert_array_equal(output.action.positions[0], q)


def test_a_path_that_is_still_on_its_way_to_the_publisher_is_not_lost():
    world = moving(World(make_robot(3)).enabled())
    followed = world.gate.announcer.seq
    world.chunk(world.gate.motion.command(world.now)[0] + 0.01 * np.arange(1, 9)[:, None])
    path = world.gate.motion.path
    world.gate.on_followed(followed, followed, world.now)
    assert world.gate.motion.path is path and not count(world, Reason.PATH_LOST)
    assert world.gate.state is State.ACTIVE and world.gate.last_error is None
    world.now = path.start_ns + GRACE_NS + 1
    world.gate.on_followed(followed, followed, world.now)
    assert world.gate.motion.path is not path
    assert world.gate.counts.minute(Reason.PATH_LOST, world.now) == 1


def refuse(found, first, last, followed=1, of_plan=True):
    """Let paths first .. last come after one another, each heard and none followed."""
    for seq in range(first, last + 1):
        path = rest(np.zeros(2), START + 50 * MS * seq, 10 * MS)
        found.sent(seq, path, of_plan=of_plan)
        found.correction(followed, seq, path.start_ns)
    return path.start_ns


def test_paths_that_are_refused_for_three_seconds_are_no_loss_any_more():
    found, _ = sent(1)
    assert not found.refused(START + 10**12)
    refuse(found, 2, 12)
    first = START + 100 * MS
    assert found.refused(first + UNFOLLOWED_NS) and not found.refused(first + UNFOLLOWED_NS - 1)


def test_nine_are_too_few_to_say_so_however_slow_they_come():
    found, _ = sent(1)
    assert not found.refused(refuse(found, 2, UNFOLLOWED) + 10**12)
    assert found.refused(refuse(found, UNFOLLOWED + 1, UNFOLLOWED + 1) + 10**12)


@pytest.mark.parametrize("followed", [0, 1])
def test_one_that_is_followed_begins_the_three_seconds_anew(followed):
    """Also where it is one of before, as a path came after all."""
    found = begun(1)[0] if followed == 0 else sent(1)[0]
    first = 8 if followed == 0 else 2
    now = refuse(found, first, first + 14, followed)
    assert found.correction(first + 10, first + 14, now) is not None
    assert not found.refused(now + 10**12)
    refuse(found, first + 15, first + 23, first + 10)
    assert found.refused(now + UNFOLLOWED_NS) and not found.refused(now + UNFOLLOWED_NS - 1)


def test_that_the_arm_stands_is_no_path_of_a_plan_refused_or_followed():
    found, _ = sent(1)
    assert not found.refused(refuse(found, 2, 22, of_plan=False) + 10**12)
    refuse(found, 23, 28)
    assert found.correction(22, 28, START) is not None  # of the hold between them
    last = refuse(found, 29, 30, followed=22)
    assert not found.refused(last + 10**12)
    assert found.refused(refuse(found, 31, 31, followed=22) + 10**12)


def test_an_enable_begins_it_anew():
    found, _ = sent(1)
    last = refuse(found, 2, 22)
    assert found.refused(last + 10**12)
    found.begin(rest(np.ones(2), last, 10 * MS))
    assert not found.refused(last + 10**12)
    refuse(found, 23, 32, followed=0)
    first = START + 50 * MS * 23
    assert found.refused(first + UNFOLLOWED_NS) and not found.refused(first + UNFOLLOWED_NS - 1)


def all_refused(world, paths, every_ms=50):
    """Let every path of so many be refused; return the state after each."""
    followed, states = world.gate.announcer.seq, []
    for _ in range(paths):
        world.chunk(world.gate.motion.command(world.now)[0] + 0.02 * np.arange(1, 9)[:, None])
        for _ in range(every_ms // 10):
            world.gate.on_followed(followed, world.gate.announcer.seq, world.now)
            world.tick(10.0)
        states.append(world.gate.state.name)
    return states


def test_a_publisher_that_refuses_every_path_latches_the_gate():
    """Otherwise the gate would say for ever that it is active, beside an arm that stands."""
    world = moving(World(make_robot(3)).enabled())
    path = world.gate.motion.path
    states = all_refused(world, 64)
    assert states == ["ACTIVE"] * 60 + ["LATCHED"] * 4
    assert count(world, Reason.PATH_LOST) == 61 and count(world, Reason.PUBLISHER) == 1
    assert world.gate.machine.cause == (
        "publisher: joint_command_publisher follows no path that is sent; its diagnostics say why"
    )
    np.testing.assert_array_equal(world.gate.motion.path.q[-1], path.q[-1])  # of the one followed


def test_an_arm_that_stands_since_every_path_is_refused_is_not_left_behind():
    world = moving(World(make_robot(3)).enabled())
    path = world.gate.motion.path
    assert set(all_refused(world, 3 * KEPT)) == {"ACTIVE"}
    assert world.gate.motion.path is path


@pytest.mark.parametrize("mode", [0, 1, 3])
def test_not_while_the_publisher_does_not_follow(mode):
    world = moving(World(make_robot(3)).enabled())
    path, seq = world.gate.motion.path, world.gate.announcer.seq
    world.gate.on_command_state(mode, "", seq, [], world.now)
    world.gate.on_followed(seq - 1, seq, world.now)
    assert world.gate.motion.path is path


def test_not_while_the_gate_stops():
    world = moving(World(make_robot(3)).enabled())
    seq = world.gate.announcer.seq
    world.gate.stop(world.now)
    path = world.gate.motion.path
    world.gate.on_followed(seq, seq + 1, world.now)
    assert world.gate.motion.path is path and not world.gate.counts.total[Reason.PATH_LOST]
