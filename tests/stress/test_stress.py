"""The stress test: its counts, and the output of its command."""

import json
import logging
import multiprocessing
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from concurrent_log.files.periods import Schedule
from concurrent_log.stress import sequence
from concurrent_log.stress.command import STANDARD
from concurrent_log.stress.sequence import Source
from concurrent_log.stress.tally import Tally, period_names, tally
from support.selection import first_quick

SOURCE = Source(1, 2)
FORMATTER = logging.Formatter(sequence.FORMAT, sequence.DATE_FORMAT)
NAMES = period_names(Schedule("S"), "%H-%M-%S")
NOON = time.mktime((2026, 11, 22, 12, 0, 0, 0, 0, -1))


def line(number: int, *, created: float = NOON + 0.5) -> bytes:
    """Return the line that a handler writes for a record."""
    record = logging.makeLogRecord(
        {
            "created": created,
            "msg": sequence.message(SOURCE, number),
            "levelname": logging.getLevelName(sequence.level(number)),
            "process": 7,
            "threadName": "thread-2",
            "module": "workload",
            "lineno": 3,
        }
    )
    return f"{FORMATTER.format(record)}\n".encode()


Count = Callable[..., Tally]


@pytest.fixture
def count(tmp_path: pathlib.Path) -> Count:
    """Return a function that counts the records of files with given contents."""

    def count(current: bytes = b"", expected: int = 0, interrupted: tuple[int, ...] = (), **backups: bytes) -> Tally:
        (tmp_path / "app.log").write_bytes(current)
        for name, content in backups.items():
            (tmp_path / f"app.log.{name.removeprefix('at_').replace('_', '-')}").write_bytes(content)
        return tally(
            str(tmp_path / "app.log"),
            {SOURCE: expected} if expected else {},
            interrupted=interrupted,
            period_name=NAMES,
        )

    return count


class TestTally:
    """The checks can fail: each kind of damage is found, and no other kind with it."""

    def test_whole_files_are_accepted(self, count: Count) -> None:
        """P1, P2: records in their own files, once and in order, are correct."""
        found = count(line(2, created=NOON + 1), 3, at_12_00_00=line(0) + line(1))

        assert found.ok
        assert (found.expected, found.found, found.files, found.rollovers, found.periods) == (3, 3, 2, 1, 2)

    def test_lost_record_is_counted(self, count: Count) -> None:
        """P1: a record that was logged and is in no file is lost."""
        found = count(line(0) + line(2), 3)

        assert (found.lost, found.ok) == (1, False)
        assert (found.duplicated, found.torn, found.misplaced, found.out_of_order, found.unknown) == (0, 0, 0, 0, 0)

    def test_duplicated_record_is_counted(self, count: Count) -> None:
        """P1: a record that occurs twice is duplicated, also in two files."""
        found = count(line(1), 2, at_12_00_00=line(0) + line(0) + line(1))

        assert (found.duplicated, found.ok) == (2, False)
        assert (found.lost, found.torn, found.misplaced, found.out_of_order, found.unknown) == (0, 0, 0, 0, 0)

    @pytest.mark.parametrize(
        "damaged",
        [
            line(1)[:-2] + b"\n",
            line(1)[1:],
            line(1)[:30] + line(1),
            line(1)[:-1] + line(1)[-20:],
            line(1).replace(b"info", b"wrong"),
            line(2).replace("警".encode(), "警".encode()[:2]),
            line(1)[:-1],
            b"\n",
            line(1).replace(b"12:00:00", b"12:00:01"),
        ],
        ids=[
            "end cut",
            "beginning cut",
            "half before",
            "glued",
            "altered",
            "half a character",
            "open",
            "empty",
            "time",
        ],
    )
    def test_torn_record_is_counted(self, damaged: bytes, count: Count) -> None:
        """P1: a line that is not exactly one whole record is torn."""
        found = count(line(0) + damaged, 1)

        assert (found.torn, found.ok) == (1, False)
        assert (found.lost, found.duplicated, found.misplaced, found.out_of_order, found.unknown) == (0, 0, 0, 0, 0)

    def test_misplaced_record_in_a_backup_is_counted(self, count: Count) -> None:
        """P2: a record in the backup of a different second is misplaced."""
        found = count(line(2, created=NOON + 2), 3, at_12_00_00=line(0) + line(1, created=NOON + 1))

        assert (found.misplaced, found.ok) == (1, False)
        assert (found.lost, found.duplicated, found.torn, found.out_of_order, found.unknown) == (0, 0, 0, 0, 0)

    def test_misplaced_record_in_the_current_file_is_counted(self, count: Count) -> None:
        """P2: a record in the current file that is older than the newest period is misplaced."""
        found = count(line(0) + line(1, created=NOON + 1), 2)

        assert (found.misplaced, found.ok) == (1, False)

    @pytest.mark.parametrize(("first", "second", "wrong"), [((0, 1), (2, 3), 0), ((2, 3), (0, 1), 2)])
    def test_two_backups_of_a_period_are_read_in_the_order_of_their_names(
        self, count: Count, first: tuple[int, int], second: tuple[int, int], wrong: int
    ) -> None:
        """P1: even if the second begins with an earlier record; an interrupted rollover leaves two."""
        late, early = NOON + 0.9, NOON + 0.1
        backups = {
            "at_12_00_00": line(first[0], created=late) + line(first[1], created=late),
            "at_12_00_00.0001": line(second[0], created=early) + line(second[1], created=early),
        }
        found = count(line(4, created=NOON + 1), 5, **backups)

        assert (found.out_of_order, found.lost, found.misplaced) == (wrong, 0, 0)

    def test_reordered_records_are_counted(self, count: Count) -> None:
        """P1: the records of one thread are in the order in which it logged them."""
        found = count(line(1) + line(0), 2)

        assert (found.out_of_order, found.ok) == (1, False)
        assert (found.lost, found.duplicated, found.torn, found.misplaced, found.unknown) == (0, 0, 0, 0, 0)

    def test_record_that_was_never_logged_is_counted(self, count: Count) -> None:
        """P1: a whole record beyond the count of a living writer is wrong."""
        found = count(line(0) + line(1), 1)

        assert (found.unknown, found.unacknowledged, found.ok) == (1, 0, False)

    def test_last_record_of_a_killed_writer_is_not_a_failure(self, count: Count) -> None:
        """P1: a killed writer may have written one record whose call did not return, and half of another."""
        found = count(line(0) + line(1) + line(2)[:20] + b"\n", 1, interrupted=(1,))

        assert (found.unacknowledged, found.torn, found.ok) == (1, 1, True)

    def test_two_unacknowledged_records_of_a_killed_thread_are_a_failure(self, count: Count) -> None:
        """P1: a thread logs one record at a time."""
        found = count(line(0) + line(1) + line(2), 1, interrupted=(1,))

        assert (found.unknown, found.ok) == (2, False)

    def test_more_torn_lines_than_killed_writers_are_a_failure(self, count: Count) -> None:
        """P1: only a killed writer may leave a torn line."""
        found = count(line(0) + line(1)[:20] + b"\n" + line(1)[:30] + b"\n", 1, interrupted=(1,))

        assert (found.torn, found.ok) == (2, False)


