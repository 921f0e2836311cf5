"""The publisher without ROS: paths, leases and time in; what to send out."""

from __future__ import annotations

from collections import Counter

import numpy as np

from vla_command.core.braking import brake
from vla_command.core.checks import CONTENT, Bounds, Refusal, check, check_jump
from vla_command.core.path import GateState, SafePath
from vla_command.core.playback import Track, join, standing
from vla_command.core.trajectory import Sample, Trajectory, rows_to_come, sample
from vla_command.core.watchdog import IDLE, Mode, Watchdog

NOWHERE = np.empty(0)
STOPPED = frozenset({GateState.STOPPING, GateState.LATCHED})
HELD = STOPPED | {GateState.HOLD}
LONGEST_GAP_NS = 50_000_000
SAY_WHERE = IDLE | {GateState.LATCHED}


def _fell_behind(path: SafePath) -> bool:
    """Whether a path is to where an arm was measured that fell behind; a stop never is."""
    return path.measured and path.state == GateState.HOLD


class Commander:
    """Decides what is sent; one thread calls it.

    With ``streamed`` false every accepted path becomes one :class:`Trajectory`, and a lost lease
    one more: it brakes along the path, or, where that has no acceleration left, is the rest of
    the verified tail. With ``streamed`` true :meth:`tick` returns the :class:`Sample` of the
    moment, until the gate is lost and the arm stands; after a gap that would be a step it stands
    at the last one instead, and latches.
    """

    def __init__(self, bounds: Bounds, lease_ns: int, *, streamed: bool) -> None:
        self.watchdog = Watchdog(lease_ns)
        self.refused: Counter[Refusal] = Counter()
        self.accepted = 0
        self.ignored = 0  # good paths while the gate may not be followed
        self._heard_ns = 0  # until when the lease of that path held
        self.heard = 0  # seq of the newest path since armed; while armed, of a good one
        self.followed = 0  # seq of the path that the arm follows; 0: none, or a stop of our own
        self.track: Track | None = None
        self._bounds = bounds
        self._streamed = streamed
        self._takeover_ns = 0 if streamed else bounds.takeover_ns
        self._seq = -1
        self._stopped = False  # the newest path that was followed is that of a latched gate
        self._armed = 0
        self._fresh = True  # no path was followed since armed
        self._start: np.ndarray | None = None  # where the newest one before that stands
        self._start_ns = 0  # as of when: until when that path's lease held
        self._held_ns = 0  # until when the lease holds of the newest word of a gate that holds
        self._stopped_ns = 0  # ... that stops
        self._finishing = False
        self._abandoned = False  # the gate is not enabled any more, and the track still moves
        self._gap_ns = min(lease_ns // 2, LONGEST_GAP_NS)  # between two samples, at most
        self._sent: Sample | None = None  # the newest one, since the arm stood where it began
        self._sent_ns = 0

    def on_gate(self, state: int, valid_until_ns: int, now_ns: int) -> None:
        """Take the gate's state and its lease."""
        ended = self._stopped and self.resting(now_ns)
        before = self.watchdog.mode
        if state in HELD and valid_until_ns >= self.watchdog.valid_until_ns:
            said_ns = min(valid_until_ns, now_ns + self.watchdog.lease_ns)
            self._held_ns = max(self._held_ns, said_ns)
            self._stopped_ns = said_ns if state in STOPPED else self._stopped_ns
        self.watchdog.hear(state, valid_until_ns, now_ns, ended)
        if self._armed != self.watchdog.armed:  # a fresh start: seq may begin anew
            self._armed = self.watchdog.armed
            self._seq = -1
            self.heard = self.followed = 0
            self._fresh, self._start = True, None
            self._start_ns = self._heard_ns = 0
        turned = before is not self.watchdog.mode
        if turned and self.watchdog.mode is Mode.FOLLOWING and self.resting(now_ns):
            self._begin(now_ns)
        elif turned and before is Mode.FOLLOWING:
            self._abandoned = not self.resting(now_ns)

    def hold(self, problems: tuple[str, ...], now_ns: int) -> None:
        """Follow nothing while there are ``problems``, see :meth:`.Watchdog.hold`.

        A trajectory that was sent runs out: another one would only meet those of a second
        publisher. Samples go on until the arm stands, so that is soon.
        """
        following = self.watchdog.mode is Mode.FOLLOWING
        self.watchdog.hold(problems)
        if self._streamed and following and problems:
            self._brake(now_ns)

    def _begin(self, now_ns: int) -> None:
        """Stand where the gate said that motion is to begin; without that there is no command.

        The arm may have been moved since the last command, and is not to be sent back there.
        """
        start = self._start
        self.track = None if start is None else standing(start, now_ns)
        self._sent = None

    def _note_heard(self, path: SafePath) -> None:
        if path.valid_until_ns >= self._heard_ns:  # by time: a gate started anew counts anew
            self.heard, self._heard_ns = path.seq, path.valid_until_ns

    def _note_start(self, path: SafePath) -> None:
        """Note where a gate that is not enabled says that the arm stands, by its newest word."""
        newer = path.valid_until_ns >= self._start_ns
        if path.state in SAY_WHERE and not path.velocities.any() and newer:
            self._start = path.positions[-len(self._bounds.joints) :]
            self._start_ns = path.valid_until_ns

    def _overtaken(self, path: SafePath) -> bool:
        """Whether a path would set the arm in motion though the gate has held or stopped since.

        Leases and paths come on two topics, and one may overtake the other.
        """
        if path.state in HELD:
            return _fell_behind(path) and path.valid_until_ns < self._stopped_ns
        return path.valid_until_ns < self._held_ns

    def on_path(self, path: SafePath, now_ns: int) -> Trajectory | Sample | None:
        """Take a path; return what is to be sent at once, None when nothing is."""
        return self._noted(self._after_gap(now_ns) or self._taken(path, now_ns), now_ns)

    def _taken(self, path: SafePath, now_ns: int) -> Trajectory | Sample | None:
        refusal = check(path, self._bounds, self._seq, now_ns)
        if refusal is None:
            self.on_gate(path.state, path.valid_until_ns, now_ns)
            self._note_heard(path)
            following = self.watchdog.mode is Mode.FOLLOWING
            before = self._fresh and path.state in IDLE  # sent before the enable
            if not following or before or self._finishing or self.watchdog.expired(now_ns):
                self.ignored += 1
                self._note_start(path)
                if following and self.track is None:
                    self._begin(now_ns)
                return self._left(now_ns) if self._abandoned else None
            refusal = Refusal.SEQ if self._overtaken(path) else None
        elif refusal in CONTENT and self.watchdog.mode is Mode.FOLLOWING:
            self._note_heard(path)  # so that the gate knows soon that this one is not followed
        if refusal is not None:
            self.refused[refusal] += 1
            return None
        if path.state in HELD and not _fell_behind(path) and self._only_a_place(path, now_ns):
            self.refused[Refusal.UNREACHABLE] += 1
            self._stopped = path.state == GateState.LATCHED
            return self._brake(now_ns)
        track = self._joined(path, now_ns)
        if track is None:
            if self.track is None:  # nor would any later one: better said than stood there mutely
                self.watchdog.latch("it was not told where motion begins")
            if path.tail_start:
                return None
            self._stopped = path.state == GateState.LATCHED  # by a stop of our own
            return self._brake(now_ns)
        self._fresh = self._abandoned = False
        self._seq = self.followed = path.seq
        self._stopped = path.state == GateState.LATCHED
        self.accepted += 1
        self.track = track
        return self._rest(track, now_ns)

    def _only_a_place(self, path: SafePath, now_ns: int) -> bool:
        """Whether there is no way left to where a gate stops: a stop sets nothing in motion.

        The stop itself was lost, or the arm stands already, as what was before it was lost; or it
        is on a way to that place that the gate knows nothing of.
        """
        track, place = self.track, path.positions[-len(self._bounds.joints) :]
        if track is None:
            return True
        if (track.positions[-1] == place).all():
            return track.end_ns > max(path.end_ns, now_ns + self._takeover_ns)
        over = path.end_ns <= max(path.start_ns, now_ns + self._takeover_ns)
        return over or self.resting(now_ns)

    def _joined(self, path: SafePath, now_ns: int) -> Track | None:
        """Return the track that leads into ``path``; None, and why is counted: there is none."""
        base, refusal = self.track, Refusal.UNREACHABLE
        if base is not None:
            at_ns = max(path.start_ns, now_ns)
            alone = join(None, path, now_ns)
            assert alone is not None
            there, commanded = alone.state_at(at_ns)[0], base.state_at(at_ns)[0]
            refusal = check_jump(path, there, commanded, self._bounds) or refusal
            if refusal is not Refusal.JUMP:
                track = join(base, path, now_ns, self._bounds.reach, self._takeover_ns)
                if track is not None:
                    return track
        self.refused[refusal] += 1
        return None

    def tick(self, now_ns: int) -> Trajectory | Sample | None:
        """Watch the lease; return what is to be sent now, None when nothing is."""
        return self._noted(self._after_gap(now_ns) or self._due(now_ns), now_ns)

    def _due(self, now_ns: int) -> Trajectory | Sample | None:
        lost = self.watchdog.check(now_ns)
        if self.track is None:
            return None
        if lost or self._abandoned:
            return self._left(now_ns)
        if not self._streamed:
            return None
        if self.watchdog.mode is not Mode.FOLLOWING and self.resting(now_ns) and self._at_end():
            return None
        return sample(self.track, now_ns)

    def _at_end(self) -> bool:
        """Whether the last sample was that of an arm at rest where the motion ends."""
        last, track = self._sent, self.track
        if last is None or track is None:
            return True
        return not last.velocity.any() and bool((last.position == track.positions[-1]).all())

    def _noted(self, item: Trajectory | Sample | None, now_ns: int) -> Trajectory | Sample | None:
        """Remember a sample that is sent."""
        if isinstance(item, Sample):
            self._sent, self._sent_ns = item, now_ns
        return item

    def _after_gap(self, now_ns: int) -> Sample | None:
        """Return where the arm is to stand if the next sample would be a step, and latch."""
        last, gap_ns = self._sent, now_ns - self._sent_ns
        if last is None or gap_ns <= self._gap_ns or self.resting(self._sent_ns + self._gap_ns):
            return None
        if self.watchdog.mode is Mode.FOLLOWING:
            self.watchdog.latch(f"no sample was sent for {gap_ns // 1_000_000} ms")
        self.track, self.followed, self._abandoned = standing(last.position, now_ns), 0, False
        return sample(self.track, now_ns)

    def _left(self, now_ns: int) -> Trajectory | Sample | None:
        """Stop, as the gate says nothing any more of the path that is followed."""
        self._abandoned = False
        braked = self._brake(now_ns)
        if braked is not None or self.track is None:
            return braked
        return self._rest(self.track, now_ns)

    def _brake(self, now_ns: int) -> Trajectory | Sample | None:
        """Stop along the path that is followed; None where it stops as soon by itself."""
        if self.track is None:
            return None
        slowed = brake(self.track, now_ns, now_ns + self._bounds.lead_ns, self._bounds.reach)
        if slowed is None:
            return None
        self.track, self.followed = slowed, 0
        return self._rest(slowed, now_ns)

    def _rest(self, track: Track, now_ns: int) -> Trajectory | Sample | None:
        return sample(track, now_ns) if self._streamed else rows_to_come(track, now_ns)

    def finish(self) -> None:
        """Take no more paths: the verified tail brings the arm to rest."""
        self._finishing = True

    @property
    def rest(self) -> np.ndarray:
        """Where the arm was left, (joints,) float64; (0,) before any path.

        So while following anything but a stop of our own: the gate knows that.
        """
        following = self.watchdog.mode is Mode.FOLLOWING and (self.followed or self._fresh)
        if self.track is None or following:
            return NOWHERE
        return self.track.positions[-1]

    def command_at(self, now_ns: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return position and velocity (joints,) commanded now; None while not following."""
        if self.track is None or self.watchdog.mode is not Mode.FOLLOWING:
            return None
        return self.track.state_at(now_ns)

    def resting(self, now_ns: int) -> bool:
        """Whether the commanded motion has come to its end."""
        return self.track is None or self.track.stands_from(now_ns)
