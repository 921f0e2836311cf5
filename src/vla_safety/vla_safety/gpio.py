"""An emergency stop button on a GPIO line, by libgpiod.

Wiring: a normally closed contact between the supply of the line and the line. Closed, that is
released, reads high; pressed, unplugged or a broken wire reads low, and low is a stop. The line's
pull-down is asked for; where the chip has none, which libgpiod does not tell, put a resistor from
the line to ground: without one a broken wire leaves the line floating.

Takes libgpiod's Python binding of version 2 (``gpiod`` on PyPI, python3-libgpiod from Ubuntu 24.10
on) or 1 (python3-libgpiod of Ubuntu 22.04 and 24.04). NOT run on hardware: the tests use a stand-in
for the binding that follows its documentation.
"""

from __future__ import annotations

from typing import Any

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot

CONSUMER = "vla_ros emergency stop"


class GpioEstop:
    """Reads ``safety.estop_line`` of ``safety.estop_chip``; high is released, low is pressed.

    Raises :class:`ConfigError` when the binding, the chip or the line cannot be had.
    """

    def __init__(self, robot: Robot) -> None:
        chip, line = robot.safety.estop_chip, robot.safety.estop_line
        if line < 0:
            raise ConfigError(
                robot.source, "safety.estop_line", line, "a line >= 0, for estop_plugin 'gpio'"
            )
        try:
            import gpiod
        except ImportError as error:
            raise ConfigError(
                robot.source,
                "safety.estop_plugin",
                robot.safety.estop_plugin,
                "used only where libgpiod's Python binding is installed (pip install gpiod, or "
                f"python3-libgpiod): {error}",
            ) from error
        try:
            open_line = _VersionTwo if hasattr(gpiod, "request_lines") else _VersionOne
            self._line: _VersionTwo | _VersionOne = open_line(gpiod, chip, line)
        except (OSError, ValueError) as error:
            raise ConfigError(
                robot.source,
                "safety.estop_chip, safety.estop_line",
                (chip, line),
                f"a GPIO line that can be opened: {error}",
            ) from error

    def pressed(self) -> bool:
        """Return whether the line is low. Raises OSError when it cannot be read."""
        return not self._line.high()

    def close(self) -> None:
        """Give the line back."""
        self._line.close()


class _VersionTwo:
    """libgpiod 2; see https://libgpiod.readthedocs.io, Python bindings."""

    def __init__(self, gpiod: Any, chip: str, line: int) -> None:
        from gpiod.line import Bias, Direction, Value

        settings = gpiod.LineSettings(direction=Direction.INPUT, bias=Bias.PULL_DOWN)
        self._request = gpiod.request_lines(chip, consumer=CONSUMER, config={line: settings})
        self._offset = line
        self._high = Value.ACTIVE

    def high(self) -> bool:
        return bool(self._request.get_value(self._offset) == self._high)

    def close(self) -> None:
        self._request.release()


class _VersionOne:
    """libgpiod 1.5 and later 1.x: bindings/python/gpiodmodule.c of its sources."""

    def __init__(self, gpiod: Any, chip: str, line: int) -> None:
        self._chip = gpiod.Chip(chip)
        try:
            self._line = self._chip.get_line(line)
            self._line.request(
                consumer=CONSUMER,
                type=gpiod.LINE_REQ_DIR_IN,
                flags=gpiod.LINE_REQ_FLAG_BIAS_PULL_DOWN,
            )
        except BaseException:
            self._chip.close()
            raise

    def high(self) -> bool:
        return bool(self._line.get_value() == 1)

    def close(self) -> None:
        self._line.release()
        self._chip.close()
