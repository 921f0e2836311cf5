"""GPUs that are not here: a Jetson made of files, an NVML made of functions."""

import math
from types import SimpleNamespace

import pytest

from vla_monitor.core.gpu import (
    GpuReading,
    NoGpuError,
    Zone,
    default_probe,
    find_probe,
    judge,
    throttled,
)
from vla_monitor.core.jetson import JetsonProbe
from vla_monitor.core.level import ERROR, OK, WARN
from vla_monitor.core.nvml import NvmlProbe, load_nvml


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


ORIN = {
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.0\n",
    "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p3737-0000+p3701-0000\0nvidia,tegra234\0",
    "proc/meminfo": "MemTotal: 31265000 kB\nMemFree: 1 kB\nMemAvailable: 21265000 kB\n",
    "sys/class/devfreq/17000000.gpu/cur_freq": "612000000\n",
    "sys/class/devfreq/17000000.gpu/max_freq": "1300500000\n",
    "sys/class/devfreq/17000000.gpu/device/of_node/name": "gpu\0",
    "sys/class/devfreq/17000000.gpu/device/load": "437\n",
    "sys/class/devfreq/15480000.nvdec/cur_freq": "1\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "51250\n",
    "sys/class/thermal/thermal_zone0/trip_point_0_type": "passive\n",
    "sys/class/thermal/thermal_zone0/trip_point_0_temp": "99000\n",
    "sys/class/thermal/thermal_zone0/trip_point_1_type": "active\n",
    "sys/class/thermal/thermal_zone0/trip_point_1_temp": "35000\n",
    "sys/class/thermal/thermal_zone0/trip_point_2_type": "critical\n",
    "sys/class/thermal/thermal_zone0/trip_point_2_temp": "104500\n",
    "sys/class/thermal/thermal_zone1/type": "gpu-thermal\n",
    "sys/class/thermal/thermal_zone1/temp": "48500\n",
    "sys/class/thermal/thermal_zone2/type": "cv0-thermal\n",
    "sys/class/thermal/thermal_zone2/temp": "-256000\n",
    "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
    "sys/class/thermal/cooling_device0/cur_state": "2\n",
    "sys/class/thermal/cooling_device1/type": "devfreq-17000000.gpu\n",
    "sys/class/thermal/cooling_device1/cur_state": "0\n",
    "sys/class/hwmon/hwmon1/name": "ina3221\n",
    "sys/class/hwmon/hwmon1/in1_label": "VDD_GPU_SOC\n",
    "sys/class/hwmon/hwmon1/in1_input": "20000\n",
    "sys/class/hwmon/hwmon1/curr1_input": "500\n",
    "sys/class/hwmon/hwmon1/in2_label": "NC\n",
    "sys/class/hwmon/hwmon1/in2_input": "20000\n",
    "sys/class/hwmon/hwmon1/curr2_input": "500\n",
    "sys/class/hwmon/hwmon1/in7_label": "sum of shunt voltages\n",
    "sys/class/hwmon/hwmon1/in7_input": "9\n",
    "sys/class/hwmon/hwmon2/name": "ina3221\n",
    "sys/class/hwmon/hwmon2/in1_label": "VIN_SYS_5V0\n",
    "sys/class/hwmon/hwmon2/in1_input": "5000\n",
    "sys/class/hwmon/hwmon2/curr1_input": "800\n",
    "sys/class/hwmon/hwmon3/name": "soctherm_oc\n",
    "sys/class/hwmon/hwmon3/oc1_event_cnt": "3\n",
}


@pytest.fixture
def orin(tmp_path):
    write(tmp_path, ORIN)
    return tmp_path


