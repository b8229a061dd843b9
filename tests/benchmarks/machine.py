"""The machine that the measurements ran on."""

import os
import platform
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PACKAGES = ("portalocker", "concurrent-log-handler", "loguru")


def describe(directory: str | None = None) -> dict[str, str]:
    """Return what a reader needs to judge the figures; ``directory`` is where the log files lie."""
    return {
        "CPU": _cpu(),
        "cores": str(os.cpu_count()),
        "kernel": f"{platform.system()} {platform.release()}",
        "file system": _file_system(directory or tempfile.gettempdir()),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        **{name: _version(name) for name in _PACKAGES},
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _file_system(directory: str) -> str:
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    path = Path(directory).resolve()
    around = [(len(point), kind) for _, point, kind, *_ in mounts if path.is_relative_to(point)]
    # Of two mounts on one point, the later one hides the earlier.
    return max(reversed(around), key=lambda mount: mount[0])[1] if around else "unknown"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
