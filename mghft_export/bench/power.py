"""Power and energy: NVML on desktop and server GPUs, INA3221 rails on Jetson. Not run on either yet.

NVML comes with the driver; `pip install nvidia-ml-py` brings its Python module. INA3221 needs nothing but sysfs.
"""

from __future__ import annotations

import importlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

SYSFS = Path("/sys/class/hwmon")
SAMPLE_SECONDS = 0.05
IDLE_SECONDS = 1.0
INPUT_RAILS = ("VDD_IN", "VIN_SYS_5V0", "VIN")
"""The rail that feeds a Jetson module has one of these names, by generation; the other rails are parts of it."""


class Meter(Protocol):
    """Something that measures power."""

    name: str

    def watts(self) -> float:
        """Power now."""

    def state(self) -> Mapping[str, object]:
        """Clocks, temperature and throttling, as far as known."""


@dataclass(frozen=True)
class Energy:
    """Power and energy of consecutive runs.

    Attributes:
        idle_watts: power before the runs, with everything loaded.
        mean_watts: mean power during the runs.
        joules_per_run: mean power times the time of a run; it includes the idle power.
        state: state of the device right after the runs.
    """

    meter: str
    idle_watts: float
    mean_watts: float
    joules_per_run: float
    state: dict[str, object] = field(default_factory=dict)


class NvmlMeter:
    """The power meter of the first GPU that the driver lists.

    Args:
        nvml: the module `pynvml`.
    """

    name = "NVML"

    def __init__(self, nvml: Any) -> None:
        nvml.nvmlInit()
        self._nvml = nvml
        self._gpu = nvml.nvmlDeviceGetHandleByIndex(0)

    def watts(self) -> float:
        """Power of the whole board."""
        return float(self._nvml.nvmlDeviceGetPowerUsage(self._gpu)) / 1e3

    def state(self) -> Mapping[str, object]:
        """Clocks in MHz, temperature in degrees Celsius, reasons for lower clocks as NVML's bits, memory in bytes."""
        nvml, gpu = self._nvml, self._gpu
        return {
            "sm_mhz": nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_SM),
            "memory_mhz": nvml.nvmlDeviceGetClockInfo(gpu, nvml.NVML_CLOCK_MEM),
            "celsius": nvml.nvmlDeviceGetTemperature(gpu, nvml.NVML_TEMPERATURE_GPU),
            "throttle_reasons": nvml.nvmlDeviceGetCurrentClocksThrottleReasons(gpu),
            "memory_used_bytes": nvml.nvmlDeviceGetMemoryInfo(gpu).used,
        }


class Ina3221Meter:
    """A Jetson's power monitor: millivolts and milliamperes of a rail, read from sysfs.

    Args:
        voltage: `inN_input`.
        current: `currN_input`.
        rail: the rail's label.
    """

    def __init__(self, voltage: Path, current: Path, rail: str) -> None:
        self.name = f"INA3221 {rail}"
        self._voltage, self._current = voltage, current

    def watts(self) -> float:
        """Power of the rail."""
        return int(self._voltage.read_text()) * int(self._current.read_text()) / 1e6

    def state(self) -> Mapping[str, object]:
        """Empty: each Jetson keeps these values in another place of sysfs. `tegrastats` shows them."""
        return {}


def open_meter(sysfs: Path = SYSFS) -> Meter | None:
    """The power meter of this machine; None if it has none."""
    rail = find_rail(sysfs)
    if rail is not None:
        return rail
    try:
        nvml = importlib.import_module("pynvml")
        return NvmlMeter(nvml)
    except Exception:  # not installed, no driver, or no GPU: NVML's errors have a class for each
        return None


def find_rail(sysfs: Path = SYSFS) -> Ina3221Meter | None:
    """The rail that feeds a Jetson module; None on other machines."""
    rails: dict[str, Ina3221Meter] = {}
    for monitor in sorted(sysfs.glob("hwmon*")):
        name = monitor / "name"
        if not name.is_file() or name.read_text().strip() != "ina3221":
            continue
        for label in sorted(monitor.glob("in*_label")):
            number = label.name.removeprefix("in").removesuffix("_label")
            voltage, current = monitor / f"in{number}_input", monitor / f"curr{number}_input"
            if voltage.is_file() and current.is_file():
                rail = label.read_text().strip()
                rails[rail] = Ina3221Meter(voltage, current, rail)
    return next((rails[rail] for rail in INPUT_RAILS if rail in rails), None)


def measure_energy(
    meter: Meter, run: Callable[[], object], seconds: float, *, idle_seconds: float = IDLE_SECONDS
) -> Energy:
    """Measure idle power, then power over at least `seconds` of runs."""
    idle, _ = _sampled(meter, lambda: time.sleep(idle_seconds))
    runs = 0

    def work() -> None:
        nonlocal runs
        started = time.perf_counter()
        while not runs or time.perf_counter() - started < seconds:
            run()
            runs += 1

    mean, took = _sampled(meter, work)
    return Energy(meter.name, idle, mean, mean * took / runs, dict(meter.state()))


def _sampled(meter: Meter, work: Callable[[], object]) -> tuple[float, float]:
    """Mean watts while `work` runs, and the seconds that it takes."""
    samples = [meter.watts()]
    done = threading.Event()

    def sample() -> None:
        while not done.wait(SAMPLE_SECONDS):
            samples.append(meter.watts())

    thread = threading.Thread(target=sample, daemon=True)
    started = time.perf_counter()
    thread.start()
    try:
        work()
    finally:
        took = time.perf_counter() - started
        done.set()
        thread.join()
    return sum(samples) / len(samples), took
