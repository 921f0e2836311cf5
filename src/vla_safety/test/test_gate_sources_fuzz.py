"""Random events of cameras and emergency stops, on top of those of test_gate_fuzz."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule
from test_gate_fuzz import GateMachine

from vla_safety.core.state_machine import MOVING, State

OWN = "estop_plugin test"
SILENT_NS = 150_000_000


class SourcesMachine(GateMachine):
    """The model knows which sources are at fault, and since when they are silent."""

    def __init__(self):
        super().__init__()
        gate, world = self.world.gate, self.world
        self.cameras = "well"
        self.reported_ns = world.now
        self.own = False  # what the own source answers; None: it hangs
        self.answered_ns = world.now
        self.pressed_by_service_ns = None
        gate.estop.expect(OWN, world.now)
        world.take(gate.on_own_estop(False, world.now))

    def step(self, ms):
        """Let time pass; everybody who talks does so at its end."""
        world = self.world
        world.now += ms * 1_000_000
        world.joint_state()
        world.cameras_talk = False
        if self.cameras != "silent":
            world.camera_health(dark=[10 if self.cameras == "dark" else 0])
            self.reported_ns = world.now
        if self.own is not None:
            world.take(world.gate.on_own_estop(self.own, world.now))
            self.answered_ns = world.now
        world.take(world.gate.on_estop("button", self.pressed, world.now))
        world.tick(0)

    @rule(ms=st.sampled_from([5, 20, 20, 20, 50, 200]))
    def tick(self, ms):
        self.step(ms)
        if self.cameras == "dark" or self.camera_silent():
            assert self.world.gate.state not in MOVING
        if self.own is None and self.world.now - self.answered_ns > SILENT_NS:
            assert self.world.gate.state in (State.STOPPING, State.LATCHED)
        self.after()

    def camera_silent(self):
        return self.world.now - self.reported_ns > SILENT_NS

    @rule()
    def second(self):
        for _ in range(60):
            self.step(20)
        self.after()

    @rule(kind=st.sampled_from(["well", "well", "dark", "silent"]))
    def camera(self, kind):
        self.cameras = kind

    @rule(answer=st.sampled_from([False, False, True, None]))
    def own_source(self, answer):
        self.own = answer

    @rule()
    def press(self):
        assert self.world.gate.press(self.world.now)[0]
        self.pressed_by_service_ns = self.world.now
        assert self.world.gate.state in (State.STOPPING, State.LATCHED)
        self.after()

    @rule(name=st.sampled_from(["stop", "reset", "enable", "reset", "enable"]))
    def service(self, name):
        world, gate = self.world, self.world.gate
        before = gate.state
        ok, message = getattr(gate, name)(world.now)
        assert message
        if name in ("reset", "enable") and ok:
            assert before in ((State.LATCHED,) if name == "reset" else STANDING)
            assert not self.pressed
            assert world.now - self.answered_ns <= SILENT_NS
            if self.pressed_by_service_ns is not None:
                assert world.now - self.pressed_by_service_ns >= 10**9
        if name == "enable" and ok:
            assert not self.camera_silent()
            self.granted = True
        self.after()

    @invariant()
    def changes_are_told_in_order(self):
        numbers = [change.transitions for change in self.world.changes]
        assert numbers == list(range(1, len(numbers) + 1))

    def teardown(self):
        self.world.tick()
        assert len(self.world.changes) == self.world.gate.machine.transitions
        for before, after in zip([None, *self.world.changes], self.world.changes):
            assert after.previous is (before.state if before else State.INACTIVE)
        super().teardown()


STANDING = (State.INACTIVE, State.READY)
SourcesMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestSourcesMachine = SourcesMachine.TestCase
del GateMachine  # its own file runs it
