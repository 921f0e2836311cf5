"""What the gate knows of the cameras: the verdict of camera_ingest, judged by the robot file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from vla_common.core.errors import ConfigError
from vla_common.core.robot import Robot
from vla_safety.core.reasons import Reason

TEXT = 80
"""Characters of a fault's text that are passed on."""
UNHEARD = ((Reason.CAMERA_SILENT, "camera_ingest was not heard"),)
SILENT = ((Reason.CAMERA_SILENT, "camera_ingest is silent"),)
UNUSABLE = ((Reason.CAMERA_SILENT, "what camera_ingest sends is not usable"),)
FROZEN, DARK, WRONG = "frozen", "dark", "wrong"
"""Faults that camera_ingest tells of; WRONG begins one of size, encoding or length."""

Fault = tuple[Reason, str]


def _values(values: Any, size: int) -> list[float] | None:
    """Return ``size`` numbers that are finite and not negative, None when they are not."""
    try:
        found = [float(value) for value in values]
    except (TypeError, ValueError, OverflowError):
        return None
    good = len(found) == size and all(math.isfinite(value) and value >= 0.0 for value in found)
    return found if good else None


def strings(values: Any) -> list[str] | None:
    """Return a list of strings, None when it is not one."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        return None
    return list(values) if all(isinstance(value, str) for value in values) else None


def _check_rates(robot: Robot) -> None:
    age_ms = robot.safety.camera_age_ms
    for name, camera in zip(robot.camera_names, robot.cameras):
        period_ms = 1e3 / camera.rate
        if camera.required and age_ms <= period_ms:
            raise ConfigError(
                robot.source,
                "safety.camera_age_ms",
                age_ms,
                f"more than the period of cameras.{name} at {camera.rate:g} Hz, {period_ms:g} ms",
            )


class CameraWatch:
    """The newest report on the required cameras.

    A report counts while it is younger than ``safety.camera_age_ms``: when camera_ingest falls
    silent, nothing is known of any camera. With ``safety.camera_watch: false`` there are no
    faults. Raises :class:`ConfigError` when a camera is too slow to be that young.
    """

    def __init__(self, robot: Robot) -> None:
        safety = robot.safety
        self.watched = safety.camera_watch
        self.required = tuple(
            name for name, camera in zip(robot.camera_names, robot.cameras) if camera.required
        )
        if self.watched:
            _check_rates(robot)
        self._age_ms = safety.camera_age_ms
        self._age_ns = round(safety.camera_age_ms * 1e6)
        self._future_ns = round(safety.future_ms * 1e6)
        self._repeats = safety.camera_repeats
        self._dark_frames = safety.camera_dark_frames
        self._sent_ns = -1
        self._faults: tuple[Fault, ...] = ()
        self._silent = UNHEARD

    def update(
        self, sent_ns: Any, names: Any, ages_ms: Any, repeated: Any, dark: Any, texts: Any,
        now_ns: int,
    ) -> bool:  # fmt: skip
        """Take a report, see vla_msgs/CameraHealth; return whether it was usable."""
        usable = self._take(sent_ns, names, ages_ms, repeated, dark, texts, now_ns)
        self._silent = SILENT if usable else UNUSABLE
        return usable

    def _take(
        self, sent_ns: Any, names: Any, ages_ms: Any, repeated: Any, dark: Any, texts: Any,
        now_ns: int,
    ) -> bool:  # fmt: skip
        """Keep a report that is usable.

        One that is not usable leaves the one before it to grow old: wrong sizes, numbers that are
        not finite or negative, a required camera that is missing, a time of sending that does not
        rise or lies in the future.
        """
        if isinstance(sent_ns, bool) or not isinstance(sent_ns, int):
            return False
        found, told = strings(names), strings(texts)
        if found is None or told is None or len(told) != len(found):
            return False
        columns = [_values(values, len(found)) for values in (ages_ms, repeated, dark)]
        ages, repeats, darks = columns
        if ages is None or repeats is None or darks is None:
            return False
        if any(found.count(name) != 1 for name in self.required):
            return False
        if not self._sent_ns < sent_ns <= now_ns + self._future_ns:
            return False
        faults: list[Fault] = []
        for name in self.required:
            i = found.index(name)
            faults += self._judge(name, ages[i], repeats[i], darks[i], told[i])
        self._sent_ns, self._faults = sent_ns, tuple(faults)
        return True

    def _judge(
        self, name: str, age_ms: float, repeated: float, dark: float, text: str
    ) -> list[Fault]:
        """Return what is wrong with one camera.

        By number, or else by what camera_ingest says; all but frozen and dark means that there is
        no usable image. Texts hold no numbers: they are published whenever they change.
        """
        faults: list[Fault] = []
        if repeated >= self._repeats or text == FROZEN:
            faults.append((Reason.CAMERA_FROZEN, name))
        if dark >= self._dark_frames or text == DARK:
            faults.append((Reason.CAMERA_DARK, name))
        if age_ms > self._age_ms or (text and not faults):
            why = f"{name}: {text[:TEXT]}" if text.startswith(WRONG) else name
            faults.append((Reason.CAMERA_STALE, why))
        return faults

    def faults(self, now_ns: int) -> tuple[Fault, ...]:
        """Return what is wrong now, with the camera and why; empty when nothing is."""
        if not self.watched:
            return ()
        if self._sent_ns >= 0 and now_ns - self._sent_ns <= self._age_ns:
            return self._faults
        return self._silent

    def age_ns(self, now_ns: int) -> int | None:
        """Return the age of the newest report, None before the first."""
        return now_ns - self._sent_ns if self._sent_ns >= 0 else None
