"""What can be known about a GPU, and finding someone who knows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vla_common.core.errors import UserError
from vla_monitor.core.level import ERROR, OK, WARN, Level

NAN = float("nan")


class NoGpuError(UserError):
    """There is no GPU of this kind here; the message says what was looked for."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A temperature [C] and the lowest trip point [C] above which clocks are cut; NaN: unknown."""

    name: str
    celsius: float
    trip: float = NAN

    @property
    def margin(self) -> float:
        """Degrees left to the trip point; NaN when either is unknown."""
        return self.trip - self.celsius


@dataclass(frozen=True, slots=True)
class GpuReading:
    """One GPU at one moment; NaN is "cannot be read", and then ``problems`` says why.

    ``load`` is 0..1, memory in bytes, clocks in MHz, power in W. ``throttle`` names why the clocks
    are cut now, ``limits`` what else bounds them (a power cap that was set on purpose).
    """

    name: str
    load: float = NAN
    memory_used: float = NAN
    memory_total: float = NAN
    zones: tuple[Zone, ...] = ()
    clock_mhz: float = NAN
    clock_max_mhz: float = NAN
    power: float = NAN
    throttle: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class GpuProbe(Protocol):
    """Reads all GPUs of one kind."""

    def read(self) -> Sequence[GpuReading]:
        """Return a reading of every GPU. What cannot be read is NaN with a problem, no error."""

    def close(self) -> None:
        """Release what the probe holds."""


def throttled(readings: Sequence[GpuReading]) -> list[str]:
    """Return why clocks are cut now, each reason once for all GPUs; empty when none is known."""
    return list(dict.fromkeys(reason for r in readings for reason in r.throttle))


TRIP_MARGIN = 10.0  # [C] below a trip point that is worth a warning


def judge(reading: GpuReading) -> tuple[Level, str]:
    """Return level and message for one GPU."""
    if reading.throttle:
        return ERROR, f"{reading.name} is throttled: {', '.join(reading.throttle)}"
    hot = [z for z in reading.zones if not math.isnan(z.margin) and z.margin <= TRIP_MARGIN]
    if hot:
        zone = min(hot, key=lambda z: z.margin)
        return WARN, f"{zone.name} {zone.celsius:.0f} C, its trip point is {zone.trip:.0f} C"
    if reading.problems:
        return WARN, f"cannot be read: {'; '.join(reading.problems)}"
    return OK, reading.name


def find_probe(makers: Sequence[tuple[str, Callable[[], GpuProbe]]]) -> GpuProbe:
    """Return the first probe that can be made. Raises :class:`NoGpuError` with all the reasons."""
    reasons = []
    for name, make in makers:
        try:
            return make()
        except NoGpuError as error:
            reasons.append(f"{name}: {error}")
    raise NoGpuError("no GPU found: " + "; ".join(reasons))


def default_probe(root: Path = Path("/")) -> GpuProbe:
    """Return the probe for this machine. Raises :class:`NoGpuError`."""
    from vla_monitor.core.jetson import JetsonProbe
    from vla_monitor.core.nvml import NvmlProbe

    # Jetson first: NVML exists there too, but knows little of the integrated GPU.
    return find_probe([("Jetson", lambda: JetsonProbe(root)), ("NVML", NvmlProbe)])
