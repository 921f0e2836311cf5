"""The loop of gate and publisher in which whatever can fail does, see :mod:`storm`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from arm_loop import MS, ROBOT_FILE, ROS, Link, Loop

from vla_command.core.checks import Bounds
from vla_command.core.commander import Commander
from vla_command.core.status import CODES
from vla_command.core.trajectory import Trajectory
from vla_command.core.watchdog import Mode
from vla_common.core.robot import Robot, load
from vla_safety.core.gate import Gate
from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import ENABLED, IDLE, MOVING, State
from vla_safety.core.values import Output, RawChunk

LAST_NS = 300 * MS
"""The longest path, and the lease before it."""
PATIENCE_NS = 20_000 * MS
"""So long after it was last enabled at most a reset is refused in calm weather."""
ROBOTS = ("sim_arm", "sim_arm", "ur5e", "fr3", "so101", "dual_ur5e")
BUTTONS = ("button", "pendant")
NAN = float("nan")


class Bug(Exception):
    """Raised inside the gate on purpose."""


@functools.cache
def arm(name: str, full_speed: bool, rate: float, soft_start_ms: float) -> Robot:
    """Return a robot of config/robots; its controller works at ``rate`` [Hz]."""
    found = load(ROBOT_FILE.parent / f"{name}.yaml")
    safety = replace(
        found.safety,
        soft_start_ms=soft_start_ms,
        velocity_scale=1.0 if full_speed else found.safety.velocity_scale,
        low_confidence=0.5,
        hold_confidence=0.2,
    )
    controller = replace(found.controller, update_rate=rate, dry_run=False)
    return replace(found, safety=safety, controller=controller)


class Storm(Loop):
    """A loop in which either process can stand still, and each message can be lost."""

    def __init__(self, seed: int) -> None:
        """Begin in calm weather, not enabled."""
        self.rng = rng = np.random.default_rng(seed)
        self.period_ms = int(rng.choice([1, 2, 5, 10]))
        robot = arm(
            str(rng.choice(ROBOTS)),
            bool(rng.random() < 0.7),
            1000.0 / self.period_ms,
            float(rng.choice([0.0, 500.0])),
        )
        self.gate_until = self.publisher_until = 0  # [ns] until when the process stands still
        self.lease_loss = self.told_loss = self.twice = 0.0
        self.joints_talk = self.plans_come = True
        self.cameras_say = ""
        self.throttled: list[str] = []
        self.spoil = 0  # so many plans are broken
        self.confidence = 1.0
        self.problems: tuple[str, ...] = ()
        self.buttons = dict.fromkeys(BUTTONS, False)
        self.silent: set[str] = set()
        self.leases: list[tuple[int, int]] = []
        self.told: list[tuple[Any, ...]] = []
        self.moved_unasked: list[int] = []
        self.bugs = 0
        self.breaks: list[int] = []  # [ms] the controller was started anew: no motion in between
        self.strokes: list[tuple[int, str]] = []
        self.enabled_ns = self.asked_ns = 10_000 * MS  # when the gate was last seen enabled
        self.on_the_way_ns = 0  # until when the arm is on the way to where it was measured
        super().__init__(Link(rng), robot.safety.soft_start_ms, robot, bool(rng.random() < 0.4))
        self.gate.deactivate(self.now)

    # --- time ---------------------------------------------------------------------------------
    def step(self) -> None:
        """Let 1 ms pass."""
        self.now += MS
        ms = self.now // MS
        if ms % self.period_ms == 0:
            self.found = self.controller.sample(self.now)
            if not self.held:
                self.q = self.found.q + self.offset
        self.desired.append(self.found.q.copy())
        self.velocity.append(self.found.dq.copy())
        if self.now >= self.gate_until:
            self._gate_works(0.0 * self.found.dq if self.held else self.found.dq)
        if self.now >= self.publisher_until:
            self._publisher_works()
        self._watch(bool(self.found.dq.any()))

    def _gate_works(self, speed: np.ndarray) -> None:
        now, tick, gate = self.now, self.now // MS, self.gate
        if tick % 10 == 3 and self.joints_talk:
            self._take(gate.on_joint_state(self.names, self.q, speed, now))
        if tick % 50 == 7:
            self._cameras()
        if tick % 50 == 11:
            self._heartbeats()
        if tick % 50 == 29 and self.plans_come:
            if (np.abs(self.target - self.q) < 0.02)[~self.grippers].all():
                self.goes_elsewhere()
            self._plan()
        if tick % 1000 == 17:
            self._take(gate.on_system_health(now, self.throttled, now))
        told, self.told = self.told[-1:], []
        for mode, cause, heard, problems, rest, followed in told:
            self._take(gate.on_command_state(mode, cause, heard, problems, now))
            self._take(gate.on_rest(rest, now))
            self._take(gate.on_followed(followed, heard, now))
        if tick % 20 == 0:
            self._take(gate.tick(now, now + ROS))
        elif tick % 20 == 10:
            self._take(gate.watch(now, now + ROS))

    def _heartbeats(self) -> None:
        for name, pressed in self.buttons.items():
            if name not in self.silent:
                self._take(self.gate.on_estop(name, pressed, self.now))

    def _cameras(self) -> None:
        if self.cameras_say == "nothing":
            return
        names, n = list(self.arm.camera_names), len(self.arm.camera_names)
        age = 200.0 if self.cameras_say == "stale" else 20.0
        repeated, dark = (50 if self.cameras_say == what else 0 for what in ("frozen", "dark"))
        rows = (names, [age] * n, [repeated] * n, [dark] * n, [""] * n)
        self._take(self.gate.on_camera_health(self.now, *rows, self.now))

    def _publisher_works(self) -> None:
        publisher, now = self.publisher, self.now
        for sent in [sent for sent in self._sent if sent[0] <= now]:
            self._sent.remove(sent)
            self._command(publisher.on_path(sent[1], now))
            if self.twice and self.rng.random() < self.twice:
                self._sent.append((now + int(self.rng.integers(1, 60)) * MS, sent[1]))
        leases, self.leases = self.leases[-1:], []
        for state, valid_until_ns in leases:
            publisher.on_gate(state, valid_until_ns, now)
        if now // MS % 10 == 5:
            if publisher.watchdog.problems is not self.problems:
                publisher.hold(self.problems, now)
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

    def _send_plan(self, raw: RawChunk) -> None:
        raw = replace(raw, confidence=self.confidence)
        if self.spoil > 0:
            self.spoil -= 1
            raw = self._spoiled(raw)
        super()._send_plan(raw)

    def _spoiled(self, raw: RawChunk) -> RawChunk:
        rng, rows = self.rng, raw.positions.copy()
        kind = rng.integers(9)
        if kind == 0:
            rows[rng.integers(rows.size)] = NAN
            return replace(raw, positions=rows)
        changes: tuple[dict[str, Any], ...] = (
            {"positions": rows + 1.0}, {"positions": rows[:-1]}, {"seq": self.seq - 3},
            {"joint_names": list(raw.joint_names)[::-1]}, {"capture_ns": self.now - 10**10},
            {"start_ns": self.now + 10**9}, {"step_dt": 0.005},
            {"positions": rows + rng.uniform(-0.2, 0.2, rows.size)},
        )  # fmt: skip
        return replace(raw, **changes[kind - 1])

    def _watch(self, moves: bool) -> None:
        """Note motion that goes on for longer than a path that was let out may last."""
        gate = self.gate
        self.states.append(gate.state.name)
        if gate.state in ENABLED:
            self.enabled_ns = self.now
        if gate.state in MOVING or self._behind:
            self.asked_ns = self.now
        elif moves and self.now > max(self.asked_ns + LAST_NS, self.on_the_way_ns):
            self.moved_unasked.append(len(self.desired))

    @property
    def _behind(self) -> bool:
        """Whether the arm fell behind, so that a hold commands it to where it stands."""
        gate, path, track = self.gate, self.gate.motion.path, self.publisher.track
        if gate.state is not State.HOLD or Reason.LAGGING in gate.causes.holding:
            return gate.state is State.HOLD
        leads_there = path is not None and path.measured and track is not None
        return leads_there and bool((track.positions[-1] == path.q[-1]).all())

    def _command(self, item: object) -> None:
        """That way takes longer than a path; a publisher that stops sending does not end it."""
        if isinstance(item, Trajectory) and self._behind:
            self.on_the_way_ns = self.now + int(item.from_start_ns[-1])
        super()._command(item)

    # --- weather ------------------------------------------------------------------------------
    def strike(self) -> None:
        """Let one thing go wrong, or the arm be sent elsewhere."""
        strokes: tuple[Callable[[], object], ...] = (
            self.one_stalls, self.one_stalls, self.message_loss, self.message_loss,
            self.one_starts_anew, self.joint_states, self.plans, self.controller_problem,
            self.goes_elsewhere, self.goes_elsewhere, self.goes_elsewhere, self.stop,
            self.deactivate, self.clock_step, self.button, self.camera, self.spoiled_plans,
            self.unsure, self.throttle, self.held_fast, self.carried, self.bug,
        )  # fmt: skip
        stroke = strokes[self.rng.integers(len(strokes))]
        self.strokes.append((len(self.desired), stroke.__name__))  # type: ignore[attr-defined]
        stroke()

    def one_stalls(self) -> None:
        """Let one process stand still."""
        until = self.now + int(self.rng.integers(5, 400)) * MS
        if self.rng.random() < 0.5:
            self.gate_until = until
        else:
            self.publisher_until = until

    def message_loss(self) -> None:
        """Lose, delay or repeat messages between the two."""
        rng = self.rng
        if rng.random() < 0.5:
            self.link.loss = float(rng.choice([0.0, 0.1, 0.5, 0.9]))
            self.link.late_ms = float(rng.choice([0.5, 10.0, 45.0, 120.0]))
            self.twice = float(rng.choice([0.0, 0.3]))
        else:
            self.lease_loss = float(rng.choice([0.0, 0.3, 0.9, 1.0]))
            self.told_loss = float(rng.choice([0.0, 0.3, 1.0]))

    def one_starts_anew(self) -> None:
        """Forget everything in one process. Both at once would be a cold start of the robot."""
        self._sent, self.leases = [], []
        if self.rng.random() < 0.5:
            lease_ns = round(self.arm.safety.lease_ms * 1e6)
            self.publisher = Commander(Bounds.of(self.arm), lease_ns, streamed=self.streamed)
        elif self.publisher.rest.size:
            self.gate = Gate(self.arm)

    def joint_states(self) -> None:
        """Let them fall silent, or come back."""
        self.joints_talk = not self.joints_talk

    def plans(self) -> None:
        """Let them end, or begin again."""
        self.plans_come = not self.plans_come

    def controller_problem(self) -> None:
        """Let the publisher find a problem, or find it gone."""
        self.problems = () if self.problems else ("a second publisher",)

    def goes_elsewhere(self) -> None:
        """Aim at another pose, at another speed."""
        rng = self.rng
        low, high = self.arm.bound("min_position"), self.arm.bound("max_position")
        reach = np.where(self.grippers, high - low, 0.6)
        at = self.home + rng.uniform(-1.0, 1.0, len(reach)) * reach
        self.target = np.clip(at, low - 0.1, high + 0.1)
        self.speed = float(rng.uniform(0.2, 1.4)) * self.arm.safety.velocity_scale

    def stop(self) -> None:
        """Call ~/stop or ~/estop."""
        (self.gate.stop if self.rng.random() < 0.5 else self.gate.press)(self.now)

    def deactivate(self) -> None:
        """Pause the gate's node, and let it go on."""
        self._take(self.gate.deactivate(self.now))
        self.gate.estop.wait_anew(self.now)

    def clock_step(self) -> None:
        """Set ROS time forward by a second, and back again."""
        self._take(self.gate.tick(self.now, self.now + ROS + 1000 * MS))

    def button(self) -> None:
        """Press, release, silence an emergency stop button, or let it talk again."""
        name = BUTTONS[self.rng.integers(len(BUTTONS))]
        if self.rng.random() < 0.5:
            self.buttons[name] = not self.buttons[name]
        else:
            self.silent ^= {name}

    def camera(self) -> None:
        """Let the cameras fail in some way."""
        self.cameras_say = str(self.rng.choice(["", "nothing", "stale", "frozen", "dark"]))

    def spoiled_plans(self) -> None:
        """Break the next plans, one or more."""
        self.spoil = int(self.rng.integers(1, 8))

    def unsure(self) -> None:
        """Let the policy be more or less sure."""
        self.confidence = float(self.rng.choice([1.0, 0.4, 0.1]))

    def throttle(self) -> None:
        """Lower the computer's clocks."""
        self.throttled = [] if self.throttled else ["thermal"]

    def held_fast(self) -> None:
        """Hold the arm where it is, or let it go."""
        self.held = not self.held

    def carried(self) -> None:
        """Carry an arm that stands elsewhere; its controller starts anew, and begins there."""
        standing = not self.found.dq.any() and self.publisher.watchdog.mode is not Mode.FOLLOWING
        if self.gate.state not in IDLE | {State.LATCHED} or not standing or self.held:
            return
        low, high = self.arm.bound("min_position"), self.arm.bound("max_position")
        far = self.rng.choice([0.0, 0.5]) * np.where(self.grippers, 0.0, 1.0)
        self.q = np.clip(self.found.q + self.rng.uniform(-1.0, 1.0, len(low)) * far, low, high)
        self.offset[:] = 0.0
        self.controller = self._controller(self.q)
        self.found = self.controller.sample(self.now)
        self.breaks.append(len(self.desired))

    def bug(self) -> None:
        """Let the gate raise inside, once."""
        gate, right = self.gate, self.gate.checks.check

        def wrong(*_: object) -> Any:
            gate.checks.check = right  # type: ignore[method-assign]
            raise Bug

        gate.checks.check = wrong  # type: ignore[method-assign]
        self.bugs += 1

    def calm_down(self) -> None:
        """Let all be well again, and an operator reset and enable, more or less in haste."""
        self.joints_talk = self.plans_come = True
        self.problems, self.gate_until, self.publisher_until = (), 0, 0
        self.lease_loss = self.told_loss = self.link.loss = self.twice = 0.0
        self.cameras_say, self.throttled, self.spoil, self.confidence = "", [], 0, 1.0
        self.buttons, self.silent = dict.fromkeys(BUTTONS, False), set()
        self.held, self.link.late_ms = False, min(self.link.late_ms, 45.0)
        self.run(1600)
        while self.gate.state is State.LATCHED and not self.gate.reset(self.now)[0]:
            self.run(200)
            if self.now - self.enabled_ns > PATIENCE_NS:
                break
        self.run(int(self.rng.choice([0, 3, 25, 100])))
        for _ in range(2):
            if self.gate.state not in ENABLED and not self.gate.enable(self.now)[0]:
                self.run(200)
        self.link.late_ms = 0.5
        self.goes_elsewhere()
        self.run(int(self.rng.integers(1, 700)))

    @property
    def blocked(self) -> list[str]:
        """Why the gate is not enabled after :meth:`calm_down`; []: it is."""
        if self.gate.state in ENABLED:
            return []
        gate, now = self.gate, self.now
        return [gate.state.name, *gate.reset_blocked_by(now), *gate.enable_blocked_by(now)]
