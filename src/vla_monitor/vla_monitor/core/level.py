"""Levels of diagnostics."""

from enum import IntEnum


class Level(IntEnum):
    """The constants of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


OK, WARN, ERROR = Level.OK, Level.WARN, Level.ERROR
