"""Dated files of many processes: every record is counted, with forks, killed processes and outside changes.

A fast clock, the same one in all processes, passes midnight in Korea.
"""

import calendar
import contextlib
import functools
import gc
import logging
import multiprocessing
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

import pytest

from concurrent_log.dated import DatedFileHandler, zone_of
from concurrent_log.stress.workload import Ledger
from support.fault_injection import Calls, watched_calls
from support.records import DAY, WatchedByDay, all_lines, files, wait_until, write
from support.selection import SHARED_FIRST, first_quick

pytestmark = [
    # A fork with live threads is one of the cases under test, and pytest-xdist has a thread of its own.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="sends signals and forks"),
]

FAST = 600  # speed of the clock: ten minutes per second
MIDNIGHT = calendar.timegm((2025, 1, 20, 15, 0, 0))  # in Korea, the beginning of 2025-01-21
LIMIT = 5000

_KST = zone_of("KST")
_NAME = re.compile(r"(.+)_(\d{4}-\d\d-\d\d)_(\d{3,})_KST\.log")
_LINE = re.compile(r"(\d+\.\d+) (\S+) (\d+) (x*)")
_real_time = time.time


class FastClock(NamedTuple):
    """A clock that shows ``begin`` at the real time ``real``, and then runs fast."""

    begin: float
    real: float

    def time(self) -> float:
        """Return the time of the clock."""
        return self.begin + (_real_time() - self.real) * FAST

    def set(self) -> None:
        """Use it as the clock of this process."""
        time.time = self.time
        time.time_ns = lambda: int(self.time() * 1e9)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FastClock:
    """Return a clock that shows five minutes before midnight, half a second away; this process uses it, too."""
    clock = FastClock(MIDNIGHT - 300, _real_time())
    monkeypatch.setattr(time, "time", clock.time)
    monkeypatch.setattr(time, "time_ns", time.time_ns)
    clock.set()
    return clock


class Entry(NamedTuple):
    """One record and its file."""

    created: float
    source: str
    number: int
    file: pathlib.Path


def read_back(folder: pathlib.Path, torn: int = 0) -> list[Entry]:
    """Return the records in the order of the files; fail if one is in the file of another day.

    Up to ``torn`` lines may be part of a record, which a killed process left.
    """
    found, pieces = [], []
    for path in sorted(folder.glob("*_KST.log"), key=_order):
        for line in path.read_bytes().split(b"\n"):
            match = _LINE.fullmatch(line.decode())
            if match is None or len(match[4]) != int(match[3]) % 90:
                pieces += [line] * bool(line)
                continue
            found.append(Entry(float(match[1]), match[2], int(match[3]), path))
    assert len(pieces) <= torn, pieces
    days = {(entry.file.name, datetime.fromtimestamp(entry.created, _KST).date().isoformat()) for entry in found}
    assert [(name, day) for name, day in days if day not in name] == []
    return found


def _order(path: pathlib.Path) -> tuple[str, str, int]:
    match = _NAME.fullmatch(path.name)
    assert match is not None, path
    return match[1], match[2], int(match[3])


def assert_sizes(folder: pathlib.Path, limit: int = LIMIT) -> None:
    """Check that the numbers of each day have no gap, and that each file but the last one of its day is full."""
    paths = sorted(folder.glob("*_KST.log"), key=_order)
    for path, following in zip(paths, [*paths[1:], None], strict=True):
        prefix, day, number = _order(path)
        is_last = following is None or _order(following)[:2] != (prefix, day)
        assert path.stat().st_size < limit, path
        assert is_last or path.stat().st_size > limit - 300, path
        assert is_last or (following and _order(following)[2] == number + 1), path


def assert_exactly_once(found: list[Entry], counts: dict[str, int], interrupted: set[str] = frozenset()) -> None:  # type: ignore[assignment]
    """Check that each source's records are there once; an ``interrupted`` one may have written one more."""
    seen = Counter((entry.source, entry.number) for entry in found)
    expected = {(source, number) for source, count in counts.items() for number in range(count)}
    possible = expected | {(source, counts[source]) for source in interrupted}

    assert sorted(expected - set(seen))[:5] == []
    assert sorted(set(seen) - possible)[:5] == []
    assert [key for key, times in seen.items() if times > 1][:5] == []


def _handler(folder: str, prefix: str = "App", limit: int = LIMIT, **options: Any) -> DatedFileHandler:
    handler = DatedFileHandler(folder, prefix, "KST", limit, **options)
    handler.setFormatter(logging.Formatter("%(created)r %(message)s"))
    return handler


