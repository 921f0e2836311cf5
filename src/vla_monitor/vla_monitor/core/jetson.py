"""NVIDIA Jetson, read from sysfs.

Sources: NVIDIA Jetson Linux Developer Guide r36 ("Platform Power and Performance": thermal zones,
INA3221 labels, over-current event counters); the kernel's thermal and hwmon sysfs ABI. No daemon
in between: it would be missing under full load, when it is needed.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from vla_monitor.core.gpu import NAN, GpuReading, NoGpuError, Zone

GPU_NODES = ("gpu", "ga10b", "gv11b", "gp10b", "gm20b")
GPU_WORDS = (*GPU_NODES, "gpu-gpc")
TOTAL_RAILS = ("VDD_IN", "POM_5V_IN")  # boards that measure their input as a whole
COLDEST_C = -40.0  # below: a zone whose sensor is switched off


def text(path: Path) -> str | None:
    """Return a file's text without blanks and NULs at its end, None when it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip().strip("\0").strip()
    except OSError:
        return None


def value(path: Path, scale: float = 1.0) -> float:
    """Return the number in a file times ``scale``; NaN when there is none."""
    found = text(path)
    try:
        return float((found or "").split()[0]) * scale
    except (ValueError, IndexError):
        return NAN


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []


def _is_jetson(root: Path) -> bool:
    if (root / "etc/nv_tegra_release").exists():
        return True
    compatible = text(root / "proc/device-tree/compatible") or ""
    return "nvidia,tegra" in compatible


def _find_clock(root: Path) -> Path | None:
    """Return the devfreq folder of the GPU."""
    for folder in _folders(root / "sys/class/devfreq"):
        name = text(folder / "device/of_node/name") or folder.name
        if name in GPU_NODES or any(folder.name.endswith(f".{w}") for w in GPU_NODES):
            return folder
        if folder.name.startswith("gpu-gpc"):
            return folder
    return None


def _find_load(root: Path, clock: Path | None) -> Path | None:
    """Return the file with the GPU's load in thousandths."""
    places: list[Path] = [clock / "device/load"] if clock is not None else []
    devices = root / "sys/devices"
    for base in (devices, devices / "platform", devices / "platform/bus@0"):
        places += [base / "gpu.0/load"]
        places += [f / "load" for f in _folders(base) if f.name.split(".")[-1] in GPU_NODES]
    return next((place for place in places if place.exists()), None)


def _trip(zone: Path) -> float:
    """Return the lowest passive, hot or critical trip point [C]; fans (active) do not count."""
    trips = [
        value(kind.with_name(kind.name.replace("_type", "_temp")), 1e-3)
        for kind in zone.glob("trip_point_*_type")
        if text(kind) in ("passive", "hot", "critical")
    ]
    return min((t for t in trips if t > 0.0), default=NAN)


class JetsonProbe:
    """The integrated GPU of a Jetson, its board's temperatures, power and throttling."""

    def __init__(self, root: Path = Path("/")) -> None:
        """Look below ``root``. Raises :class:`NoGpuError`."""
        if not _is_jetson(root):
            raise NoGpuError("neither /etc/nv_tegra_release nor a Tegra device tree")
        self._clock = _find_clock(root)
        self._load = _find_load(root, self._clock)
        if self._clock is None and self._load is None:
            raise NoGpuError("a Tegra without a GPU in /sys/class/devfreq or /sys/devices")
        self._name = text(root / "proc/device-tree/model") or "Jetson"
        self._zones = [
            (text(folder / "type") or folder.name, folder, _trip(folder))
            for folder in _folders(root / "sys/class/thermal")
            if folder.name.startswith("thermal_zone")
        ]
        monitors = [(text(f / "name"), f) for f in _folders(root / "sys/class/hwmon")]
        self._power = [folder for name, folder in monitors if name == "ina3221"]
        self._events = [
            event
            for name, folder in monitors
            if name and ("soctherm" in name or "_oc" in name)
            for event in sorted(folder.glob("oc*_event_cnt"))
        ]
        self._cooling = [
            folder
            for folder in _folders(root / "sys/class/thermal")
            if folder.name.startswith("cooling_device")
            and any(word in (text(folder / "type") or "") for word in GPU_WORDS)
        ]
        self._counts = {event: value(event) for event in self._events}
        self._meminfo = root / "proc/meminfo"

    def read(self) -> list[GpuReading]:
        """Return the reading of the one GPU."""
        problems: list[str] = []
        used, total = self._memory()
        load = value(self._load, 1e-3) if self._load is not None else NAN
        clock = value(self._clock / "cur_freq", 1e-6) if self._clock is not None else NAN
        most = value(self._clock / "max_freq", 1e-6) if self._clock is not None else NAN
        for name, number in (("load", load), ("clock", clock), ("memory", total)):
            if number != number:
                problems.append(name)
        zones = tuple(self._temperatures())
        if not zones:
            problems.append("temperatures")
        power = self._total_power()
        if power != power:
            problems.append("power (no INA3221 found or readable)")
        return [
            GpuReading(
                name=self._name, load=load, memory_used=used, memory_total=total, zones=zones,
                clock_mhz=clock, clock_max_mhz=most, power=power,
                throttle=tuple(self._throttle()), problems=tuple(problems),
            )
        ]  # fmt: skip

    def close(self) -> None:
        """Nothing is held."""

    def _memory(self) -> tuple[float, float]:
        """Return used and total bytes; CPU and GPU share them."""
        lines = (text(self._meminfo) or "").splitlines()
        fields = {line.split(":")[0]: line.split() for line in lines}
        try:
            total = float(fields["MemTotal"][1]) * 1024
            return total - float(fields["MemAvailable"][1]) * 1024, total
        except (KeyError, IndexError, ValueError):
            return NAN, NAN

    def _temperatures(self) -> Iterable[Zone]:
        for name, folder, trip in self._zones:
            celsius = value(folder / "temp", 1e-3)
            if celsius > COLDEST_C:  # a zone of a unit that is switched off cannot be read
                yield Zone(name.removesuffix("-thermal"), celsius, trip)

    def _total_power(self) -> float:
        """Return the board's power [W]."""
        rails: dict[str, float] = {}
        for folder in self._power:
            for label in folder.glob("in*_label"):
                name = text(label) or ""
                channel = label.name[2:].split("_")[0]
                watts = value(folder / f"in{channel}_input", 1e-3) * value(
                    folder / f"curr{channel}_input", 1e-3
                )
                if watts == watts and name not in ("", "NC") and "sum" not in name.lower():
                    rails[name] = watts
        for name in TOTAL_RAILS:
            if name in rails:
                return rails[name]
        return sum(rails.values()) if rails else NAN

    def _throttle(self) -> Iterable[str]:
        for folder in self._cooling:
            if value(folder / "cur_state") > 0.0:
                yield f"thermal ({text(folder / 'type')})"
        for event in self._events:
            count, before = value(event), self._counts[event]
            self._counts[event] = count
            if count > before:
                yield f"over-current ({event.name.removesuffix('_event_cnt')})"
