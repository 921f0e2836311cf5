"""Gate and publisher in a storm: whatever can go wrong between a plan and the arm, in any order.

Both processes stall, lose messages, get them twice or out of order, are started anew, stopped and
enabled; plans are broken, sensors fall silent, buttons are pressed, the arm is held fast or
carried elsewhere. A trial has one seed; what the arm's controller is told is judged to the end:
within the limits at every moment, and nothing moves that was not enabled since the last latch.
``make storm`` runs as many as wanted, the tests some.
"""

from __future__ import annotations

import functools
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from arm_loop import MS, ROBOT_FILE, ROS, Link, Loop, Streamed

from vla_command.core.checks import Bounds
from vla_command.core.commander import Commander
from vla_command.core.status import CODES
from vla_command.core.watchdog import Mode
from vla_common.core.robot import Robot, load
from vla_safety.campaign import Campaign, parse, parser
from vla_safety.core.gate import Gate
from vla_safety.core.reasons import Reason
from vla_safety.core.state_machine import ENABLED, IDLE, MOVING, State
from vla_safety.core.values import Output, RawChunk

SLACK = 1.06
"""Of the limits, as they are seen from one millisecond to the next."""
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
        # where the arm fell behind, a hold commands it to where it stands
        behind = gate.state is State.HOLD and Reason.LAGGING in gate.causes.holding
        if gate.state in MOVING or behind:
            self.asked_ns = self.now
        elif moves and self.now - self.asked_ns > LAST_NS:
            self.moved_unasked.append(len(self.desired))

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


@dataclass
class Found:
    """What one trial found, or all of them."""

    seed: int = 0
    seconds: float = 0.0
    moved: float = 0.0  # [s] of motion
    storms: int = 0
    problems: list[str] = field(default_factory=list)
    strokes: Counter[str] = field(default_factory=Counter)
    enables: int = 0
    latches: int = 0
    ratios: dict[str, float] = field(default_factory=dict)

    def take(self, other: Found) -> int:
        """Take over a trial; return how many there were."""
        self.storms += 1
        self.seconds += other.seconds
        self.moved += other.moved
        self.enables += other.enables
        self.latches += other.latches
        self.strokes.update(other.strokes)
        self.problems += [f"seed {other.seed}: {problem}" for problem in other.problems]
        for name, ratio in other.ratios.items():
            self.ratios[name] = max(ratio, self.ratios.get(name, 0.0))
        return self.storms


def told(storm: Storm) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return what the controller made of it: times [s], positions, velocities, and new starts.

    Of a trajectory controller that is one row for each of its periods; of a streamed output
    one for each sample.
    """
    if isinstance(storm.controller, Streamed):
        times, q, v, anew = storm.controller.rows()
        return times, q, v, anew
    every = storm.period_ms
    first = -(10_000_000_000 // MS + 1) % every
    q, v = np.array(storm.desired)[first::every], np.array(storm.velocity)[first::every]
    anew = np.zeros(len(q), dtype=bool)
    for at in storm.breaks:
        anew[min(-(-(at - first) // every), len(q) - 1)] = True
    return np.arange(len(q)) * (every * 1e-3), q, v, anew


def judge(storm: Storm) -> tuple[list[str], dict[str, float]]:
    """Return what is wrong with what the controller was told, and the largest ratios."""
    times, q, v, anew = told(storm)
    robot, problems = storm.arm, []
    if len(q) < 2:
        return [], {}
    limited = robot.bound("has_position_limits").astype(bool)
    low = np.where(limited, robot.bound("min_position"), -np.inf)
    high = np.where(limited, robot.bound("max_position"), np.inf)
    if (q < low - 1e-6).any() or (q > high + 1e-6).any():
        problems.append("a position outside the limits")
    steps, dt = np.diff(q, axis=0), np.diff(times)[:, None]
    goes_on = ~anew[1:]
    v_max, a_max = robot.bound("max_velocity"), robot.bound("max_acceleration")
    d_max = np.where(
        robot.bound("has_deceleration_limits").astype(bool), robot.bound("max_deceleration"), a_max
    )
    speed = np.abs(steps) / np.maximum(dt, 1e-3) / v_max
    change = np.abs(np.diff(v, axis=0)) / np.maximum(dt, 1e-3) / np.maximum(a_max, d_max)
    if isinstance(storm.controller, Streamed):  # a gap ends with a stop where it was
        stops = ~v[1:].any(axis=1) & ~steps.any(axis=1) & (dt[:, 0] > 0.02)
        change[stops] = 0.0
    ratios = {}
    for name, ratio in (("velocity", speed), ("acceleration", change)):
        ratio = ratio[goes_on]
        ratios[name] = float(ratio.max(initial=0.0))
        if ratios[name] > SLACK:
            row = int(ratio.max(axis=1).argmax())
            at = float(times[1:][goes_on][row])
            problems.append(f"{ratios[name]:.2f} of the {name} limit at {at:.3f} s")
    if storm.moved_unasked:
        problems.append(f"motion that nobody asked for at {storm.moved_unasked[0]} ms")
    return problems, ratios


def trial(seed: int) -> Found:
    """Let one storm pass."""
    storm = Storm(seed)
    rng = storm.rng
    problems = []
    storm.calm_down()
    problems += [f"not enabled: {storm.blocked}"] if storm.blocked else []
    for _ in range(int(rng.integers(4, 16))):
        storm.strike()
        storm.run(int(rng.integers(5, 300)))
        if rng.random() < 0.4:
            storm.calm_down()
            problems += [f"not enabled: {storm.blocked}"] if storm.blocked else []
    error = storm.gate.last_error
    if error is not None and not isinstance(error, Bug):
        problems.append(f"raised: {error!r}")
    found, ratios = judge(storm)
    states = np.array(storm.states)
    return Found(
        seed=seed,
        seconds=len(states) * 1e-3,
        moved=float(np.array(storm.velocity).any(axis=1).sum() * 1e-3),
        problems=problems + found,
        strokes=Counter(name for _, name in storm.strokes),
        enables=int(((states[1:] == "ACTIVE") & (states[:-1] == "READY")).sum()),
        latches=int(((states[1:] == "LATCHED") & (states[:-1] != "LATCHED")).sum()),
        ratios=ratios,
    )


def main(arguments: list[str] | None = None) -> None:
    """Let storms pass and print what was found; exits 1 where something was wrong."""
    options = parse(parser(main.__doc__, "storms", 1e4), arguments)
    every = Found()
    if options.replay is not None:
        storm_seconds, early = 0.0, ""
        every.take(trial(options.replay))
    else:
        campaign = Campaign(trial, every.take)
        campaign.run(int(options.steps), options.seed, options.jobs, "storms")
        storm_seconds, early = campaign.seconds, ", interrupted" if campaign.interrupted else ""
    print(
        f"{every.storms:,} storms in {storm_seconds:.0f} s, {len(every.problems)} problems{early}\n"
        f"  {every.seconds / 3600.0:.1f} h of robot time, {every.moved / 3600.0:.2f} h in motion; "
        f"{every.enables:,} enables, {every.latches:,} latches"
    )
    print("  " + ", ".join(f"{name} {n:,}" for name, n in sorted(every.strokes.items())))
    for name, ratio in every.ratios.items():
        print(f"  largest {name} / limit, as the controller sees it: {ratio:.4f}")
    for problem in every.problems[:40]:
        print(f"  {problem}")
    if every.problems:
        print("  run one again: --replay SEED")
    sys.exit(1 if every.problems or not every.storms else 0)


if __name__ == "__main__":
    main()
