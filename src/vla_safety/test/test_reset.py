"""Reset is refused in each case that the safety page lists, says why, and changes nothing.

Each case is a latched gate with one thing wrong and all else well; once that is mended for long
enough reset is granted, and nothing moves. Plans of before the latch stay void.
"""

import numpy as np
import pytest
from safety_world import World, count, make_robot, moving

from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import State

OWN = "estop_plugin test"
WAITING, ARMED, FOLLOWING, GAVE_UP = range(4)
PUBLISHER = "joint_command_publisher"


class Latched(World):
    """A gate that was stopped during motion, at rest by now; the cause is long gone."""

    def __init__(self):
        super().__init__(make_robot(3))
        self.says = None  # of the publisher; None: as it should
        self.speed = 0.0
        self.buttons = {"button": False, "pendant": False}  # None: silent
        self.own = False
        self.gate.estop.expect(OWN, self.now)
        self.heartbeats()
        moving(self.enabled())
        assert self.gate.stop(self.now)[0]
        self.run(1500)
        assert self.gate.state is State.LATCHED

    def mend(self):
        self.buttons, self.own = dict.fromkeys(self.buttons, False), False
        self.says, self.speed = None, 0.0
        self.joints_talk = self.publisher_talks = True

    def heartbeats(self):
        for name, pressed in self.buttons.items():
            if pressed is not None:
                self.gate.on_estop(name, pressed, self.now)
        if self.own is not None:
            self.gate.on_own_estop(self.own, self.now)

    def joint_state(self):
        self.q = self.q if self.gate.motion.path is None else self.gate.motion.command(self.now)[0]
        speeds = [0.0, self.speed, 0.0]
        self.gate.on_joint_state(self.robot.joints, self.q, speeds, self.now)

    def publisher(self):
        if self.says is None:
            return super().publisher()
        mode, cause, seq, problems = self.says
        newest = self.gate.announcer.seq
        return self.gate.on_command_state(
            mode, cause, newest if seq is None else seq, problems, self.now
        )

    def tick(self, ms=20.0):
        self.pass_time(ms)
        self.heartbeats()
        return super().tick(0.0)


def pressed(world):
    world.buttons["pendant"] = True


def topic_silent(world):
    world.buttons["button"] = None


def own_pressed(world):
    world.own = True


def own_silent(world):
    world.own = None


def listens_anew(world):
    """As after the node was switched off and on."""
    world.own = None
    world.gate.estop.wait_anew(world.now)


def joints_silent(world):
    world.joints_talk = False


def arm_moves(world):
    world.speed = 0.031  # where 1.5 rad/s are allowed


def publisher_silent(world):
    world.publisher_talks = False


def says(mode, cause="", seq=None, problems=()):
    def act(world):
        world.says = (mode, cause, seq, list(problems))

    return act


CASES = {
    "a source is pressed": (pressed, 40, "e-stop pressed: pendant"),
    "the own source is pressed": (own_pressed, 40, f"e-stop pressed: {OWN}"),
    "a heartbeat is lost": (topic_silent, 140, "e-stop heartbeat lost: button"),
    "the own source is silent": (own_silent, 140, f"e-stop heartbeat lost: {OWN}"),
    "the own source is not heard yet": (listens_anew, 100, f"e-stop not heard yet: {OWN}"),
    "joint states are missing": (joints_silent, 40, "joint states missing or stale"),
    "the arm moves": (arm_moves, 20, "the arm moves"),
    "publisher silent": (publisher_silent, 260, f"{PUBLISHER} is not heard on /vla/command_state"),
    "publisher waits": (says(WAITING, "new"), 20, f"{PUBLISHER} is not armed but waiting: new"),
    "publisher follows": (says(FOLLOWING), 20, f"{PUBLISHER} is not armed but following"),
    "publisher gave up": (says(GAVE_UP, "x"), 20, f"{PUBLISHER} is not armed but latched: x"),
    "publisher has a problem": (says(ARMED, problems=["two"]), 20, f"{PUBLISHER}: two"),
    "publisher new": (says(ARMED, seq=0), 20, f"{PUBLISHER} has taken no path of this gate yet"),
}  # fmt: skip


