"""Background logging under stress: signals, many handlers and programs, forks, lost processes."""

import os
import pathlib
import subprocess
import sys
from collections import Counter

import pytest

from support.background_programs import command, numbered, read_log, run
from support.deadlines import DEADLINE
from support.processes import environment
from support.records import lines

# The quick selection runs a short form with a thread.
_each_worker = pytest.mark.parametrize("worker", ["thread", pytest.param("process", marks=pytest.mark.slow)])
_LONG = [pytest.mark.long, pytest.mark.timeout(1800)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer signals")
class TestSignals:
    """Signal handlers that log in the middle of logging calls."""

    @_each_worker
    @pytest.mark.parametrize("capacity", [50, 10_000])
    @pytest.mark.parametrize("rounds", [500, pytest.param(10_000, marks=_LONG)])
    def test_records_of_signal_handlers_are_written_once(
        self, tmp_path: pathlib.Path, rounds: int, capacity: int, worker: str
    ) -> None:
        """P1, P4: at any bytecode, also while a worker starts or a call waits for room; nothing hangs."""
        done = run(
            tmp_path,
            f"""
            import itertools, random, signal

            def log_signal(*_):
                signals.append(next(numbers))
                logger.info("signal %d", signals[-1])
                if len(signals) < {rounds}:
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.000_001, 0.000_4))

            numbers, signals, number = itertools.count(), [], 0
            signal.signal(signal.SIGALRM, log_signal)
            attach(capacity={capacity})
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            while len(signals) < {rounds}:
                logger.info("main %d", number)
                number += 1
                if {worker == "thread"} and number % 500 == 0:
                    attach(capacity={capacity})
            print(logger.handlers[0].flush(), number, len(signals))
            """,
            seconds=DEADLINE if rounds < 1000 else 1200,
        )
        flushed, number, signals = done.stdout.split()

        assert flushed == "True"
        assert done.stderr == ""
        assert Counter(read_log(tmp_path)) == Counter(numbered("main", int(number)) + numbered("signal", int(signals)))

    @pytest.mark.parametrize("when_full", ["drop_oldest", "drop_newest"])
    def test_dropped_records_are_counted(self, tmp_path: pathlib.Path, when_full: str) -> None:
        """P7: also if a signal handler logs while a record is dropped."""
        done = run(
            tmp_path,
            f"""
            import random, signal

            def log_signal(*_):
                signals.append(None)
                logger.info("signal")
                if len(signals) < 3000:
                    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.000_001, 0.000_1))

            signals, number = [], 0
            signal.signal(signal.SIGALRM, log_signal)
            background = attach(capacity=2, when_full={when_full!r})
            signal.setitimer(signal.ITIMER_REAL, 0.001)
            while len(signals) < 3000:
                logger.info("main %d", number)
                number += 1
            background.flush()
            print(number + len(signals), background.stats().dropped)
            """,
        )
        count, dropped = map(int, done.stdout.split())
        written = [line for line in read_log(tmp_path) if "dropped" not in line]

        assert len(written) + dropped == count


class TestManyWriters:
    """Many handlers and programs with one file."""

    @_each_worker
    def test_two_handlers_of_one_file_lose_no_record(self, tmp_path: pathlib.Path, worker: str) -> None:
        """P1: each has its own file handler, and each writes in order."""
        run(
            tmp_path,
            f"""
            first, second = attach(worker={worker!r}), attach(worker={worker!r})
            def work(name, handler):
                own = logging.Logger(name)
                own.addHandler(handler)
                for number in range(3000):
                    own.info("%s %d", name, number)
            threads = [threading.Thread(target=work, args=each) for each in [("a", first), ("b", second)]]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            """,
        )
        found = read_log(tmp_path)

        assert len(found) == 6000
        for name in "ab":
            assert [line for line in found if line[0] == name] == numbered(name, 3000)

    @_each_worker
    def test_programs_that_roll_over_one_file_lose_no_record(self, tmp_path: pathlib.Path, worker: str) -> None:
        """P1: three programs, each with its own worker, and a rollover every 5 kB."""
        text = f"""
            from concurrent_log import ConcurrentRotatingFileHandler
            attach(ConcurrentRotatingFileHandler("app.log", maxBytes=5_000, backupCount=1000), worker={worker!r})
            log(sys.argv[1], 3000)
            """
        programs = [subprocess.Popen([*command(text), name], cwd=tmp_path, env=environment()) for name in "abc"]
        assert [program.wait(DEADLINE) for program in programs] == [0, 0, 0]
        paths = sorted(tmp_path.glob("app.log*"), key=lambda path: -int(path.suffix[1:].replace("log", "0")))
        found = [line for path in paths for line in lines(path)]

        assert len(paths) > 4
        assert max(path.stat().st_size for path in paths) < 5_000
        assert len(found) == 9000
        for name in "abc":
            assert [line for line in found if line[0] == name] == numbered(name, 3000)

    @_each_worker
    @pytest.mark.parametrize("times", [20, pytest.param(1000, marks=_LONG)])
    def test_reconfiguration_loses_no_record_and_leaks_nothing(
        self, tmp_path: pathlib.Path, worker: str, times: int
    ) -> None:
        """P1, P4: while a thread logs. During a reconfiguration, there is a moment without any handler, as usual."""
        done = run(
            tmp_path,
            f"""
            configuration = {{
                "version": 1,
                "disable_existing_loggers": False,
                "handlers": {{
                    "background": {{
                        "class": "concurrent_log.BackgroundHandler", "handlers": ["file"], "worker": {worker!r},
                    }},
                    "file": {{"class": "concurrent_log.ConcurrentTimedRotatingFileHandler", "filename": "app.log"}},
                }},
                "loggers": {{"app": {{"level": "INFO", "handlers": ["background"]}}}},
            }}

            class Unhandled(logging.Handler):
                def emit(self, record):
                    missed.append(record.getMessage())

            def work():
                while not stopped.is_set():
                    logger.info("thread %d", len(logged))
                    logged.append(None)
                    time.sleep(0.000_1)

            logging.lastResort = Unhandled()
            stopped, logged, missed = threading.Event(), [], []
            thread = threading.Thread(target=work)
            logging.config.dictConfig(configuration)
            thread.start()
            for number in range({times}):
                logging.config.dictConfig(configuration)
                logger.info("main %d", number)
            stopped.set()
            thread.join()
            logger.handlers[0].close()
            logger.handlers.clear()
            give_up_at = time.monotonic() + 100
            while threading.active_count() > 1 and time.monotonic() < give_up_at:
                time.sleep(0.01)
            gc.collect()
            descriptors = len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
            try:
                child = os.waitpid(-1, os.WNOHANG)
            except (ChildProcessError, AttributeError):
                child = None
            print(len(logged), threading.active_count(), descriptors < 20, child)
            print(*missed, sep="\\n")
            """,
            seconds=DEADLINE if times < 1000 else 1200,
        )
        state, *missed = done.stdout.splitlines()
        logged, *remaining = state.split()

        assert remaining == ["1", "True", "None"]
        assert Counter(read_log(tmp_path)) + Counter(filter(None, missed)) == Counter(
            numbered("main", times) + numbered("thread", int(logged))
        )

    @pytest.mark.slow
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
    @pytest.mark.parametrize("forks", [150, pytest.param(5000, marks=_LONG)])
    def test_forks_while_logging_lose_no_record(self, tmp_path: pathlib.Path, forks: int) -> None:
        """P1: a thread logs without a pause while the program forks repeatedly, and each child logs a record."""
        done = run(
            tmp_path,
            f"""
            def work():
                while not stopped.is_set():
                    logger.info("thread %d", len(logged))
                    logged.append(None)

            stopped, logged = threading.Event(), []
            background = attach(capacity=100)
            thread = threading.Thread(target=work)
            thread.start()
            for number in range({forks}):
                child = os.fork()
                if child == 0:
                    logger.info("child %d", number)
                    background.close()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
            stopped.set()
            thread.join()
            print(len(logged))
            """,
            seconds=DEADLINE if forks < 1000 else 1200,
        )

        assert Counter(read_log(tmp_path)) == Counter(numbered("child", forks) + numbered("thread", int(done.stdout)))

    @pytest.mark.slow
    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
    @pytest.mark.parametrize("forks", [200, pytest.param(10_000, marks=_LONG)])
    def test_forks_while_a_handler_looks_up_loggers_lose_no_record(self, tmp_path: pathlib.Path, forks: int) -> None:
        """P1, P8: three threads log, and the worker wants the lock of logging, which each fork takes."""
        done = run(
            tmp_path,
            f"""
            class Needy(ConcurrentTimedRotatingFileHandler):
                emit_batch = None
                def emit(self, record):
                    logging.getLogger(f"library.{{record.created}}")
                    super().emit(record)

            def work(source):
                number = 0
                while not stopped.is_set():
                    logger.info("%s %d", source, number)
                    number += 1
                    time.sleep(0.001)
                print(f"{{source}} {{number}}\\n", end="")

            stopped = threading.Event()
            background = attach(Needy("app.log"), capacity=1000)
            threads = [threading.Thread(target=work, args=(source,)) for source in "abc"]
            for thread in threads:
                thread.start()
            for number in range({forks}):
                child = os.fork()
                if child == 0:
                    logger.info("child %d", number)
                    background.close()
                    os._exit(0)
                assert os.waitpid(child, 0)[1] == 0
            stopped.set()
            for thread in threads:
                thread.join()
            """,
            seconds=DEADLINE if forks < 1000 else 1200,
        )
        counts = {**dict(line.split() for line in done.stdout.splitlines()), "child": forks}

        assert Counter(read_log(tmp_path)) == Counter(
            line for source, count in counts.items() for line in numbered(source, int(count))
        )


_POOL = """
import logging, multiprocessing, sys, time
from concurrent_log import ConcurrentTimedRotatingFileHandler
from concurrent_log.background import BackgroundHandler

def work(source):
    target = ConcurrentTimedRotatingFileHandler("app.log")
    background = BackgroundHandler([target], worker=sys.argv[1], stop_timeout=100)
    logger = logging.getLogger("app")
    logger.setLevel(logging.INFO)
    logger.handlers = [background]
    for number in range(500):
        logger.info("%s %d", source, number)
    if sys.argv[2] == "flushed":
        background.flush()
    for number in range(500, 2000):
        logger.info("%s %d", source, number)
    return source

if __name__ == "__main__":
    with multiprocessing.get_context(sys.argv[3]).Pool(2) as pool:
        pool.map(work, ["a", "b"])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="workers are ended by a signal")
@_each_worker
def test_terminated_pool_loses_only_queued_records(tmp_path: pathlib.Path, worker: str) -> None:
    """P1, P7: the end of the with block of a Pool kills its workers; flushed records are there, without a gap."""
    (tmp_path / "program.py").write_text(_POOL)
    program = [sys.executable, "program.py", worker, "flushed", "fork"]
    subprocess.run(program, cwd=tmp_path, env=environment(), check=True, timeout=DEADLINE)
    found = read_log(tmp_path)

    for name in "ab":
        own = [line for line in found if line[0] == name]
        assert 500 <= len(own) <= 2000
        assert own == numbered(name, len(own))


@pytest.mark.slow
@_each_worker
def test_workers_of_joblib_lose_no_record(tmp_path: pathlib.Path, worker: str, require: object) -> None:
    """P1: joblib ends or kills its workers when the program ends; each task flushes its records."""
    require("joblib")  # type: ignore[operator]
    (tmp_path / "tasks.py").write_text(_POOL.replace('__name__ == "__main__"', "False"))
    program = (
        "import joblib, tasks\n"
        "with joblib.Parallel(2) as parallel:\n"
        "    parallel(joblib.delayed(tasks.work)(name) for name in 'abcd')\n"
    )
    (tmp_path / "program.py").write_text(program)
    subprocess.run(
        [sys.executable, "program.py", worker, "all", "spawn"],
        cwd=tmp_path,
        env=environment(),
        check=True,
        timeout=DEADLINE,
    )
    found = read_log(tmp_path)

    assert Counter(found) == Counter(line for name in "abcd" for line in numbered(name, 2000))
