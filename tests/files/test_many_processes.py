"""The proof by sequence: in all combinations of processes and threads, each record is there once, whole, in order.

Every record contains its writer, thread, number, length and time, and every file is read back. Writers count the
calls that returned in a mapped file, so that the count of a killed writer is known, too.

Rollovers need no waiting. Either a record's creation time is chosen, so that each thread passes from period to period
at any speed, or the process has a clock that runs a hundred times too fast.
"""

import contextlib
import functools
import itertools
import logging
import logging.handlers
import multiprocessing
import os
import pathlib
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import time as time_of_day
from datetime import timezone
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import pytest

from concurrent_log import ConcurrentTimedRotatingFileHandler
from concurrent_log.files import rollover as rolling
from concurrent_log.files.lock_file import LockFile
from concurrent_log.files.periods import Schedule
from concurrent_log.stress import sequence
from concurrent_log.stress.sequence import Source
from concurrent_log.stress.tally import Tally, log_files, period_names, tally
from concurrent_log.stress.workload import Ledger
from support.deadlines import DEADLINE
from support.selection import SHARED_FIRST, first_quick

pytestmark = [
    # A fork with live threads is one of the cases under test, and pytest-xdist has a thread of its own.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="sends signals and forks"),
]

METHODS = multiprocessing.get_all_start_methods()
ARMS = pytest.mark.parametrize("keep_file_open", [None, False], ids=["shared", "exclusive"])
FAST = 100.0  # speed of the clock
ENDLESS = 10**9
PERIODS = 5


def now(number: int) -> float:
    """Return the current time as the creation time of a record."""
    return time.time()


def stepping(begin: float, step: float, number: int) -> float:
    """Return the creation time of a record: ``begin`` for the first, ``step`` seconds more for each further one."""
    return begin + number * step


def set_fast_clock(begin: float) -> None:
    """Set the clock of this process to a day before ``begin``, with speed `FAST`; all processes share the time."""
    real, real_ns = time.time, time.time_ns
    time.time = lambda: begin - 86400 + (real() - begin) * FAST
    time.time_ns = lambda: int((begin - 86400 - begin * FAST) * 1e9) + int(real_ns() * FAST)


def fast_clock_from_now() -> Callable[[], None]:
    """Return a function that starts the fast clock in the process that calls it."""
    return functools.partial(set_fast_clock, time.time())


class Team:
    """Writer processes of one log file.

    Args:
        folder: Folder of the log file.
        threads: Number of threads in each process.
        count: Number of records of each thread.
        created: Function that returns the creation time of a record, from its number.
        set_clock: Function that each process calls first.
        start_method: The start method of the processes.
        options: The handler's arguments.
    """

    def __init__(
        self,
        folder: pathlib.Path,
        *,
        threads: int = 2,
        count: int = 100,
        created: Callable[[int], float] = now,
        set_clock: Callable[[], None] | None = None,
        start_method: str = METHODS[0],
        rows: int = 16,
        **options: Any,
    ) -> None:
        self.log_file = str(folder / "app.log")
        self.options = {"encoding": "utf-8", **options}
        self.make = functools.partial(ConcurrentTimedRotatingFileHandler, self.log_file, **self.options)
        self.ledger = Ledger(str(folder / "ledger"), rows, threads)
        self.processes: list[BaseProcess] = []
        self._context: Any = multiprocessing.get_context(start_method)
        self._work = created, set_clock, count

    def start(self, handler: ConcurrentTimedRotatingFileHandler | None = None) -> BaseProcess:
        """Start another writer, with an existing handler or one of its own."""
        number = len(self.processes)
        ledger = self.ledger.path, self.ledger.rows, self.ledger.threads
        process: BaseProcess = self._context.Process(
            target=_write, args=(handler or self.make, number, ledger, *self._work), daemon=True
        )
        self.processes.append(process)
        process.start()
        return process

    def finish(self) -> None:
        """Wait until all writers are done."""
        for process in self.processes:
            process.join()

    def tally(self, schedule: Schedule | None = None, files: list[str] | None = None) -> Tally:
        """Read everything back."""
        rows = range(len(self.processes))
        suffix = self.make(delay=True).suffix
        return tally(
            self.log_file,
            {Source(row, thread): n for row in rows for thread, n in enumerate(self.ledger.counts(row))},
            interrupted={row for row in rows if self.processes[row].exitcode != 0},
            period_name=period_names(schedule, suffix) if schedule else None,
            files=files,
        )

    def done(self) -> int:
        """Return the number of logging calls that have returned."""
        return self.ledger.total()

    def wait_for(self, records: int, without: BaseProcess | None = None) -> None:
        """Wait until this many more logging calls have returned, or all writers except ``without`` have ended."""
        goal = self.done() + records
        running = [process.sentinel for process in self.processes if process.is_alive() and process is not without]
        while running and self.done() < goal:
            running = [sentinel for sentinel in running if sentinel not in wait(running, timeout=0.001)]

    def kill_all(self) -> None:
        """Leave no process behind."""
        for process in self.processes:
            if process.is_alive():
                os.kill(process.pid or 0, signal.SIGKILL)
                process.join()