def command(tmp_path: pathlib.Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run the command as a user does."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "concurrent_log", "stress", *arguments],
        cwd=tmp_path,
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
    )


def as_json(run: "subprocess.CompletedProcess[str]") -> Any:
    """Return the parsed output of the command."""
    assert run.stderr == ""
    return json.loads(run.stdout)


@pytest.mark.parametrize("start_method", first_quick(multiprocessing.get_all_start_methods()))
def test_nothing_is_wrong_with_our_handler(start_method: str, tmp_path: pathlib.Path) -> None:
    """P1: the command finds every record, with every start method, and its exit status is 0."""
    run = command(tmp_path, "--json", "--records=999", "--processes=2", "--threads=3", f"--start-method={start_method}")
    result = as_json(run)

    assert run.returncode == 0
    assert result["ok"]
    assert result["runs"][0]["expected"] == result["runs"][0]["found"] == 999


def test_json_has_all_counts(tmp_path: pathlib.Path) -> None:
    """The names in the output are an interface."""
    result = as_json(command(tmp_path, "--json", "--records=10", "--processes=1", "--threads=1"))

    assert set(result) == {"ok", "runs"}
    assert sorted(result["runs"][0]) == [
        *("duplicated", "errors", "expected", "files", "found", "handler", "interrupted", "killed", "lost"),
        *("misplaced", "ok", "out_of_order", "periods", "records_per_second", "rollovers", "seconds", "torn"),
        *("unacknowledged", "unknown"),
    ]


def test_table_shows_that_nothing_is_wrong(tmp_path: pathlib.Path) -> None:
    """The verdict is visible at a glance."""
    run = command(tmp_path, "--records=500", "--processes=2", "--threads=2")

    assert run.returncode == 0
    assert "nothing is wrong" in run.stdout
    assert "500" in run.stdout


def test_handler_that_loses_records_fails(tmp_path: pathlib.Path) -> None:
    """With a handler that drops and duplicates records, the exit status is 1, and the table shows the damage."""
    (tmp_path / "careless.py").write_text(
        "import logging\n"
        "class Handler(logging.FileHandler):\n"
        "    def emit(self, record):\n"
        "        number = int(record.getMessage().split()[2])\n"
        "        for _ in range((1, 0, 2)[number % 3]):\n"
        "            super().emit(record)\n"
    )
    arguments = "--handler=careless.Handler", "--records=30", "--processes=1", "--threads=1"
    run = command(tmp_path, "--json", *arguments)
    table = command(tmp_path, *arguments)
    found = json.loads(run.stdout)["runs"][0]

    assert (run.returncode, found["ok"], found["lost"], found["duplicated"]) == (1, False, 10, 10)
    assert table.returncode == 1
    assert "lost records" in table.stdout


