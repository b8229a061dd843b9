"""A program written for the monitor, settings and loggers of another package, with only its imports changed."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from support.deadlines import DEADLINE
from support.paths import PROGRAMS
from support.records import all_lines

_PROGRAM = PROGRAMS / "core_service.py"


@pytest.mark.parametrize(
    ("checks", "found"),
    [
        ("3", r"payments: ServiceStatus.DEGRADED, 1, payments do not work"),
        ("4", r"payments: ServiceStatus.HEALTHY, 0, None"),
    ],
)
def test_program_runs_with_only_its_imports_changed(tmp_path: pathlib.Path, checks: str, found: str) -> None:
    """Its monitor subclass, the attributes that it reads and sets, its arguments and its log file work unchanged."""
    command = [sys.executable, "-W", "error", str(_PROGRAM), "logLevel=DEBUG", "app_env=LOCAL", checks]
    environment = {key: value for key, value in os.environ.items() if key not in ("APP_ENV", "LOG_LEVEL")}
    subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=DEADLINE)

    first, second = all_lines(tmp_path / "logs")
    assert first.endswith("log level: DEBUG, environment: LOCAL")
    assert re.search(found, second)
