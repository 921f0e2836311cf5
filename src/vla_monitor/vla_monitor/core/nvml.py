"""NVIDIA GPUs with a driver that has NVML (nvidia-ml-py, imported only when asked for).

Source: NVML API reference, nvmlClocksEventReasons and nvmlTemperatureThresholds.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

from vla_monitor.core.gpu import NAN, GpuReading, NoGpuError, Zone

T = TypeVar("T")
# Bits of nvmlDeviceGetCurrentClocksEventReasons.
THROTTLE = {
    0x08: "hardware slowdown",
    0x20: "thermal, by software",
    0x40: "thermal, by hardware",
    0x80: "power brake",
}
LIMITS = {0x02: "application clocks", 0x04: "power cap", 0x10: "sync boost", 0x100: "display clock"}


def load_nvml() -> Any:
    """Return the initialised library. Raises :class:`NoGpuError` saying what is missing."""
    try:
        library = importlib.import_module("pynvml")
    except ImportError as error:
        raise NoGpuError(f"nvidia-ml-py is not installed ({error})") from error
    try:
        library.nvmlInit()
    except library.NVMLError as error:
        raise NoGpuError(str(error)) from error
    return library


class NvmlProbe:
    """All GPUs that NVML lists."""

    def __init__(self, load: Callable[[], Any] = load_nvml) -> None:
        """Open the library. Raises :class:`NoGpuError`."""
        self._nvml = load()
        count = self._nvml.nvmlDeviceGetCount()
        if count == 0:
            self._nvml.nvmlShutdown()
            raise NoGpuError("the driver lists no GPU")
        self._devices = [self._nvml.nvmlDeviceGetHandleByIndex(i) for i in range(count)]

    def read(self) -> list[GpuReading]:
        """Return a reading of every GPU."""
        return [self._read_one(device) for device in self._devices]

    def close(self) -> None:
        """Close the library."""
        self._nvml.nvmlShutdown()

    def _read_one(self, device: Any) -> GpuReading:
        nvml = self._nvml
        problems: list[str] = []

        def ask(what: str, call: Callable[[], T], otherwise: T) -> T:
            try:
                return call()
            except (nvml.NVMLError, AttributeError) as error:
                problems.append(f"{what} ({error})")
                return otherwise

        memory = ask("memory", lambda: nvml.nvmlDeviceGetMemoryInfo(device), None)
        reasons = ask("throttle reasons", lambda: self._reasons(device), 0)
        name = ask("name", lambda: nvml.nvmlDeviceGetName(device), "GPU")
        return GpuReading(
            name=name.decode() if isinstance(name, bytes) else str(name),
            load=ask("load", lambda: nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100.0, NAN),
            memory_used=NAN if memory is None else float(memory.used),
            memory_total=NAN if memory is None else float(memory.total),
            zones=(
                Zone(
                    "GPU",
                    ask(
                        "temperature", lambda: float(nvml.nvmlDeviceGetTemperature(device, 0)), NAN
                    ),
                    self._trip(device),
                ),
            ),
            clock_mhz=ask("clock", lambda: float(nvml.nvmlDeviceGetClockInfo(device, 1)), NAN),
            clock_max_mhz=ask(
                "maximum clock", lambda: float(nvml.nvmlDeviceGetMaxClockInfo(device, 1)), NAN
            ),
            power=ask("power", lambda: nvml.nvmlDeviceGetPowerUsage(device) * 1e-3, NAN),
            throttle=tuple(text for bit, text in THROTTLE.items() if reasons & bit),
            limits=tuple(text for bit, text in LIMITS.items() if reasons & bit),
            problems=tuple(problems),
        )

    def _reasons(self, device: Any) -> int:
        """Return the bits of why clocks are cut; older libraries use another name."""
        nvml = self._nvml
        call = getattr(nvml, "nvmlDeviceGetCurrentClocksEventReasons", None)
        return int((call or nvml.nvmlDeviceGetCurrentClocksThrottleReasons)(device))

    def _trip(self, device: Any) -> float:
        """Return where the driver slows down [C]; NaN where the GPU does not tell."""
        try:
            return float(self._nvml.nvmlDeviceGetTemperatureThreshold(device, 1))
        except (self._nvml.NVMLError, AttributeError):
            return NAN
