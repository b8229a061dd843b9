"""The writer and its parts, each built and used alone: without a handler of `logging`, on real files."""

import ast
import functools
import gzip
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timezone
from typing import Any, NamedTuple

import pytest

import concurrent_log
from concurrent_log.files.backups import Backups
from concurrent_log.files.backups.dated import DatedBackups
from concurrent_log.files.backups.dated_names import DatedNames
from concurrent_log.files.backups.numbered import NumberedBackups
from concurrent_log.files.backups.timed import TimedBackups
from concurrent_log.files.compression import Compressor
from concurrent_log.files.dated_rollover import DatedRollover
from concurrent_log.files.late_records import LateRecords
from concurrent_log.files.lock_file import LockFile
from concurrent_log.files.log_file import LogFile
from concurrent_log.files.periods import Schedule
from concurrent_log.files.permissions import Ownership
from concurrent_log.files.problem_reports import ProblemReports
from concurrent_log.files.rollover import EVER, Mover, Rollover, SizedRollover, TimedRollover, publish
from concurrent_log.files.size_grants import SizeGrants
from concurrent_log.files.streams import open_stream
from concurrent_log.files.writer import LogWriter
from support.deadlines import DEADLINE
from support.processes import environment
from support.records import DAY, HOUR, TEN, all_lines, files, wait_until

_TIMEOUT = 5.0  # seconds for the lock
_PATTERN = "the pattern of the standard class"  # of the times in names


class _Record(NamedTuple):
    """All that a writer needs to know of a record."""

    created: float


class _Settings:
    """What a program may set on a handler."""

    def __init__(self, backup_count: int = 0, max_bytes: int = 0) -> None:
        self.suffix = "%Y-%m-%d_%H"
        self.extMatch: Any = _PATTERN
        self.backupCount = backup_count
        self.maxBytes = max_bytes


class _Hooks:
    """A program that overrides nothing, and counts what follows a rollover."""

    def __init__(self) -> None:
        self.tidied = 0

    def should_roll_over(self) -> Callable[[Any], object] | None:
        return None

    def do_rollover(self) -> Callable[[], object] | None:
        return None

    def opens_file(self) -> bool:
        return False

    def tidy(self, record: Any) -> list[Exception]:
        self.tidied += 1
        return []


def _log_file(path: pathlib.Path, keep_open: bool | None = None) -> LogFile:
    return LogFile(
        str(path), "utf-8", Ownership(), keep_open, lambda: open_stream(str(path), "utf-8", None), lambda: b"\n"
    )


def _current_log_file(folder: pathlib.Path) -> LogFile:
    """Return a log file whose path changes with each rollover."""
    log_file = LogFile(
        str(folder), "utf-8", Ownership(), None, lambda: open_stream(log_file.path, "utf-8", None), lambda: b"\n"
    )
    return log_file


def _lock_file(folder: pathlib.Path) -> LockFile:
    return LockFile(str(folder / ".__app.lock"))


def _schedule(when: str = "H") -> Schedule:
    return Schedule(when, zone=timezone.utc)


def _timed_backups(log_file: LogFile, settings: _Settings) -> TimedBackups:
    return TimedBackups(
        lambda: log_file.path,
        _schedule(),
        settings,
        lambda name: name,
        lambda: None,
        lambda: False,
        lambda: [],
        _PATTERN,
    )


def _numbered_backups(log_file: LogFile, count: int) -> NumberedBackups:
    return NumberedBackups(lambda: log_file.path, _Settings(count), lambda name: name)


class _Built(NamedTuple):
    writer: LogWriter
    hooks: _Hooks
    problems: list[BaseException]


def _assemble(log_file: LogFile, lock_file: LockFile, rollover: Rollover, backups: Backups, limit: int = 0) -> _Built:
    reported: list[BaseException] = []

    def handle_error(record: Any) -> None:
        error = sys.exc_info()[1]
        assert error is not None
        reported.append(error)

    grants = SizeGrants(log_file, lock_file, functools.partial(publish, lock_file, rollover), lambda: limit)
    late_records = LateRecords(log_file, lock_file, backups)
    hooks = _Hooks()
    writer = LogWriter(
        log_file, lock_file, rollover, grants, late_records, ProblemReports(handle_error), hooks, _TIMEOUT
    )
    return _Built(writer, hooks, reported)


