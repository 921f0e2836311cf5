"""Which nodes are alive, by their diagnostics, their endpoints and their lifecycle answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vla_monitor.core.level import ERROR, OK, WARN, Level

DEAD_NS = 3_000_000_000  # diagnostics come every second
START_NS = 20_000_000_000  # this long a node may take to be seen first
SHOW_NS = 600_000_000_000  # a restart is a WARN for this long


@dataclass(slots=True)
class _Node:
    expected: bool
    heard_ns: int = 0
    ids: set[bytes] = field(default_factory=set)
    state: str = "unknown"
    restarts: int = 0
    restart_ns: int = 0


@dataclass(frozen=True, slots=True)
class NodeReading:
    """One node; ``age_s`` is the time since its last diagnostics, infinite before the first."""

    name: str
    expected: bool
    state: str
    age_s: float
    restarts: int
    restarted: bool  # not long ago
    dead: bool


class NodeWatch:
    """Follows the nodes that are ``expected``, and others that are seen."""

    def __init__(self, expected: tuple[str, ...], now_ns: int) -> None:
        self._nodes = {name: _Node(expected=True) for name in expected}
        self._start_ns = now_ns

    def _get(self, name: str) -> _Node:
        return self._nodes.setdefault(name, _Node(expected=False))

    def heard(self, name: str, now_ns: int) -> None:
        """Note diagnostics of a node."""
        self._get(name).heard_ns = now_ns

    def endpoints(self, ids: Mapping[str, set[bytes]], now_ns: int) -> None:
        """Note the identities of who publishes diagnostics, by node.

        A new identity of a known node is a restart. One that crashed stays listed for a while,
        so a new identity beside an old one counts.
        """
        for name, found in ids.items():
            node = self._get(name)
            new = found - node.ids
            if new and node.ids:
                node.restarts += len(new)
                node.restart_ns = now_ns
            node.ids |= found

    def states(self, states: Mapping[str, str]) -> None:
        """Note lifecycle states that nodes answered."""
        for name, state in states.items():
            self._get(name).state = state

    def names(self) -> tuple[str, ...]:
        """Return all nodes that are followed."""
        return tuple(sorted(self._nodes))

    def read(self, now_ns: int) -> list[NodeReading]:
        """Return a reading of every node."""
        return [self._read_one(name, now_ns) for name in self.names()]

    def _read_one(self, name: str, now_ns: int) -> NodeReading:
        node = self._nodes[name]
        silent_ns = now_ns - (node.heard_ns or self._start_ns)
        dead = silent_ns > (DEAD_NS if node.heard_ns else START_NS)
        return NodeReading(
            name=name,
            expected=node.expected,
            state="dead" if dead and node.heard_ns else node.state,
            age_s=(now_ns - node.heard_ns) * 1e-9 if node.heard_ns else float("inf"),
            restarts=node.restarts,
            restarted=bool(node.restart_ns) and now_ns - node.restart_ns < SHOW_NS,
            dead=dead,
        )


def judge(readings: list[NodeReading]) -> tuple[Level, str]:
    """Return level and message."""
    dead = [r.name for r in readings if r.dead and r.expected]
    if dead:
        return ERROR, "silent: " + ", ".join(dead)
    gone = [r.name for r in readings if r.dead]
    if gone:
        return WARN, "gone: " + ", ".join(gone)
    restarted = [r.name for r in readings if r.restarted]
    if restarted:
        return WARN, "restarted: " + ", ".join(restarted)
    waiting = [r.name for r in readings if r.expected and r.age_s == float("inf")]
    if waiting:
        return WARN, "not seen yet: " + ", ".join(waiting)
    return OK, f"{len(readings)} nodes alive"