def test_an_orin_is_read_from_sysfs(orin):
    (reading,) = JetsonProbe(orin).read()
    assert reading.name == "NVIDIA Jetson AGX Orin Developer Kit"
    assert reading.load == pytest.approx(0.437)
    assert (reading.clock_mhz, reading.clock_max_mhz) == pytest.approx((612.0, 1300.5))
    assert reading.memory_used == 10_000_000 * 1024
    assert [(z.name, z.celsius) for z in reading.zones] == [("cpu", 51.25), ("gpu", 48.5)]
    assert reading.zones[0].trip == 99.0 and math.isnan(reading.zones[1].trip)
    assert reading.power == pytest.approx(20.0 * 0.5 + 5.0 * 0.8)
    assert not reading.throttle and not reading.problems
    assert judge(reading)[0] == OK


def test_jetson_throttling_by_heat_and_by_current(orin):
    probe = JetsonProbe(orin)
    write(orin, {"sys/class/thermal/cooling_device1/cur_state": "1\n"})
    write(orin, {"sys/class/hwmon/hwmon3/oc1_event_cnt": "5\n"})
    (reading,) = probe.read()
    assert reading.throttle == ("thermal (devfreq-17000000.gpu)", "over-current (oc1)")
    assert judge(reading)[0] == ERROR
    write(orin, {"sys/class/thermal/cooling_device1/cur_state": "0\n"})
    assert not probe.read()[0].throttle  # no new event


def test_jetson_close_to_its_trip_point_warns(orin):
    write(orin, {"sys/class/thermal/thermal_zone0/temp": "89100\n"})
    level, message = judge(JetsonProbe(orin).read()[0])
    assert level == WARN and "cpu 89 C" in message and "99 C" in message


def test_what_cannot_be_read_is_a_warning_and_never_ok(orin):
    (orin / "sys/class/devfreq/17000000.gpu/device/load").write_text("\n")
    (orin / "sys/class/hwmon/hwmon1/name").unlink()
    (orin / "sys/class/hwmon/hwmon2/name").unlink()
    (reading,) = JetsonProbe(orin).read()
    assert math.isnan(reading.load) and math.isnan(reading.power)
    level, message = judge(reading)
    assert level == WARN and "load" in message and "power" in message


def test_a_board_that_measures_its_input_as_a_whole(orin):
    write(orin, {"sys/class/hwmon/hwmon1/in2_label": "VDD_IN\n"})
    assert JetsonProbe(orin).read()[0].power == pytest.approx(10.0)


def test_older_places_of_the_load(orin):
    (orin / "sys/class/devfreq/17000000.gpu/device/load").unlink()
    write(orin, {"sys/devices/platform/gpu.0/load": "999\n"})
    assert JetsonProbe(orin).read()[0].load == pytest.approx(0.999)
    (orin / "sys/devices/platform/gpu.0/load").unlink()
    write(orin, {"sys/devices/platform/bus@0/17000000.gpu/load": "10\n"})
    assert JetsonProbe(orin).read()[0].load == pytest.approx(0.01)


def test_no_jetson(tmp_path):
    with pytest.raises(NoGpuError, match="nv_tegra_release"):
        JetsonProbe(tmp_path)
    write(tmp_path, {"etc/nv_tegra_release": "R36"})
    with pytest.raises(NoGpuError, match="without a GPU"):
        JetsonProbe(tmp_path)


class FakeNvml:
    """The functions of pynvml that are used."""

    class NVMLError(Exception):
        pass

    def __init__(self, reasons=0, count=1):
        self.reasons, self.count, self.open = reasons, count, True

    def nvmlDeviceGetCount(self):
        return self.count

    def nvmlDeviceGetHandleByIndex(self, index):
        return index

    def nvmlDeviceGetName(self, device):
        return b"NVIDIA RTX 4090"

    def nvmlDeviceGetMemoryInfo(self, device):
        return SimpleNamespace(used=6e9, total=24e9)

    def nvmlDeviceGetUtilizationRates(self, device):
        return SimpleNamespace(gpu=87)

    def nvmlDeviceGetTemperature(self, device, sensor):
        return 71

    def nvmlDeviceGetTemperatureThreshold(self, device, kind):
        return 90

    def nvmlDeviceGetClockInfo(self, device, kind):
        return 2520

    def nvmlDeviceGetMaxClockInfo(self, device, kind):
        return 3105

    def nvmlDeviceGetPowerUsage(self, device):
        return 312500

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, device):
        return self.reasons

    def nvmlShutdown(self):
        self.open = False