def _timed_writer(folder: pathlib.Path, limit: int = 0) -> _Built:
    log_file, lock_file = _log_file(folder / "app.log"), _lock_file(folder)
    backups = _timed_backups(log_file, _Settings())
    schedule = _schedule()
    mover = Mover(log_file, backups, lambda: None, lambda moment: schedule.period(moment).start)
    return _assemble(log_file, lock_file, TimedRollover(schedule, mover, lambda: None), backups, limit)


def _sized_writer(folder: pathlib.Path, limit: int, count: int) -> _Built:
    log_file, lock_file = _log_file(folder / "app.log"), _lock_file(folder)
    backups = _numbered_backups(log_file, count)
    mover = Mover(log_file, backups, lambda: None, lambda moment: 0)
    return _assemble(log_file, lock_file, SizedRollover(mover), backups, limit)


def _dated_writer(folder: pathlib.Path, limit: int = 0) -> _Built:
    names = DatedNames(str(folder), "app", "UTC")
    rollover = DatedRollover(names, _schedule("midnight"))
    log_file, lock_file = _current_log_file(folder), _lock_file(folder)
    rollover.attach(log_file, lock_file)
    backups = DatedBackups(names, _Settings(max_bytes=limit), rollover.day_of, rollover.today)
    return _assemble(log_file, lock_file, rollover, backups, limit)


def _append(built: _Built, text: str, created: float) -> None:
    built.writer.append(_Record(created), f"{text}\n".encode())


def _close(built: _Built) -> None:
    built.writer.log_file.close()
    built.writer.close()


_PREPARE = """
import os, sys
from concurrent_log.files.lock_file import LockFile
lock_file = LockFile(os.path.abspath(".__app.lock"))
"""


