"""Packages that cannot be installed beside ours, because their import name is the same."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def folder_with(requirement: str) -> str:
    """Return a folder with ``requirement``, such as ``name==1.0``, installed in it; PyPI is asked once.

    Raises:
        OSError: It could not be installed; the message says why.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "concurrent_log-benchmarks"
    folder = cache / f"{requirement}-{sys.implementation.cache_tag}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as unfinished:
            target = Path(unfinished, "packages")
            _install(requirement, target)
            target.rename(folder)
    return str(folder)


def _install(requirement: str, target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target), requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"cannot install {requirement}: {done.stderr.strip()[-500:]}")
