"""Emergency stop sources in the gate's own process: a GPIO line, or a plugin of the user's.

A source is one class with one method::

    class Button:
        def __init__(self, robot):  # vla_common.core.robot.Robot: the robot file
            ...

        def pressed(self) -> bool:  # asked every 10 ms, on a thread of its own
            ...

It is named in the robot file as ``safety.estop_plugin``: ``module:Class``, or the name of an
entry point of the group ``vla_safety.estop``. Only a plain ``False`` means released. Raising
means pressed. A call that does not return within ``safety.estop_timeout_ms`` trips as a lost
heartbeat does. A method ``close()``, where there is one, is called at the end.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot

GROUP = "vla_safety.estop"
KEY = "safety.estop_plugin"
POLL_NS = 10_000_000
BEAT_NS = 40_000_000


class EstopSource(Protocol):
    """Whoever says whether to stop."""

    def pressed(self) -> bool:
        """Return False while released; anything else, also an exception, is a stop."""


def _factory(spec: str, where: str) -> Callable[[Robot], Any]:
    if ":" in spec:
        module, _, name = spec.partition(":")
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
        return found  # type: ignore[no-any-return]
    points = {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}
    if spec not in points:
        known = ", ".join(repr(name) for name in sorted(points)) or "none"
        raise ConfigError(
            where, KEY, spec, f"module:Class, or an entry point of {GROUP}; installed: {known}"
        )
    return points[spec].load()  # type: ignore[no-any-return]


def load(robot: Robot) -> EstopSource:
    """Return the source that the robot file names. Raises :class:`ConfigError`."""
    spec = robot.safety.estop_plugin
    try:
        source = _factory(spec, robot.source)(robot)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(
            robot.source, KEY, spec, f"a class that loads and takes the robot file ({error!r})"
        ) from error
    if not callable(getattr(source, "pressed", None)):
        raise ConfigError(robot.source, KEY, spec, "a class with a method pressed() -> bool")
    return source  # type: ignore[no-any-return]


class EstopPoller:
    """Asks a source every ``POLL_NS`` and tells what it said: changes at once, else a heartbeat.

    The heartbeat comes from the asking itself: a source that hangs is silent. One that holds the
    interpreter's lock meanwhile stops the whole gate, and with it the lease of the publisher.
    """

    def __init__(
        self,
        source: EstopSource,
        tell: Callable[[bool], None],
        complain: Callable[[str], None],
    ) -> None:
        self._source = source
        self._tell = tell
        self._complain = complain
        self._told: bool | None = None
        self._told_ns = 0
        self._wrong = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="estop", daemon=True)

    def poll(self, now_ns: int) -> None:
        """Ask once."""
        wrong = ""
        try:
            answer: Any = self._source.pressed()
            if not isinstance(answer, bool):
                wrong = f"pressed() returned {answer!r}, which is neither True nor False"
        except Exception as error:
            answer, wrong = True, f"pressed() raised {error!r}"
        if wrong and wrong != self._wrong:
            self._complain(wrong)
        self._wrong = wrong
        pressed = answer is not False
        if pressed != self._told or now_ns - self._told_ns >= BEAT_NS:
            self._told, self._told_ns = pressed, now_ns
            self._tell(pressed)

    @property
    def alive(self) -> bool:
        """Whether the thread runs; after :meth:`stop` it does only if the source hangs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start asking."""
        self._thread.start()

    def stop(self, timeout: float = 0.5) -> None:
        """Ask no more; wait for the last answer up to ``timeout`` [s]."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self.poll(time.monotonic_ns())
            self._stopped.wait(POLL_NS * 1e-9)


class OwnEstop:
    """The source that the robot file names, from configure to cleanup. Raises as :func:`load`."""

    def __init__(self, robot: Robot) -> None:
        self.name = f"estop_plugin {robot.safety.estop_plugin}"
        self._where = robot.source
        self._source = load(robot)
        self._poller: EstopPoller | None = None

    def start(self, tell: Callable[[bool], None], complain: Callable[[str], None]) -> None:
        """Start asking. Raises :class:`ConfigError` when it hangs since it was stopped last."""
        if self._poller is not None and self._poller.alive:
            raise ConfigError(self._where, KEY, self.name, "a source that answers: it hangs")
        self._poller = EstopPoller(
            self._source, tell, lambda text: complain(f"{self.name}: {text}")
        )
        self._poller.start()

    def stop(self) -> None:
        """Ask no more."""
        if self._poller is not None:
            self._poller.stop()

    def close(self) -> None:
        """Give back what the source holds, unless it hangs."""
        self.stop()
        close = getattr(self._source, "close", None)
        if close is not None and not (self._poller and self._poller.alive):
            close()