def refused(world):
    """Call reset, which must change nothing; return the reasons that it gives."""
    pose, number = world.gate.motion.command(world.now)[0], world.gate.machine.transitions
    state, cause = world.gate.state, world.gate.machine.cause
    ok, why = world.gate.reset(world.now)
    assert not ok
    assert why.startswith("refused: ")
    assert (world.gate.state, world.gate.machine.cause) == (state, cause)
    assert world.gate.machine.transitions == number
    assert np.array_equal(world.gate.motion.command(world.now)[0], pose)
    return why.removeprefix("refused: ").split("; ")


@pytest.mark.parametrize("case", CASES)
def test_reset_is_refused_and_says_why(case):
    act, wait_ms, why = CASES[case]
    world = Latched()
    act(world)
    world.run(wait_ms)
    reasons = refused(world)
    assert why in reasons
    assert all(reason == why or reason.endswith("less than 1 s ago") for reason in reasons)
    world.mend()
    world.run(1100)
    pose = world.gate.motion.command(world.now)[0]
    assert world.gate.reset(world.now) == (True, "reset; nothing moves until ~/enable")
    world.actions.clear()
    world.run(200)
    assert world.gate.state is State.READY
    assert world.actions and not any(a.velocities.any() for a in world.actions)
    assert np.array_equal(world.gate.motion.command(world.now)[0], pose)


def test_without_any_of_it_reset_is_granted():
    world = Latched()
    assert world.gate.reset(world.now)[0]


def test_reset_is_refused_until_the_stop_has_ended():
    world = moving(World(make_robot(3)).enabled())
    world.gate.stop(world.now)
    assert world.gate.state is State.STOPPING
    for _ in range(3):
        ok, why = world.gate.reset(world.now)
        assert (ok, why) == (False, "nothing to reset: state STOPPING")
        assert "the stop has not ended" in world.gate.reset_blocked_by(world.now)
        world.tick(5)
        assert world.gate.motion.command(world.now)[1].any()
    # nor where the state has gone ahead of the arm
    world.gate.machine.state = State.LATCHED
    assert "the stop has not ended" in refused(world)


@pytest.mark.parametrize("call", ["stop", "press"])
def test_reset_is_refused_until_the_cause_has_been_away_for_a_second(call):
    world = Latched()
    getattr(world.gate, call)(world.now)
    name = {"stop": Reason.STOP, "press": Reason.ESTOP}[call].value
    for _ in range(49):
        world.tick(20)
        assert refused(world) == [f"{name} less than 1 s ago"]
    world.tick(20)
    assert world.gate.reset(world.now)[0]


def test_all_that_is_wrong_is_told_at_once():
    world = Latched()
    for act in (pressed, own_silent, joints_silent, publisher_silent):
        act(world)
    world.run(300)
    assert refused(world) == [
        "e-stop pressed: pendant",
        f"e-stop heartbeat lost: {OWN}",
        "joint states missing or stale",
        f"{PUBLISHER} is not heard on /vla/command_state",
        "estop_pressed less than 1 s ago",
        "estop_heartbeat_lost less than 1 s ago",
    ]


@pytest.mark.parametrize("state", [s for s in State if s is not State.LATCHED])
def test_where_nothing_is_latched_there_is_nothing_to_reset(state):
    world = World(make_robot(2)).enabled()
    world.gate.machine.state = state
    assert world.gate.reset(world.now) == (False, f"nothing to reset: state {state.name}")
    assert world.gate.state is state


def test_plans_of_before_a_latch_stay_void_after_reset_and_enable():
    world = Latched()
    old, seq = world.gate.checks.last
    for event in ("latched", "reset", "enable"):
        if event != "latched":
            assert getattr(world.gate, event)(world.now)[0]
        path, refusals = world.gate.motion.path, count(world, Reason.OLD_EPOCH)
        output = world.chunk(np.full((8, 3), 0.05), epoch=old, seq=seq + 100)
        assert output.action is None or not output.action.velocities.any()
        assert count(world, Reason.OLD_EPOCH) == refusals + 1
        assert world.gate.motion.path is path
    q = world.gate.motion.command(world.now)[0]
    fresh = world.chunk(q + 0.01 * np.arange(1, 9)[:, None], epoch=old + 1)
    assert fresh.action.velocities.any()  # a new one is followed