def _log(handler: logging.Handler, source: str, number: int, late: float = 0) -> None:
    """Log a record that was created this many seconds ago."""
    text = f"{source} {number} " + "x" * (number % 90)
    record = logging.LogRecord("test", logging.INFO, __file__, 1, text, None, None)
    record.created -= late
    handler.handle(record)


# Pools and threads


def _work(folder: str, clock: FastClock, prefix: str, options: dict[str, Any], task: int) -> None:
    """Log 400 records in each of two threads; the fast clock starts when the first process is ready."""
    begun = pathlib.Path(folder, ".begun")
    with contextlib.suppress(FileExistsError):
        begun.touch(exist_ok=False)
    clock._replace(real=begun.stat().st_mtime).set()
    handler = _handler(folder, prefix, **options)
    threads = [threading.Thread(target=_log_many, args=(handler, f"{task}-{n}", 400)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    handler.close()


def _log_many(handler: logging.Handler, source: str, count: int) -> None:
    for number in range(count):
        _log(handler, source, number)
        time.sleep(0.0005)  # so that they continue past midnight


@SHARED_FIRST
@pytest.mark.parametrize("method", first_quick(multiprocessing.get_all_start_methods()))
def test_pool_of_processes_shares_the_files(
    clock: FastClock, tmp_path: pathlib.Path, method: str, keep_file_open: bool | None
) -> None:
    """P1, P2, P3: each record is there once, in a file of its day, and no file reaches the limit."""
    work = functools.partial(_work, str(tmp_path), clock, "App", {"keep_file_open": keep_file_open})
    with ProcessPoolExecutor(4, mp_context=multiprocessing.get_context(method)) as pool:
        list(pool.map(work, range(12)))

    found = read_back(tmp_path)
    assert_exactly_once(found, {f"{task}-{thread}": 400 for task in range(12) for thread in range(2)})
    assert_sizes(tmp_path)
    assert len({_order(entry.file)[1] for entry in found}) >= 2


def test_two_programs_share_a_folder(clock: FastClock, tmp_path: pathlib.Path) -> None:
    """P3: the files of each prefix are complete, also if one prefix is the beginning of the other."""
    context = multiprocessing.get_context("fork")
    programs = [
        context.Process(target=_work, args=(str(tmp_path), clock, prefix, {}, task))
        for task, prefix in enumerate(["App", "App_2"] * 2)
    ]
    for program in programs:
        program.start()
    for program in programs:
        program.join()

    found = read_back(tmp_path)
    assert_exactly_once(found, {f"{task}-{thread}": 400 for task in range(4) for thread in range(2)})
    assert_sizes(tmp_path)
    for entry in found:
        assert _order(entry.file)[0] == ["App", "App_2"][int(entry.source[0]) % 2]


def test_children_of_a_process_with_threads_continue_in_the_files(clock: FastClock, tmp_path: pathlib.Path) -> None:
    """P1: a fork during another thread's record inherits neither a lock nor a grant."""
    handler = _handler(str(tmp_path))
    threads = [threading.Thread(target=_log_many, args=(handler, f"thread-{n}", 800)) for n in range(3)]
    for thread in threads:
        thread.start()
    children = []
    for number in range(20):
        child = os.fork()
        if child == 0:
            try:
                _log_many(handler, f"child-{number}", 50)
            finally:
                os._exit(0)
        children.append(child)
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    for child in children:
        os.waitpid(child, 0)
    handler.close()

    counts = {f"thread-{n}": 800 for n in range(3)} | {f"child-{number}": 50 for number in range(20)}
    assert_exactly_once(read_back(tmp_path), counts)
    assert_sizes(tmp_path)


# Killed processes


def _log_for_ever(
    folder: str, row: int, ledger: tuple[str, int, int], clock: FastClock, options: dict[str, Any]
) -> None:
    clock.set()
    handler = _handler(folder, **options)
    book = Ledger(*ledger)
    book.begin(row)
    number = 0
    while True:
        _log(handler, f"writer-{row}", number, late=900 if number % 10 == 5 else 0)
        number += 1
        book.acknowledge(row, 0, number)


@pytest.fixture
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Return a ledger of up to 60 writers."""
    ledger = Ledger(str(tmp_path_factory.mktemp("ledger") / "ledger"), 60, 1)
    yield ledger
    ledger.close()


@pytest.mark.slow
@pytest.mark.parametrize("keep_file_open", [None, False], ids=["shared", "exclusive"])
def test_killed_processes_lose_nothing(
    clock: FastClock, tmp_path: pathlib.Path, ledger: Ledger, keep_file_open: bool | None
) -> None:
    """P1, P2, P3: a writer is killed every few milliseconds, and another one is started in its place."""
    context = multiprocessing.get_context("fork")
    chance = random.Random(1)
    writers: list[BaseProcess] = []
    arguments = (ledger.path, ledger.rows, ledger.threads), clock, {"keep_file_open": keep_file_open}

    def start() -> None:
        writer = context.Process(target=_log_for_ever, args=(str(tmp_path), len(writers), *arguments), daemon=True)
        writers.append(writer)
        writer.start()

    for _ in range(4):
        start()
    while len(writers) < ledger.rows:
        time.sleep(chance.random() * 0.06)
        victim = chance.choice([writer for writer in writers if writer.is_alive()])
        victim.kill()
        victim.join()
        start()
    wait_until(lambda: clock.time() > MIDNIGHT + 300)
    for writer in writers:
        writer.kill()
        writer.join()
    restarted = _handler(str(tmp_path))
    _log_many(restarted, "restarted", 200)
    restarted.close()

    found = read_back(tmp_path, torn=len(writers))
    counts = {f"writer-{row}": ledger.counts(row)[0] for row in range(len(writers))}
    assert sum(counts.values()) > 1000
    assert_exactly_once(found, {**counts, "restarted": 200}, interrupted=set(counts))
    assert max(path.stat().st_size for path in tmp_path.glob("App*")) < LIMIT
    assert len({_order(entry.file)[1] for entry in found}) == 2


def test_stopped_process_blocks_no_other(clock: FastClock, tmp_path: pathlib.Path, ledger: Ledger) -> None:
    """P4: other processes wait at most lock_timeout for a process that was stopped with the lock."""
    context = multiprocessing.get_context("fork")
    arguments = (ledger.path, ledger.rows, ledger.threads), clock, {"lock_timeout": 0.05}
    writers = [
        context.Process(target=_log_for_ever, args=(str(tmp_path), row, *arguments), daemon=True) for row in range(3)
    ]
    for writer in writers:
        writer.start()
    for _ in range(10):
        wait_until(lambda: ledger.total() > 100)
        os.kill(writers[0].pid or 0, signal.SIGSTOP)
        before = ledger.counts(1)[0]
        wait_until(lambda before=before: ledger.counts(1)[0] > before + 20)
        os.kill(writers[0].pid or 0, signal.SIGCONT)
    for writer in writers:
        writer.kill()
        writer.join()

    seen = Counter((entry.source, entry.number) for entry in _records_anywhere(tmp_path))
    for row in range(3):
        assert [n for n in range(ledger.counts(row)[0]) if seen[f"writer-{row}", n] != 1] == []


def _records_anywhere(folder: pathlib.Path) -> list[Entry]:
    return [
        Entry(float(match[1]), match[2], int(match[3]), folder)
        for line in all_lines(folder)
        if (match := _LINE.fullmatch(line))
    ]


# Changes by other programs


def test_file_that_is_moved_away_loses_nothing(
    clock: FastClock, tmp_path: pathlib.Path, tmp_path_factory: pytest.TempPathFactory, ledger: Ledger
) -> None:
    """P1: records that were still written to it are there, and its name is used again."""
    away = tmp_path_factory.mktemp("away")
    context = multiprocessing.get_context("fork")
    arguments = (ledger.path, ledger.rows, ledger.threads), clock, {}
    writers = [
        context.Process(target=_log_for_ever, args=(str(tmp_path), row, *arguments), daemon=True) for row in range(3)
    ]
    for writer in writers:
        writer.start()
    for number in range(30):
        goal = ledger.total() + 50
        wait_until(lambda goal=goal: ledger.total() > goal)
        newest = max(tmp_path.glob("App*"), key=_order)
        try:
            newest.rename(away / f"{number}-{newest.name}")
        except FileNotFoundError:
            continue
    for writer in writers:
        writer.kill()
        writer.join()

    found = read_back(tmp_path, torn=3) + read_back(away, torn=3)
    counts = {f"writer-{row}": ledger.counts(row)[0] for row in range(3)}
    assert_exactly_once(found, counts, interrupted=set(counts))


# Each step


@pytest.fixture(params=first_quick(["shared", "exclusive"]))
def prepare(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: pathlib.Path
) -> Callable[[], WatchedByDay]:
    """Return a function that creates a handler at a quarter to midnight; its second record starts a file."""
    moment = MIDNIGHT - 900
    monkeypatch.setattr(time, "time", lambda: moment)
    keep_file_open = None if request.param == "shared" else False

    def make() -> WatchedByDay:
        return WatchedByDay(tmp_path, "App", "KST", 36, keep_file_open=keep_file_open, lock_timeout=0.2, backupCount=5)

    return make


_RECORDS = ["before 0", "before 1", "before 2"]  # nine bytes each


@pytest.mark.parametrize("begins", first_quick(["size", "late", "day", "late by days"], 2))
@pytest.mark.parametrize("fault", first_quick(["error", "killed after", "killed before"], 2))
@pytest.mark.filterwarnings("ignore:.*unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_any_step_of_creating_a_file_may_fail(
    prepare: Callable[[], WatchedByDay],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: pathlib.Path,
    fault: str,
    begins: str,
) -> None:
    """P1, P3, P4: each system call fails in turn, or the process is killed before or after it."""
    step, is_over = 0, False
    while not is_over:
        for path in tmp_path.iterdir():
            path.unlink()
        with monkeypatch.context() as patch:
            is_over = _interrupt_step(prepare, patch, step, fault, begins)
        count = Counter(all_lines(tmp_path))
        text = f"step {step}"
        assert [record for record in [*_RECORDS, "peer", "late"] if count[record] != 1] == [], (text, files(tmp_path))
        assert count["broken off"] <= 1, (text, files(tmp_path))
        assert count["broken off"] == 1 or fault != "error", (text, files(tmp_path))
        assert set(count) <= {*_RECORDS, "peer", "late", "midnight", "broken off"}, (text, files(tmp_path))
        # A late record's file may remain empty, for the next late record of that day.
        assert begins.startswith("late") or all(files(tmp_path).values()), (text, files(tmp_path))
        assert_sizes(tmp_path, 36 if fault != "error" else 80)
        step += 1
    gc.collect()  # for streams that could not be closed, if that is not an error

    assert step > 20


def _interrupt_step(
    prepare: Callable[[], WatchedByDay], patch: pytest.MonkeyPatch, step: int, fault: str, begins: str
) -> bool:
    """Let one step fail or kill the process, then continue; return whether there was no such step."""
    peer = prepare()
    for record in _RECORDS:
        write(peer, record)
    handler = prepare()
    created = MIDNIGHT - 900
    if begins != "size":
        patch.setattr(time, "time", lambda: MIDNIGHT + 1.0)
        created = {"day": MIDNIGHT, "late": MIDNIGHT - 1, "late by days": MIDNIGHT - 3 * DAY}[begins]
    if begins.startswith("late"):
        write(peer, "midnight")
    is_over = _run(handler, Calls(step, fault), created, fault == "error")
    handler._log_file.view = handler._log_file.view._replace(expires=0, closes=0)  # as if the view had expired
    write(peer, "peer")
    last = prepare()
    write(last, "late")
    for each in (peer, handler, last):
        each.close()
    return is_over


def _run(handler: WatchedByDay, calls: Calls, created: int, is_here: bool) -> bool:
    if is_here:
        with watched_calls(calls):
            write(handler, "broken off", created)
        return len(calls.names) <= calls._at
    child = os.fork()
    if child == 0:
        try:
            with watched_calls(calls):
                write(handler, "broken off", created)
        finally:
            os._exit(len(calls.names) > calls._at)  # as if the call had been reached, but had raised
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_program_of_another_user_shares_the_files(root: None, tmp_path: pathlib.Path) -> None:
    """P1: a worker that dropped its privileges writes what its group may write."""
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:3]:
        parent.chmod(parent.stat().st_mode | 0o011)
    code = (
        "import logging, os, sys, time\n"
        "from concurrent_log.dated import DatedFileHandler\n"
        "os.umask(0)\n"
        "handler = DatedFileHandler(sys.argv[1], maxBytes=200)\n"
        "for n in range(30): handler.handle(logging.makeLogRecord({'msg': f'root {n}'}))\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "for n in range(30): handler.handle(logging.makeLogRecord({'msg': f'nobody {n}'}))\n"
    )
    run = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)

    assert run.stderr == ""
    assert all_lines(tmp_path) == [f"{user} {n}" for user in ("root", "nobody") for n in range(30)]
