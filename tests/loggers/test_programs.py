"""The ready-made loggers in whole programs."""

import os
import pathlib
import re
import subprocess
import sys
from collections import Counter

import pytest

import concurrent_log.loggers
from support.logger_files import in_files
from support.paths import PROGRAMS
from support.records import lines

_QUICK_COMBINATIONS = [("fork", "thread"), ("spawn", "process")]  # the full selection has all
_TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def run(program: str, *arguments: str, folder: pathlib.Path) -> subprocess.CompletedProcess[str]:
    """Run a program in ``folder``, with warnings as errors, and wait for its exit."""
    command = [sys.executable, "-W", "error", str(PROGRAMS / program), *arguments]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, encoding="utf-8", check=True)


def test_public_names_are_pinned() -> None:
    """P6: adding or removing a public name requires a change of this list."""
    assert concurrent_log.loggers.__all__ == [
        "AsyncLoggerCore",
        "AsyncQueueHandler",
        "ConsoleLogger",
        "FileLogger",
        "LogLevel",
        "Logger",
        "LoggerInterface",
        "LoggerManager",
        "LoggerStats",
        "get_logger",
        "register_logger",
        "shutdown_all_loggers",
        "unregister_logger",
    ]


def test_named_loggers(tmp_path: pathlib.Path) -> None:
    """Each logger has a file for all records and one for errors, and all records are on the console."""
    done = run("named_loggers.py", folder=tmp_path)
    errors = ["에러 발생", "예외 발생!"]

    assert in_files(tmp_path / "logs") == {
        "module1/module1.log": ["모듈1 로그"],
        "module1/module1_error.log": [],
        "module2/module2.log": ["모듈2 로그"],
        "module2/module2_error.log": [],
        "myapp.log": ["애플리케이션 시작", "경고 메시지", *errors],
        "myapp_error.log": errors,
    }
    assert lines(tmp_path / "logs/myapp_error.log")[-1] == "ZeroDivisionError: division by zero"
    output = done.stdout.splitlines()
    assert output[0] == "로거가 이미 등록되어 있습니다"
    assert [line.partition(":")[0] for line in output[1:]] == ["myapp", "module1", "module2"]
    assert all("level='INFO'" in line and "dropped=0" in line for line in output[1:])
    assert sorted(re.findall(r"\[named_loggers\.py:\d+\] (.*)", done.stderr)) == sorted(
        ["애플리케이션 시작", "경고 메시지", *errors, "모듈1 로그", "모듈2 로그"]
    )


def test_logger_created_directly(tmp_path: pathlib.Path) -> None:
    """P1: the exit of the program writes all queued records."""
    done = run("manual_logger.py", folder=tmp_path)

    assert in_files(tmp_path / "logs") == {
        "app.log": ["함수 안에서"],
        "app_error.log": [],
        "custom/custom.log": ["디버그 로그"],
        "custom/custom_error.log": [],
    }
    (console_line,) = [line for line in done.stderr.splitlines() if " app - " in line]
    assert re.fullmatch(rf"{_TIME} \[INFO    \] app - \[manual_logger\.py:33\] 함수 안에서", console_line)
    path = re.escape(str(PROGRAMS / "manual_logger.py"))
    file_line = rf"{_TIME} \[INFO    \] app - \[{path}:33 in main\(\)\] - 함수 안에서"
    assert re.fullmatch(file_line, lines(tmp_path / "logs/app.log")[0])


def test_one_logger_for_an_application(tmp_path: pathlib.Path) -> None:
    """`Logger` does nothing before `init`; after it, its records have the file and line of the caller."""
    done = run("one_logger.py", folder=tmp_path)
    (file,) = (tmp_path / "logs").glob("base_web_server_*_001_KST.log")
    output = done.stdout.splitlines()

    assert in_files(tmp_path) == {
        f"logs/{file.name}": ["운영 로그 기록", "경고 메시지", "오류 로그", "로거가 정상 동작 중", "보임"],
        output[1].partition(f"{tmp_path}/")[2]: [],
    }
    first = rf"{_TIME} \[INFO    \] base_web_server - \[.*one_logger\.py:27 in <module>\(\)\] - 운영 로그 기록"
    assert re.fullmatch(first, lines(file)[0])
    assert output[0] == "로거가 초기화되지 않음"
    assert re.fullmatch(rf"현재 로그 파일: {re.escape(str(tmp_path))}/logs/test_.*_001_UTC\.log", output[1])
    assert output[2:4] == [f"로그 디렉토리: {tmp_path}/logs", "최대 파일 크기: 1048576 bytes"]
    assert output[4].endswith("_002_UTC.log")
    assert len(done.stderr.splitlines()) == 3 + 5


@pytest.mark.parametrize(
    ("method", "worker"),
    [
        pytest.param(method, worker, marks=() if (method, worker) in _QUICK_COMBINATIONS else pytest.mark.slow)
        for method in ("fork", "spawn", "forkserver")
        for worker in ("thread", "process")
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="has only spawn")
def test_processes_share_the_files(tmp_path: pathlib.Path, method: str, worker: str) -> None:
    """P1: each record of each process is there once, and all files stay below their maximum size."""
    run("pool_of_loggers.py", method, worker, folder=tmp_path)
    tasks = [*range(8), *([100] if method == "fork" else [])]
    expected = Counter(f"{task}-{number}" for task in tasks for number in range(100))
    errors = Counter(f"{task}-{-number}" for task in tasks for number in (0, 50))
    found: dict[str, Counter[str]] = {"pool.log": Counter(), "pool_error.log": Counter(), "Pool_": Counter()}
    for path in [*(tmp_path / "logs").iterdir(), *(tmp_path / "log").iterdir()]:
        for name, count in found.items():
            if path.name.startswith(name):
                count.update(line.rpartition(" - ")[2] for line in lines(path))

    assert found["pool.log"] == expected + errors
    assert found["pool_error.log"] == errors
    assert found["Pool_"] == expected
    assert all(path.stat().st_size < 5120 for path in (tmp_path / "log").glob("Pool*"))
    assert all(path.stat().st_size < 5000 for path in (tmp_path / "logs").glob("pool*"))


def test_import_loads_no_extra_and_starts_no_thread(tmp_path: pathlib.Path) -> None:
    """The same is true for creating loggers."""
    program = (
        "import sys, threading\n"
        "from concurrent_log.loggers import ConsoleLogger, FileLogger, get_logger\n"
        "get_logger('light'), FileLogger(), ConsoleLogger()\n"
        "assert threading.active_count() == 1\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    )
    command = [sys.executable, "-I", "-c", program]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert "portalocker" in done.stdout.split()
    assert not {"rich", "colorama", "pytest"} & set(done.stdout.split())