def test_nvml_is_read():
    library = FakeNvml(count=2)
    probe = NvmlProbe(lambda: library)
    first, _ = probe.read()
    assert (first.name, first.load, first.power) == ("NVIDIA RTX 4090", 0.87, 312.5)
    assert (first.memory_used, first.memory_total) == (6e9, 24e9)
    assert first.zones == (Zone("GPU", 71.0, 90.0),) and not first.problems
    assert judge(first)[0] == OK
    probe.close()
    assert not library.open


def test_nvml_throttling_is_an_error_a_power_cap_is_told():
    (reading,) = NvmlProbe(lambda: FakeNvml(reasons=0x40 | 0x04)).read()
    assert reading.throttle == ("thermal, by hardware",) and reading.limits == ("power cap",)
    assert judge(reading)[0] == ERROR
    (reading,) = NvmlProbe(lambda: FakeNvml(reasons=0x05)).read()
    assert judge(reading)[0] == OK


def test_nvml_newer_name_of_the_reasons_and_a_gpu_that_tells_little():
    class Poor(FakeNvml):
        def nvmlDeviceGetCurrentClocksEventReasons(self, device):
            return 0x20

        def nvmlDeviceGetPowerUsage(self, device):
            raise self.NVMLError("Not Supported")

        def nvmlDeviceGetTemperatureThreshold(self, device, kind):
            raise self.NVMLError("Not Supported")

    (reading,) = NvmlProbe(Poor).read()
    assert reading.throttle == ("thermal, by software",)
    assert math.isnan(reading.power) and "power (Not Supported)" in reading.problems
    assert math.isnan(reading.zones[0].trip)


def test_a_driver_without_gpu():
    library = FakeNvml(count=0)
    with pytest.raises(NoGpuError, match="lists no GPU"):
        NvmlProbe(lambda: library)
    assert not library.open


def test_missing_library_and_missing_driver_say_so(monkeypatch):
    import importlib
    import sys

    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(NoGpuError, match="not installed"):
        load_nvml()

    class NoDriver(FakeNvml):
        def nvmlInit(self):
            raise self.NVMLError("NVML Shared Library Not Found")

    monkeypatch.setattr(importlib, "import_module", lambda name: NoDriver())
    with pytest.raises(NoGpuError, match="Shared Library Not Found"):
        load_nvml()


def test_the_first_probe_that_can_be_made_is_taken_else_all_reasons_are_told():
    def absent():
        raise NoGpuError("nothing")

    probe = NvmlProbe(FakeNvml)
    assert find_probe([("a", absent), ("b", lambda: probe)]) is probe
    with pytest.raises(NoGpuError, match="no GPU found: a: nothing; b: nothing"):
        find_probe([("a", absent), ("b", absent)])


def test_this_machine_answers_either_way(tmp_path):
    try:
        probe = default_probe(tmp_path)
    except NoGpuError as error:
        assert str(error).startswith("no GPU found: Jetson: ")
    else:
        assert probe.read()[0].name


def test_unknown_trip_point_is_no_warning():
    assert judge(GpuReading("g", zones=(Zone("GPU", 80.0),)))[0] == OK


def test_why_clocks_are_lowered_is_told_once_for_all_gpus():
    readings = [GpuReading("a", throttle=("x", "y")), GpuReading("c", throttle=("y",))]
    assert throttled(readings) == ["x", "y"]
    assert throttled([GpuReading("a", limits=("power cap",), problems=("clock",))]) == []
    assert throttled([]) == []