def test_reported_errors_are_counted(tmp_path: pathlib.Path) -> None:
    """P4: an error that a handler reports or raises appears once per record in the output."""
    (tmp_path / "careless.py").write_text(
        "import logging\n"
        "class Handler(logging.FileHandler):\n"
        "    def emit(self, record):\n"
        "        raise KeyError('let out')\n"
    )
    run = command(tmp_path, "--json", "--handler=careless.Handler", "--records=8", "--processes=1", "--threads=2")

    assert run.returncode == 1
    assert json.loads(run.stdout)["runs"][0]["errors"] == {"KeyError: 'let out'": 8}


@pytest.mark.slow
def test_compare_shows_the_standard_class_beside_ours(tmp_path: pathlib.Path) -> None:
    """P1: our handler loses nothing, and the exit status is that of our handler."""
    run = command(tmp_path, "--json", "--compare", "--records=40000", "--processes=4", "--threads=4")
    result = as_json(run)

    assert run.returncode == 0
    assert result["runs"][0]["handler"] == STANDARD
    assert result["runs"][-1]["handler"] == "concurrent_log.ConcurrentTimedRotatingFileHandler"
    assert result["runs"][-1]["lost"] == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_killed_workers_lose_no_acknowledged_record(tmp_path: pathlib.Path) -> None:
    """P1: killed workers are replaced, and the records whose calls returned are there."""
    run = command(tmp_path, "--json", "--kill=3", "--records=20000", "--processes=3", "--threads=3")
    result = as_json(run)["runs"][0]

    assert run.returncode == 0
    assert result["killed"] == 3
    assert result["interrupted"] >= 3
    assert result["found"] == 20000 == result["expected"]


def test_directory_keeps_the_files(tmp_path: pathlib.Path) -> None:
    """With --directory the log files stay, in a new folder there."""
    command(tmp_path, "--records=100", "--processes=1", "--threads=1", f"--directory={tmp_path}")
    (log_file,) = tmp_path.glob("stress-*/stress.log")

    assert log_file.stat().st_size > 0


def test_option_reaches_the_handler(tmp_path: pathlib.Path) -> None:
    """--option passes any argument, as a Python literal if it is one, otherwise as a string."""
    command(
        tmp_path,
        *("--records=10", "--processes=1", "--threads=1", f"--directory={tmp_path}"),
        *("--option=keep_file_open=False", f"--option=lock_file_directory={tmp_path}/locks"),
    )

    assert list((tmp_path / "locks").iterdir())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--processes=0"], "--processes: must be at least 1"),
        pytest.param(["--records=many"], "--records: must be a whole number, not 'many'", marks=pytest.mark.slow),
        pytest.param(["--start-method=thread"], "--start-method: invalid choice: 'thread'", marks=pytest.mark.slow),
        pytest.param(["--kill=-1"], "--kill: must be a whole number, not '-1'", marks=pytest.mark.slow),
        pytest.param(["--handler=missing.Handler"], "there is no handler missing.Handler", marks=pytest.mark.slow),
        (["--handler=logging.Missing"], "there is no handler logging.Missing"),
        pytest.param(["--when=never"], "when='never' is unknown", marks=pytest.mark.slow),
        pytest.param(["--option=nonsense"], "--option: must be NAME=VALUE, not 'nonsense'", marks=pytest.mark.slow),
        pytest.param(["--option=nonsense=1"], "unexpected keyword argument 'nonsense'", marks=pytest.mark.slow),
        (["--directory=missing"], "missing"),
    ],
)
def test_invalid_option_is_one_clear_line(arguments: list[str], says: str, tmp_path: pathlib.Path) -> None:
    """An invalid option ends the command with one line and exit status 2."""
    run = command(tmp_path, *arguments)

    assert (run.returncode, run.stdout) == (2, "")
    assert says in run.stderr
    assert run.stderr.count("\n") == 1


def _without_rich(tmp_path: pathlib.Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    program = "import sys; sys.modules['rich'] = None; from concurrent_log.__main__ import main; sys.exit(main())"
    return subprocess.run(
        [sys.executable, "-c", program, "stress", *arguments], cwd=tmp_path, capture_output=True, text=True
    )


def test_missing_rich_is_reported_with_the_remedy(tmp_path: pathlib.Path) -> None:
    """The install command refers to a checkout: on PyPI there is another package of our name."""
    run = _without_rich(tmp_path)

    assert run.returncode == 2
    assert "python -m pip install '.[stress]'" in run.stderr
    assert run.stderr.count("\n") == 1


def test_json_needs_no_rich(tmp_path: pathlib.Path) -> None:
    """--json needs only the dependencies of the package itself."""
    run = _without_rich(tmp_path, "--json", "--records=10", "--processes=1", "--threads=1", "--start-method=spawn")

    assert json.loads(run.stdout)["ok"]