def _start(folder: pathlib.Path, code: str) -> "subprocess.Popen[str]":
    """Run ``code`` in another process, in ``folder``; ``lock_file`` is that of the log file."""
    return subprocess.Popen(
        [sys.executable, "-c", _PREPARE + code],
        cwd=folder,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


_HOLD = """
with lock_file.hold(exclusive={exclusive}, timeout=5) as problem:
    print(problem, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    "name",
    [
        *("writer", "log_file", "lock_file", "rollover", "dated_rollover", "periods", "size_grants", "late_records"),
        *("problem_reports", "rename", "shared_state", "streams", "torn_records", "view", "gzip_members"),
        *("backups/__init__", "backups/timed", "backups/numbered", "backups/dated"),
    ],
)
def test_part_does_not_know_logging(name: str) -> None:
    """The parts of a writer import nothing of `logging`: only the adapter and its caches know records."""
    path = pathlib.Path(concurrent_log.__file__).parent / "files" / f"{name}.py"
    imported = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            imported.add(node.module.split(".")[0])

    assert "logging" not in imported


# The writer, with each policy


def test_timed_writer_begins_a_file_with_each_period(tmp_path: pathlib.Path) -> None:
    """Records of two hours stand in two files, and one rollover is followed by one tidying (P2, P3)."""
    built = _timed_writer(tmp_path)
    _append(built, "ten", TEN)
    _append(built, "ten again", TEN + 1)
    _append(built, "eleven", TEN + HOUR)
    _close(built)

    assert files(tmp_path) == {"app.log.2024-05-17_10": ["ten", "ten again"], "app.log": ["eleven"]}
    assert built.hooks.tidied == 1
    assert built.problems == []


def test_timed_writer_appends_late_records_to_their_backup(tmp_path: pathlib.Path) -> None:
    """A record of an earlier hour goes to the backup of that hour, which another writer made (P2)."""
    first, second = _timed_writer(tmp_path), _timed_writer(tmp_path)
    _append(second, "ten", TEN)
    _append(first, "eleven", TEN + HOUR)
    _append(second, "late", TEN + 2)
    for each in (first, second):
        _close(each)

    assert files(tmp_path) == {"app.log.2024-05-17_10": ["ten", "late"], "app.log": ["eleven"]}
    assert first.problems + second.problems == []


def test_sized_writer_keeps_each_file_below_the_limit(tmp_path: pathlib.Path) -> None:
    """Twenty records of ten bytes, at most 40 bytes a file: none reaches the limit, and the numbers are in order."""
    built = _sized_writer(tmp_path, 40, 10)
    for number in range(20):
        _append(built, f"record {number:02}", time.time())
    _close(built)

    found = files(tmp_path)
    assert all((tmp_path / name).stat().st_size < 40 for name in found)
    ordered = ["app.log", *(f"app.log.{number}" for number in range(1, len(found)))]
    assert [line for name in reversed(ordered) for line in found[name]] == [f"record {n:02}" for n in range(20)]
    assert built.problems == []


def test_dated_writer_begins_a_file_of_the_next_name(tmp_path: pathlib.Path) -> None:
    """Records of two days stand in files that are named after the days."""
    built = _dated_writer(tmp_path)
    today = time.time()
    yesterday = today - DAY
    _append(built, "yesterday", yesterday)
    _append(built, "today", today)
    _close(built)

    days = [time.strftime("%Y-%m-%d", time.gmtime(moment)) for moment in (yesterday, today)]
    assert files(tmp_path) == {
        f"app_{days[0]}_001_UTC.log": ["yesterday"],
        f"app_{days[1]}_001_UTC.log": ["today"],
    }
    assert built.problems == []


def test_writer_rolls_over_on_demand(tmp_path: pathlib.Path) -> None:
    """`roll_over` moves the file aside; an empty file stays."""
    built = _timed_writer(tmp_path)
    problems: list[Exception] = []
    built.writer.roll_over(_Record(TEN), problems)
    _append(built, "ten", TEN)
    built.writer.roll_over(_Record(TEN), problems)
    built.writer.roll_over(_Record(TEN), problems)
    _close(built)

    assert problems == []
    assert files(tmp_path) == {"app.log": [], "app.log.2024-05-17_10": ["ten"]}


def test_writer_says_whether_a_record_would_roll_the_file_over(tmp_path: pathlib.Path) -> None:
    """`should_roll_over` looks at the period and at the size, and changes nothing."""
    built = _timed_writer(tmp_path, 100)
    _append(built, "ten", TEN)

    assert not built.writer.should_roll_over(_Record(TEN + 1), 10)
    assert built.writer.should_roll_over(_Record(TEN + HOUR), 10)
    assert built.writer.should_roll_over(_Record(TEN + 1), 96)
    assert files(tmp_path) == {"app.log": ["ten"]}
    _close(built)


def test_writer_appends_many_records_at_once(tmp_path: pathlib.Path) -> None:
    """`append_joined` writes many records with one write, and writes nothing where the file must roll over first."""
    built = _timed_writer(tmp_path)
    _append(built, "first", TEN)
    data = b"second\nthird\n"

    assert built.writer.append_joined(_Record(TEN), data)[0] == len(data)
    assert built.writer.append_joined(_Record(TEN + HOUR), data) == (0, 0)
    assert files(tmp_path) == {"app.log": ["first", "second", "third"]}
    _close(built)


def test_writer_goes_on_without_the_lock_that_another_process_holds(tmp_path: pathlib.Path) -> None:
    """The lock is not to be had: the record is written to the current file, and the cause is reported once (P4)."""
    built = _timed_writer(tmp_path)
    _append(built, "ten", TEN)
    built.writer._lock_timeout = 0.01
    with _start(tmp_path, _HOLD.format(exclusive=True)) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "None\n"
        _append(built, "eleven", TEN + HOUR)
        _append(built, "eleven again", TEN + HOUR)
        other.communicate(timeout=DEADLINE)
    _append(built, "twelve", TEN + 2 * HOUR)
    _close(built)

    assert [type(problem) for problem in built.problems] == [TimeoutError]
    assert files(tmp_path) == {"app.log.2024-05-17_10": ["ten", "eleven", "eleven again"], "app.log": ["twelve"]}


def test_writer_follows_another_process(tmp_path: pathlib.Path) -> None:
    """Another process moves the file aside and publishes that: the next record goes to the new file."""
    built = _timed_writer(tmp_path)
    now = time.time()
    _append(built, "first", now)
    code = "with lock_file.hold(exclusive=True, timeout=5):\n    os.rename('app.log', 'app.log.moved')\n"
    with _start(tmp_path, code) as other:
        other.communicate(timeout=DEADLINE)
    _append(built, "second", now)
    _close(built)

    assert files(tmp_path) == {"app.log.moved": ["first"], "app.log": ["second"]}
    assert built.problems == []


# The log file


def test_log_file_opens_creates_and_closes(tmp_path: pathlib.Path) -> None:
    """The folder is created, the file opened; closing leaves no stream."""
    log_file = _log_file(tmp_path / "folder" / "app.log")
    found = log_file.bring_up_to_date([])
    log_file.stream.write("text\n")
    log_file.close()

    assert found is not None
    assert log_file.stream is None
    assert files(tmp_path / "folder") == {"app.log": ["text"]}


def test_log_file_follows_its_path(tmp_path: pathlib.Path) -> None:
    """The file at the path is another one now: it is opened instead, with the mode of the one before."""
    path = tmp_path / "app.log"
    log_file = _log_file(path)
    log_file.bring_up_to_date([])
    path.chmod(0o640)
    path.rename(tmp_path / "moved")
    found = log_file.bring_up_to_date([])
    log_file.close()

    assert found is not None
    assert os.path.samestat(found, path.stat())
    assert path.stat().st_mode & 0o777 == 0o640


def test_log_file_leaves_a_number_that_is_another_file(tmp_path: pathlib.Path) -> None:
    """The program closed the descriptor and opened a file of its own: that one stays open and empty."""
    log_file = _log_file(tmp_path / "app.log")
    log_file.bring_up_to_date([])
    fd = log_file.stream.fileno()
    theirs = os.open(tmp_path / "theirs", os.O_WRONLY | os.O_CREAT)
    os.dup2(theirs, fd)
    os.close(theirs)
    log_file.bring_up_to_date([])
    log_file.stream.write("text\n")
    log_file.close()

    assert os.fstat(fd).st_size == 0
    assert (tmp_path / "app.log").read_text() == "text\n"
    os.close(fd)


def test_log_file_ends_a_torn_record(tmp_path: pathlib.Path) -> None:
    """A part of a record before a page boundary gets a line end, so that the next record stands alone."""
    path = tmp_path / "app.log"
    path.write_bytes(b"x" * 4096)
    log_file = _log_file(path)
    log_file.bring_up_to_date([])
    log_file.write(log_file.stream.buffer, b"whole\n")
    log_file.close()

    assert path.read_bytes() == b"x" * 4095 + b"\nwhole\n"


# The lock file


@pytest.mark.parametrize(
    ("ours", "theirs", "excludes"),
    [(True, True, True), (True, False, True), (False, True, True), (False, False, False)],
)
def test_lock_excludes_another_process(tmp_path: pathlib.Path, ours: bool, theirs: bool, excludes: bool) -> None:
    """Two shared locks go together; the exclusive one goes with no other."""
    lock_file = _lock_file(tmp_path)
    with _start(tmp_path, _HOLD.format(exclusive=theirs)) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "None\n"
        with lock_file.hold(exclusive=ours, timeout=0.01) as problem:
            assert isinstance(problem, TimeoutError) == excludes
        other.communicate(timeout=DEADLINE)
    with lock_file.hold(exclusive=ours, timeout=_TIMEOUT) as problem:
        assert problem is None
    lock_file.close()


def test_lock_is_free_after_its_holder_was_killed(tmp_path: pathlib.Path) -> None:
    """A process is killed while it holds the lock: the next one gets it."""
    lock_file = _lock_file(tmp_path)
    with _start(tmp_path, _HOLD.format(exclusive=True)) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "None\n"
        other.kill()
        other.wait(DEADLINE)
        with lock_file.hold(exclusive=True, timeout=_TIMEOUT) as problem:
            assert problem is None
    lock_file.close()


def test_state_that_another_process_published_is_read(tmp_path: pathlib.Path) -> None:
    """The state comes through the file: a generation, a start and the inode of the log file."""
    code = (
        "open('app.log', 'w').close()\n"
        "with lock_file.hold(exclusive=True, timeout=5):\n"
        "    state, _ = lock_file.publish(1000, os.stat('app.log'))\n"
        "    print(state.generation, state.inode)\n"
    )
    with _start(tmp_path, code) as other:
        output = other.communicate(timeout=DEADLINE)[0]
    lock_file = _lock_file(tmp_path)
    with lock_file.hold(exclusive=True, timeout=_TIMEOUT):
        state, _ = lock_file.publish(2000, (tmp_path / "app.log").stat())
    lock_file.close()

    generation, inode = map(int, output.split())
    assert (state.generation, state.start, state.inode) == (generation + 1, 2000, inode)


# The policies


def test_timed_policy_computes_periods_and_an_end_that_is_set(tmp_path: pathlib.Path) -> None:
    """The period of the file, and once an end that the program set."""
    log_file = _log_file(tmp_path / "app.log")
    policy = TimedRollover(
        _schedule(), Mover(log_file, _timed_backups(log_file, _Settings()), lambda: None, int), lambda: None
    )
    start = policy.start_of(TEN + 5)

    assert policy.span(start) == (TEN, TEN + HOUR)
    policy.force_end(TEN + 6)
    assert policy.span(start) == (TEN, TEN + 6)
    policy.begun()
    assert policy.span(start) == (TEN, TEN + HOUR)


def test_mover_moves_the_file_aside_and_opens_a_new_one(tmp_path: pathlib.Path) -> None:
    """The backup has the content, the new file the mode; an empty file is not moved."""
    path = tmp_path / "app.log"
    log_file = _log_file(path)
    mover = Mover(log_file, _numbered_backups(log_file, 3), lambda: None, lambda moment: 0)
    found = log_file.bring_up_to_date([])
    assert found is not None
    assert not mover.begin(0, found)
    log_file.stream.write("text\n")
    path.chmod(0o604)

    assert mover.begin(0, path.stat())
    assert files(tmp_path) == {"app.log": [], "app.log.1": ["text"]}
    assert path.stat().st_mode & 0o777 == 0o604
    log_file.close()


def test_mover_continues_in_the_file_when_the_program_s_rotator_fails(tmp_path: pathlib.Path) -> None:
    """The file gets its name back, and stays open (P4)."""
    log_file = _log_file(tmp_path / "app.log")

    def rotator(source: str, destination: str) -> None:
        raise OSError("no room")

    mover = Mover(log_file, _numbered_backups(log_file, 3), lambda: rotator, lambda moment: 0)
    log_file.bring_up_to_date([])
    log_file.stream.write("text\n")
    with pytest.raises(OSError, match="no room"):
        mover.begin(0, (tmp_path / "app.log").stat())
    log_file.stream.write("more\n")
    log_file.close()

    assert files(tmp_path) == {"app.log": ["text", "more"]}


def test_sized_policy_knows_no_period(tmp_path: pathlib.Path) -> None:
    """Every record fits, whenever it was created."""
    log_file = _log_file(tmp_path / "app.log")
    policy = SizedRollover(Mover(log_file, _numbered_backups(log_file, 1), lambda: None, lambda moment: 0))

    assert policy.span(policy.start_of(TEN)) == EVER


def test_dated_policy_continues_in_the_newest_file(tmp_path: pathlib.Path) -> None:
    """The names in the folder say which file is the current one, and which comes next."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    for number in (1, 2):
        (tmp_path / f"app_{today}_00{number}_UTC.log").write_text("text\n")
    policy = DatedRollover(DatedNames(str(tmp_path), "app", "UTC"), _schedule("midnight"))

    assert policy.path == str(tmp_path / f"app_{today}_002_UTC.log")
    assert policy.next_path(policy.start) == str(tmp_path / f"app_{today}_003_UTC.log")


# Backups, grants, compression


def test_all_backups_have_one_protocol(tmp_path: pathlib.Path) -> None:
    """Timed, numbered and dated backups answer the same questions with paths, oldest first."""
    today = time.strftime("%Y-%m-%d", time.gmtime())
    older = ["app.log.2024-05-17_09", "app.log.2", "app_2024-05-16_001_UTC.log"]
    newer = ["app.log.2024-05-17_10", "app.log.1", "app_2024-05-17_001_UTC.log"]
    for name in (*older, *newer, "app.log", f"app_{today}_001_UTC.log"):
        (tmp_path / name).write_text("text\n")
    log_file = _log_file(tmp_path / "app.log")
    names = DatedNames(str(tmp_path), "app", "UTC")
    policy = DatedRollover(names, _schedule("midnight"))
    dated: Backups = DatedBackups(names, _Settings(1), policy.day_of, policy.today)
    timed = _timed_backups(log_file, _Settings(1))
    numbered: Backups = _numbered_backups(log_file, 1)

    assert timed.existing() == [str(tmp_path / older[0]), str(tmp_path / newer[0])]
    assert timed.outlived() == [str(tmp_path / older[0])]
    assert numbered.existing() == [str(tmp_path / older[1]), str(tmp_path / newer[1])]
    assert numbered.expired() == [str(tmp_path / older[1])]
    assert dated.existing()[:2] == [str(tmp_path / older[2]), str(tmp_path / newer[2])]
    assert dated.expired() == [str(tmp_path / older[2])]


def test_grants_of_two_writers_stay_below_the_limit(tmp_path: pathlib.Path) -> None:
    """Two writers ask in turn for as long as they get something: the sum of all grants stays below the limit."""
    lock_file, log_files = _lock_file(tmp_path), [_log_file(tmp_path / "app.log") for _ in range(2)]
    writers = [
        SizeGrants(log_file, lock_file, lambda start, found: lock_file.publish(start, found), lambda: 1000)
        for log_file in log_files
    ]
    spent = 0
    with lock_file.hold(exclusive=True, timeout=_TIMEOUT):
        for log_file in log_files:
            found = log_file.bring_up_to_date([])
        assert found is not None
        content = lock_file.publish(0, found)[1]
        for _ in range(30):
            for grants in writers:
                if grants.reserve_beside_others(content, found, 10):
                    while grants.spend(10):
                        spent += 10
    lock_file.close()
    for log_file in log_files:
        log_file.close()

    assert 500 < spent < 1000


def test_compressor_packs_backups_and_reports(tmp_path: pathlib.Path) -> None:
    """Backups become ``.gz`` with the same content; the report has no problem."""
    backups = [tmp_path / "app.log.1", tmp_path / "app.log.2"]
    for backup in backups:
        backup.write_text(f"text of {backup.name}\n")
    reports: list[list[Exception]] = []
    compressor = Compressor(str(tmp_path / ".__app.lock"), lambda path: pathlib.Path(path).touch())
    compressor.start(lambda: [str(path) for path in sorted(tmp_path.glob("app.log.*"))], reports.append)
    wait_until(lambda: bool(reports))

    assert reports == [[]]
    assert not any(backup.exists() for backup in backups)
    for backup in backups:
        with gzip.open(f"{backup}.gz", "rt") as packed:
            assert packed.read() == f"text of {backup.name}\n"


def test_late_records_have_a_backup_of_their_own_where_none_is(tmp_path: pathlib.Path) -> None:
    """The first record of a past period creates the backup; the next one is appended to it."""
    log_file, lock_file = _log_file(tmp_path / "app.log"), _lock_file(tmp_path)
    late_records = LateRecords(log_file, lock_file, _timed_backups(log_file, _Settings()))
    with lock_file.hold(exclusive=True, timeout=_TIMEOUT):
        assert late_records.append(TEN, b"first\n", []) == (True, None)
        assert late_records.append(TEN + 1, b"second\n", []) == (True, None)
    lock_file.close()

    assert late_records.has_new_backup
    assert all_lines(tmp_path) == ["first", "second"]
    assert [path.name for path in tmp_path.glob("app*")] == ["app.log.2024-05-17_10"]


def test_problem_reports_name_each_cause_once_until_it_is_gone() -> None:
    """A cause that persists is reported once; after a success it is reported again (P4)."""
    seen: list[str] = []
    reports = ProblemReports(lambda record: seen.append(type(sys.exc_info()[1]).__name__))
    for problems in ([OSError(28, "full")], [OSError(28, "full")], [], [OSError(28, "full")]):
        reports.report("append", None, list(problems))

    assert seen == ["OSError", "OSError"]