@pytest.fixture
def team(tmp_path: pathlib.Path) -> Iterator[Callable[..., Team]]:
    """Return a function that creates teams, and end them after the test."""
    teams: list[Team] = []

    def make(**options: Any) -> Team:
        teams.append(Team(tmp_path, **options))
        return teams[-1]

    yield make
    for one in teams:
        one.kill_all()
        one.ledger.close()


def _write(
    handler: ConcurrentTimedRotatingFileHandler | Callable[[], ConcurrentTimedRotatingFileHandler],
    writer: int,
    ledger: tuple[str, int, int],
    created: Callable[[int], float],
    set_clock: Callable[[], None] | None,
    count: int,
) -> None:
    """Be one writer process."""
    if set_clock:
        set_clock()
    if not isinstance(handler, ConcurrentTimedRotatingFileHandler):
        handler = handler()
    handler.setFormatter(logging.Formatter(sequence.FORMAT, sequence.DATE_FORMAT))
    book = Ledger(*ledger)
    book.begin(writer)
    threads = [
        threading.Thread(target=_log, name=f"thread-{n}", args=(handler, Source(writer, n), book, created, count))
        for n in range(book.threads)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _log(handler: logging.Handler, source: Source, ledger: Ledger, created: Callable[[int], float], count: int) -> None:
    logger = logging.Logger("many")
    logger.addHandler(handler)
    logger.addFilter(functools.partial(_set_created, created, itertools.count()))
    for number in range(count):
        logger.log(sequence.level(number), sequence.message(source, number))
        ledger.acknowledge(source.writer, source.thread, number + 1)


def _set_created(created: Callable[[int], float], numbers: "itertools.count[int]", record: logging.LogRecord) -> bool:
    if created is not now:
        record.created = created(next(numbers))
    return True


def perfect(found: Tally) -> bool:
    """Return whether no record is missing or wrong, and each period has exactly one file."""
    return found.ok and found.files == found.periods


def undamaged(found: Tally) -> bool:
    """Return whether each record is there once and whole, in any file."""
    return (found.lost, found.duplicated, found.torn, found.unknown) == (0, 0, 0, 0)


def steps(schedule: Schedule, count: int, periods: int = PERIODS) -> Callable[[int], float]:
    """Return creation times for ``count`` records in the last ``periods`` whole periods."""
    end = schedule.period(time.time()).start
    begin = end
    for _ in range(periods):
        begin = schedule.period(begin - 1).start
    return functools.partial(stepping, begin, (end - begin) / count)


HOURS = Schedule("H")


class TestMix:
    """Any number of processes and threads."""

    @SHARED_FIRST
    @pytest.mark.parametrize(("processes", "threads"), first_quick([(4, 10), (16, 6), (2, 1), (2, 100), (16, 1)], 2))
    def test_all_records_are_in_their_periods(
        self, processes: int, threads: int, keep_file_open: bool | None, team: Callable[..., Team]
    ) -> None:
        """P1, P2, P3: from 2 to 16 processes, from 1 to 100 threads, each passing through five hours."""
        count = max(20, 4000 // (processes * threads))
        writers = team(
            when="H", threads=threads, count=count, created=steps(HOURS, count), keep_file_open=keep_file_open
        )
        for _ in range(processes):
            writers.start()
        writers.finish()
        found = writers.tally(HOURS)

        assert found.expected == processes * threads * count
        assert perfect(found), found
        assert found.files == PERIODS

    @SHARED_FIRST
    def test_all_records_are_in_their_seconds_with_a_fast_clock(
        self, keep_file_open: bool | None, team: Callable[..., Team]
    ) -> None:
        """P1, P2, P3: a rollover every ten milliseconds, on the straight path of every process."""
        writers = team(when="S", threads=4, count=500, set_clock=fast_clock_from_now(), keep_file_open=keep_file_open)
        for _ in range(4):
            writers.start()
        writers.finish()
        found = writers.tally(Schedule("S"))

        assert found.expected == 8000
        assert perfect(found), found
        assert found.rollovers > 5

    @pytest.mark.parametrize("start_method", METHODS)
    @pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
    def test_start_method_makes_no_difference(self, start_method: str, before: bool, team: Callable[..., Team]) -> None:
        """P1: a handler from before the process, inherited or pickled, works like the process's own."""
        writers = team(when="H", threads=3, count=100, start_method=start_method, created=steps(HOURS, 100))
        with contextlib.closing(writers.make()) as handler:
            for _ in range(3):
                writers.start(handler if before else None)
            writers.finish()
        found = writers.tally(HOURS)

        assert [process.exitcode for process in writers.processes] == [0, 0, 0]
        assert found.expected == 900
        assert perfect(found), found

    @pytest.mark.skipif("fork" not in METHODS, reason="this platform has no fork")
    @ARMS
    def test_fork_during_logging_loses_nothing(self, keep_file_open: bool | None, team: Callable[..., Team]) -> None:
        """P1: if the process forks while threads are inside a handler, it works in the parent and in the child."""
        writers = team(
            when="H",
            threads=2,
            count=100,
            start_method="fork",
            created=steps(HOURS, 100),
            keep_file_open=keep_file_open,
        )
        handler = writers.make()
        handler.setFormatter(logging.Formatter(sequence.FORMAT, sequence.DATE_FORMAT))
        stop, began = threading.Event(), threading.Event()
        ours = threading.Thread(target=_log_until, name="parent", args=(handler, steps(HOURS, ENDLESS)(0), stop, began))
        ours.start()
        began.wait()
        for _ in range(8):
            writers.start(handler)
        writers.finish()
        stop.set()
        ours.join()
        handler.close()
        found = writers.tally(HOURS)
        lines = b"".join(pathlib.Path(path).read_bytes() for path in log_files(writers.log_file))

        assert found.expected == 1600
        assert (found.lost, found.duplicated, found.torn, found.misplaced, found.out_of_order) == (0, 0, 0, 0, 0)
        assert lines.count(f" {PARENT} ".encode()) == found.unknown > 0


PARENT = 1_000_000  # number of the writer in the test's own process


def _log_until(handler: logging.Handler, created: float, stop: threading.Event, began: threading.Event) -> None:
    logger = logging.Logger("parent")
    logger.addHandler(handler)
    logger.addFilter(functools.partial(_set_created, lambda number: created, itertools.count()))
    for number in itertools.count():
        logger.log(sequence.level(number), sequence.message(Source(PARENT, 0), number))
        began.set()
        if stop.is_set():
            return


NINE = time_of_day(9, 30)
SCHEDULES = [
    *({"when": when} for when in ("S", "M", "H", "D", "midnight", "W0", "W6")),
    *({"when": when, "utc": True} for when in ("S", "H", "D", "midnight", "W2")),
    *({"when": when, "atTime": NINE} for when in ("midnight", "W0", "W6")),
    *({"when": when, "interval": 3} for when in ("S", "M", "H", "D", "midnight", "W4")),
    {"when": "midnight", "interval": 2, "atTime": NINE, "utc": True},
    *first_quick(({"when": when} for when in ("W1", "W2", "W3", "W4", "W5")), 0),
]


def _schedule(options: dict[str, Any]) -> Schedule:
    zone = timezone.utc if options.get("utc") else None
    return Schedule(options["when"], options.get("interval", 1), options.get("atTime"), zone)


@SHARED_FIRST
@pytest.mark.parametrize("options", SCHEDULES, ids=lambda options: "-".join(map(str, options.values())))
def test_every_schedule_rolls_over_once_per_period(
    options: dict[str, Any], keep_file_open: bool | None, team: Callable[..., Team]
) -> None:
    """P1, P2, P3: with every schedule, processes agree on the periods, and records are in their own."""
    schedule = _schedule(options)
    writers = team(threads=2, count=100, created=steps(schedule, 100), keep_file_open=keep_file_open, **options)
    for _ in range(3):
        writers.start()
    writers.finish()
    found = writers.tally(schedule)

    assert found.expected == 600
    assert perfect(found), found
    assert found.files == PERIODS


@pytest.mark.parametrize(
    ("when", "text"), [("S", "%Y-%m-%d_%H-%M-%S"), ("H", "%Y-%m-%d_%H"), ("D", "%Y-%m-%d"), ("midnight", "%Y-%m-%d")]
)
def test_backup_is_named_after_the_time_of_its_records(when: str, text: str, team: Callable[..., Team]) -> None:
    """P2: checked without the package's own arithmetic: the name is the time of the records in UTC."""
    writers = team(when=when, utc=True, count=100, created=steps(Schedule(when, zone=timezone.utc), 100))
    for _ in range(2):
        writers.start()
    writers.finish()
    expected = {Source(row, thread): 100 for row in (0, 1) for thread in (0, 1)}
    found = tally(
        writers.log_file, expected, period_name=lambda created: time.strftime(text, time.gmtime(int(created)))
    )

    assert perfect(found), found
    assert found.files == PERIODS


class TestKilled:
    """Writers are killed by SIGKILL."""

    @SHARED_FIRST
    def test_killed_writers_lose_nothing(self, keep_file_open: bool | None, team: Callable[..., Team]) -> None:
        """P1: writers are killed at random and replaced, with a fast clock; acknowledged records are there."""
        _kill_at_random(team, 20, threads=2, keep_file_open=keep_file_open)

    @pytest.mark.long
    @pytest.mark.timeout(1800)
    @ARMS
    @pytest.mark.parametrize("threads", [1, 5])
    def test_thousands_of_killed_writers_lose_nothing(
        self, threads: int, keep_file_open: bool | None, team: Callable[..., Team]
    ) -> None:
        """P1: the same, often enough to reach every line."""
        _kill_at_random(team, 2000, threads=threads, keep_file_open=keep_file_open)


def _kill_at_random(team: Callable[..., Team], kills: int, **options: Any) -> None:
    writers = team(when="S", rows=kills + 3, count=ENDLESS, set_clock=fast_clock_from_now(), **options)
    alive = [writers.start() for _ in range(3)]
    writers.wait_for(100)
    for _ in range(kills):
        victim = alive.pop(random.randrange(len(alive)))
        wait([victim.sentinel], timeout=random.uniform(0, 0.02))
        os.kill(victim.pid or 0, signal.SIGKILL)
        alive.append(writers.start())
    writers.wait_for(100)
    writers.kill_all()
    found = writers.tally(Schedule("S"))

    # A writer that is killed during a rollover may leave two files for its period, or an empty one.
    assert found.ok, found
    assert found.expected > 200
    assert found.rollovers > 2


class TestExternalChanges:
    """Another program changes the files."""

    @ARMS
    def test_deleted_lock_file_loses_nothing(self, keep_file_open: bool | None, team: Callable[..., Team]) -> None:
        """P1: deleting the lock file while processes write and roll over costs no record."""
        writers = team(when="S", threads=2, count=1000, set_clock=fast_clock_from_now(), keep_file_open=keep_file_open)
        for _ in range(3):
            writers.start()
        lock_path = pathlib.Path(writers.log_file).with_name(".__app.lock")
        for _ in range(20):
            writers.wait_for(150)
            lock_path.unlink(missing_ok=True)
        writers.finish()
        found = writers.tally()

        assert found.expected == 6000
        assert undamaged(found), found

    def test_lock_file_deleted_during_a_rollover_costs_no_backup(
        self, team: Callable[..., Team], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """P1, P3: two processes with two lock files roll over at once, and neither replaces the other's backup."""
        hour = HOURS.period(time.time()).start
        writers = team(when="H", threads=1, count=10, created=functools.partial(stepping, hour - 3600, 1))

        def interfere(move: Callable[..., None], *paths: str) -> None:
            monkeypatch.undo()
            os.unlink(pathlib.Path(writers.log_file).with_name(".__app.lock"))
            os.utime(writers.log_file, (hour - 3601, hour - 3601))
            writers.start().join()
            move(*paths)

        monkeypatch.setattr(rolling, "move", functools.partial(interfere, rolling.move))
        with contextlib.closing(writers.make()) as handler:
            for created in (hour - 3601, hour - 3600):
                handler.handle(logging.makeLogRecord({"msg": "first", "created": created}))
        lines = b"".join(pathlib.Path(path).read_bytes() for path in log_files(writers.log_file)).splitlines()

        assert len(writers.processes) == 1
        assert lines.count(b"first") == 2
        assert len(lines) == 12

    @SHARED_FIRST
    def test_no_process_writes_to_the_backup(self, keep_file_open: bool | None, team: Callable[..., Team]) -> None:
        """P3: after a rollover no process writes to the old file."""
        writers = team(when="D", threads=2, count=2000, keep_file_open=keep_file_open)
        for _ in range(3):
            writers.start()
        sizes: dict[str, int] = {}
        with contextlib.closing(writers.make()) as handler:
            for _ in range(30):
                writers.wait_for(50)
                handler.doRollover()
                backups = set(log_files(writers.log_file)) - {writers.log_file}
                sizes.update({path: os.path.getsize(path) for path in backups - set(sizes)})
        writers.finish()
        found = writers.tally()

        assert found.expected == 12_000
        assert undamaged(found), found
        assert len(sizes) > 5
        assert {path: os.path.getsize(path) for path in sizes} == sizes

    @SHARED_FIRST
    def test_log_file_that_is_moved_away_loses_nothing(
        self, keep_file_open: bool | None, team: Callable[..., Team]
    ) -> None:
        """P1: a log file that logrotate moves away keeps its records, and a new one is created."""
        writers = team(when="D", threads=2, count=1000, set_clock=fast_clock_from_now(), keep_file_open=keep_file_open)
        for _ in range(3):
            writers.start()
        moved = []
        for number in range(10):
            writers.wait_for(300)
            path = f"{writers.log_file}-moved-{number}"
            with contextlib.suppress(FileNotFoundError):
                os.rename(writers.log_file, path)
                moved.append(path)
        writers.finish()
        found = writers.tally(files=moved + log_files(writers.log_file))

        assert len(moved) > 1
        assert found.expected == 6000
        assert undamaged(found), found


def _hold_and_stop(path: str, pipe: Connection) -> None:
    with LockFile.at(path).hold(exclusive=True, timeout=DEADLINE):
        pipe.send("held")
        os.kill(os.getpid(), signal.SIGSTOP)
    pipe.send("released")
    pipe.recv()


class TestStopped:
    """A process is stopped while it holds a lock."""

    @SHARED_FIRST
    def test_process_stopped_with_the_lock_blocks_no_other(
        self, keep_file_open: bool | None, team: Callable[..., Team]
    ) -> None:
        """P1, P4: after lock_timeout records are written without the lock; when it is free, the file rolls over."""
        count = 100
        writers = team(
            when="H", count=count, created=steps(HOURS, count), keep_file_open=keep_file_open, lock_timeout=0.1
        )
        here, there = multiprocessing.Pipe()
        lock_path = os.path.join(os.path.dirname(writers.log_file), ".__app.lock")
        # From Python 3.14 on, the default is a fork server, and then the process is no child of this one.
        holder = multiprocessing.get_context("spawn").Process(target=_hold_and_stop, args=(lock_path, there))
        holder.start()
        os.waitpid(holder.pid or 0, os.WUNTRACED)
        for _ in range(3):
            writers.start()
        writers.finish()
        meanwhile = writers.tally()
        os.kill(holder.pid or 0, signal.SIGCONT)
        says = here.recv(), here.recv()
        writers.start()
        writers.finish()
        here.send("go")
        holder.join()
        afterwards = writers.tally()

        assert says == ("held", "released")
        assert (meanwhile.ok, meanwhile.expected, meanwhile.rollovers) == (True, 600, 0)
        assert (afterwards.ok, afterwards.expected) == (True, 800)
        assert afterwards.rollovers > 0

    @pytest.mark.slow
    @ARMS
    def test_writers_stopped_at_random_lose_nothing(
        self, keep_file_open: bool | None, team: Callable[..., Team]
    ) -> None:
        """P1: a writer that is stopped anywhere and continued later loses nothing, and neither do the others."""
        writers = team(
            when="S", count=1000, set_clock=fast_clock_from_now(), keep_file_open=keep_file_open, lock_timeout=0.05
        )
        for _ in range(3):
            writers.start()
        for _ in range(10):
            writers.wait_for(50)
            stopped = random.choice(writers.processes)
            with contextlib.suppress(ProcessLookupError):
                os.kill(stopped.pid or 0, signal.SIGSTOP)
                writers.wait_for(50, without=stopped)
                os.kill(stopped.pid or 0, signal.SIGCONT)
        writers.finish()
        found = writers.tally()

        assert found.expected == 6000
        assert undamaged(found), found
