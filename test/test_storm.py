"""Gate and publisher in a storm: both stall, lose messages, are started anew, stopped, enabled.

Whatever happens, in whatever order: every millisecond of what the arm's controller commands is
within the limits, and nothing moves that was not enabled since the last latch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from arm_loop import MS, ROS, Link, Loop
from hypothesis import given, settings
from hypothesis import strategies as st

from vla_command.core.checks import Bounds
from vla_command.core.commander import Commander
from vla_command.core.status import CODES
from vla_safety.core.gate import Gate
from vla_safety.core.state_machine import ENABLED, State
from vla_safety.core.values import Output

SLACK = 1.06
"""Of the limits, as they are seen from one millisecond to the next."""
LAST_NS = 300 * MS
"""The longest path, and the lease before it."""
PATIENCE_NS = 20_000 * MS
"""So long after it was last enabled at most a reset is refused in calm weather."""


class Storm(Loop):
    """A loop in which either process can stand still, and each message can be lost."""

    def __post_init__(self) -> None:
        """Begin in calm weather, not enabled."""
        self.gate_until = self.publisher_until = 0  # [ns] until when the process stands still
        self.lease_loss = self.told_loss = 0.0
        self.joints_talk = self.plans_come = True
        self.problems: tuple[str, ...] = ()
        self.leases: list[tuple[int, int]] = []
        self.told: list[tuple[Any, ...]] = []
        self.rng = self.link.rng
        self.moved_unasked: list[int] = []
        self.enabled_ns = 10_000 * MS  # when the gate was last seen enabled
        super().__post_init__()
        self.gate.deactivate(self.now)

    # --- time ---------------------------------------------------------------------------------
    def step(self) -> None:
        """Let 1 ms pass."""
        self.now += MS
        found = self.controller.sample(self.now)
        self.desired.append(found.q.copy())
        self.velocity.append(found.dq.copy())
        self.q = found.q
        if self.now >= self.gate_until:
            self._gate_works(found.dq)
        if self.now >= self.publisher_until:
            self._publisher_works()
        self._watch(bool(found.dq.any()))

    def _gate_works(self, speed: np.ndarray) -> None:
        now, tick, gate = self.now, self.now // MS, self.gate
        if tick % 10 == 3 and self.joints_talk:
            self._take(gate.on_joint_state(self.names, self.q, speed, now))
        if tick % 50 == 7:
            self._cameras()
        if tick % 50 == 29 and self.plans_come:
            self._plan()
        told, self.told = self.told[-1:], []
        for mode, cause, heard, problems, rest, followed in told:
            self._take(gate.on_command_state(mode, cause, heard, problems, now))
            self._take(gate.on_rest(rest, now))
            self._take(gate.on_followed(followed, heard, now))
        if tick % 20 == 0:
            self._take(gate.tick(now, now + ROS))
        elif tick % 20 == 10:
            self._take(gate.watch(now, now + ROS))

    def _publisher_works(self) -> None:
        publisher, now = self.publisher, self.now
        for sent in [sent for sent in self._sent if sent[0] <= now]:
            self._sent.remove(sent)
            self._command(publisher.on_path(sent[1], now))
        leases, self.leases = self.leases[-1:], []
        for state, valid_until_ns in leases:
            publisher.on_gate(state, valid_until_ns, now)
        if now // MS % 10 == 5:
            if publisher.watchdog.problems is not self.problems:
                publisher.watchdog.hold(self.problems)
            self._command(publisher.tick(now))
            self._tell()

    def _take(self, output: Output) -> None:
        lease = output.lease
        super()._take(Output(action=output.action))
        if lease is not None and self.rng.random() >= self.lease_loss:
            self.leases.append((int(lease.state), lease.valid_until_ns))

    def _tell(self) -> None:
        watchdog, publisher = self.publisher.watchdog, self.publisher
        if self.rng.random() >= self.told_loss:
            mode, problems = CODES[watchdog.mode], list(watchdog.problems)
            self.told.append((mode, watchdog.cause, publisher.heard, problems, publisher.rest,
                              publisher.followed))  # fmt: skip

    def _watch(self, moves: bool) -> None:
        """Note motion that goes on for longer than a path that was let out may last."""
        self.states.append(self.gate.state.name)
        if self.gate.state in ENABLED:
            self.enabled_ns = self.now
        elif moves and self.now - self.enabled_ns > LAST_NS:
            self.moved_unasked.append(len(self.desired))

    # --- weather ------------------------------------------------------------------------------
    def strike(self) -> None:
        """Let one thing go wrong, or the arm be sent elsewhere."""
        rng, now = self.rng, self.now
        strokes: tuple[Callable[[], object], ...] = (
            self._one_stalls, self._message_loss, self._one_starts_anew, self._source_changes,
            self._goes_elsewhere, self._goes_elsewhere, lambda: self.gate.stop(now),
            lambda: self._take(self.gate.deactivate(now)),
            lambda: self._take(self.gate.tick(now, now + ROS + 1000 * MS)),
        )  # fmt: skip
        strokes[rng.integers(len(strokes))]()

    def _one_stalls(self) -> None:
        until = self.now + int(self.rng.integers(5, 400)) * MS
        if self.rng.random() < 0.5:
            self.gate_until = until
        else:
            self.publisher_until = until

    def _message_loss(self) -> None:
        rng = self.rng
        if rng.random() < 0.5:
            self.link.loss = float(rng.choice([0.0, 0.1, 0.5]))
            self.link.late_ms = float(rng.choice([0.5, 10.0, 45.0]))
        else:
            self.lease_loss = float(rng.choice([0.0, 0.3, 0.9]))
            self.told_loss = float(rng.choice([0.0, 0.3]))

    def _one_starts_anew(self) -> None:
        self._sent, self.leases = [], []
        if self.rng.random() < 0.5:
            lease_ns = round(self.arm.safety.lease_ms * 1e6)
            self.publisher = Commander(Bounds.of(self.arm), lease_ns, streamed=False)
        elif self.publisher.rest.size:
            self.gate = Gate(self.arm)

    def _source_changes(self) -> None:
        which = self.rng.integers(3)
        if which == 0:
            self.joints_talk = not self.joints_talk
        elif which == 1:
            self.plans_come = not self.plans_come
        else:
            self.problems = () if self.problems else ("a second publisher",)

    def _goes_elsewhere(self) -> None:
        rng = self.rng
        self.target = self.home + np.append(rng.uniform(-0.6, 0.6, 7), rng.uniform(0.0, 0.04))
        self.speed = float(rng.uniform(0.2, 1.4))

    def calm_down(self) -> None:
        """Let all be well again, and an operator reset and enable, more or less in haste."""
        self.joints_talk = self.plans_come = True
        self.problems, self.gate_until, self.publisher_until = (), 0, 0
        self.lease_loss = self.told_loss = self.link.loss = 0.0
        self.run(1600)
        while self.gate.state is State.LATCHED and not self.gate.reset(self.now)[0]:
            self.run(200)
            assert self.now - self.enabled_ns < PATIENCE_NS, self.gate.reset_blocked_by(self.now)
        self.run(int(self.rng.choice([0, 3, 25, 100])))
        for _ in range(2):
            if self.gate.state not in ENABLED and not self.gate.enable(self.now)[0]:
                self.run(200)
        self.link.late_ms = 0.5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([0.0, 500.0]))
def test_whatever_fails_in_whatever_order_the_arm_is_never_jerked(seed, soft_start_ms):
    rng = np.random.default_rng(seed)
    loop = Storm(Link(rng), soft_start_ms=soft_start_ms)
    loop.calm_down()
    assert loop.gate.state in ENABLED, loop.gate.enable_blocked_by(loop.now)
    for _ in range(int(rng.integers(4, 14))):
        loop.strike()
        loop.run(int(rng.integers(5, 300)))
        if rng.random() < 0.25:
            loop.calm_down()
            assert loop.gate.state in ENABLED, loop.gate.enable_blocked_by(loop.now)
    assert loop.gate.last_error is None
    assert not loop.moved_unasked, f"at {loop.moved_unasked[0]} ms"
    q, v = np.array(loop.desired), np.array(loop.velocity)
    assert (q >= loop.arm.bound("min_position") - 1e-6).all()
    assert (q <= loop.arm.bound("max_position") + 1e-6).all()
    speed = np.abs(np.diff(q, axis=0)) / 1e-3 / loop.arm.bound("max_velocity")
    assert speed.max() <= SLACK, f"{speed.max():.2f} of the velocity limit at {speed.argmax()}"
    change = np.abs(np.diff(v, axis=0)) / 1e-3 / loop.arm.bound("max_acceleration")
    assert change.max() <= SLACK, f"{change.max():.2f} of the acceleration at {change.argmax()}"
