"""Background logging in real programs: exits, forks, kills, signals, and handlers that misbehave."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from support.background_programs import PREAMBLE, command, is_running, numbered, read_log, run
from support.deadlines import DEADLINE
from support.processes import environment, wait_until

_LARGEST_BATCH = 1000  # records
_QUICK_COMBINATIONS = [("thread", "fork"), ("process", "spawn")]  # the full selection has all

_needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
_each_worker = pytest.mark.parametrize("worker", ["thread", "process"])


class TestExit:
    """At its exit, a program writes all records, or prints how many are not written."""

    @_each_worker
    def test_exit_right_after_the_last_record_loses_nothing(self, tmp_path: Path, worker: str) -> None:
        """P1: the program ends before the worker has started."""
        done = run(tmp_path, f"attach(worker={worker!r}); log('main', 5000)")

        assert read_log(tmp_path) == numbered("main", 5000)
        assert done.stderr == ""

    @_each_worker
    def test_records_after_close_are_written_before_the_exit(self, tmp_path: Path, worker: str) -> None:
        """P1: a closed handler writes at once: a daemon thread would die with the program."""
        run(tmp_path, f"attach(worker={worker!r}).close(); log('a', 20); logger.handlers[0].close(); log('b', 20)")

        assert read_log(tmp_path) == numbered("a", 20) + numbered("b", 20)

    @_each_worker
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_first_record_in_an_exit_callback_is_written(self, tmp_path: Path, when: str, worker: str) -> None:
        """P1: the callback runs before or after all handlers are closed; since Python 3.12, no thread can start."""
        register = "import atexit; atexit.register(lambda: logging.getLogger('app').info('last'))"
        program = f"attach(worker={worker!r})\n"
        program = program + register if when == "after" else program
        first = "import logging\n" + register if when == "before" else ""
        command = [sys.executable, "-c", f"{first}\n{PREAMBLE}\n{program}"]
        subprocess.run(command, cwd=tmp_path, env=environment(), check=True, timeout=DEADLINE)

        assert read_log(tmp_path) == ["last"]

    def test_unreferenced_handler_writes_its_queue(self, tmp_path: Path) -> None:
        """P1: a function creates its own logger, and the program ends right after the function."""
        run(
            tmp_path,
            """
            def work():
                local = logging.Logger("local")
                target = ConcurrentTimedRotatingFileHandler("app.log")
                local.addHandler(BackgroundHandler([target], stop_timeout=100))
                for number in range(1000):
                    local.info("local %d", number)
            work()
            """,
        )

        assert read_log(tmp_path) == numbered("local", 1000)

    def test_unreferenced_handlers_leave_no_thread(self, tmp_path: Path) -> None:
        """P1, P4: a task creates a handler a hundred times, and closes none of them."""
        done = run(
            tmp_path,
            """
            for number in range(100):
                attach()
                log(str(number), 10)
            logger.handlers.clear()
            give_up_at = time.monotonic() + 100
            while threading.active_count() > 1 and time.monotonic() < give_up_at:
                time.sleep(0.01)
            gc.collect()
            print(threading.active_count(), len(os.listdir("/proc/self/fd")) < 20 if sys.platform == "linux" else True)
            """,
        )

        assert done.stdout == "1 True\n"
        assert sorted(read_log(tmp_path)) == sorted(line for n in range(100) for line in numbered(str(n), 10))

    def test_exit_waits_for_a_hanging_handler_for_a_limited_time(self, tmp_path: Path) -> None:
        """P4, P7: the exit prints once how many records are not written, and logging.shutdown waits for no lock."""
        done = run(
            tmp_path,
            """
            class Hanging(logging.Handler):
                def emit(self, record):
                    threading.Event().wait()

            attach(Hanging(), stop_timeout=0.2)
            log("main", 50)
            """,
        )

        assert done.stderr == "concurrent_log: 50 records were not written within 0.2 s\n"

    def test_handler_that_logs_for_each_record_does_not_block_the_exit(self, tmp_path: Path) -> None:
        """P4: endless feedback; with the standard handlers, this is a RecursionError."""
        done = run(
            tmp_path,
            """
            class Echoing(logging.Handler):
                def emit(self, record):
                    logger.info("once more")

            attach(Echoing(), stop_timeout=0.2)
            log("main", 5)
            """,
        )

        assert done.stderr.startswith("concurrent_log: ")
        assert len(done.stderr.splitlines()) == 1

    def test_records_that_a_handler_logs_at_the_exit_are_written(self, tmp_path: Path) -> None:
        """P1: feedback that ends."""
        run(
            tmp_path,
            """
            class Echoing(ConcurrentTimedRotatingFileHandler):
                emit_batch = None
                def emit(self, record):
                    super().emit(record)
                    if record.msg != "echo":
                        logger.info("echo")

            attach(Echoing("app.log"))
            log("main", 5)
            """,
        )

        assert Counter(read_log(tmp_path)) == Counter([*numbered("main", 5), *["echo"] * 5])


class TestHandlersThatMisbehave:
    """A handler that misbehaves does not affect other records."""

    @_each_worker
    def test_handler_that_raises_system_exit_loses_no_other_record(self, tmp_path: Path, worker: str) -> None:
        """P1, P4: SystemExit would silently end the worker thread, and lose its current batch."""
        (tmp_path / "exiting.py").write_text(
            "import sys\n"
            "from concurrent_log import ConcurrentTimedRotatingFileHandler\n"
            "class Exiting(ConcurrentTimedRotatingFileHandler):\n"
            "    emit_batch = None\n"
            "    def emit(self, record):\n"
            "        if record.msg == 'exit': sys.exit(3)\n"
            "        super().emit(record)\n"
        )
        done = run(
            tmp_path,
            f"""
            sys.path.insert(0, "")
            from exiting import Exiting
            background = attach(Exiting("app.log"), worker={worker!r})
            log("a", 50)
            logger.info("exit")
            log("b", 50)
            print(background.flush())
            """,
        )

        assert read_log(tmp_path) == numbered("a", 50) + numbered("b", 50)
        assert done.stdout == "True\n"
        assert done.stderr.count("SystemExit: 3") == 1

    def test_flush_of_a_hanging_handler_blocks_no_logging_call(self, tmp_path: Path) -> None:
        """P4: the flush marker fills a queue with the capacity 1; drop_oldest must not wait for it."""
        done = run(
            tmp_path,
            """
            class Hanging(logging.Handler):
                def emit(self, record):
                    gate.wait()

            gate = threading.Event()
            background = attach(Hanging(), capacity=1, when_full="drop_oldest")
            log("main", 1)
            background.flush(0.1)
            log("main", 3)
            gate.set()
            print(background.flush())
            """,
        )

        assert done.stdout == "True\n"


@_needs_fork
class TestFork:
    """Forks while threads log."""

    def test_fork_during_reconfiguration_does_not_hang(self, tmp_path: Path) -> None:
        """P1, P4: dictConfig holds logging's lock while it waits for the worker; the fork needs that lock, too."""
        done = run(
            tmp_path,
            """
            configuration = {
                "version": 1,
                "handlers": {
                    "background": {"class": "concurrent_log.background.BackgroundHandler", "handlers": ["file"]},
                    "file": {"class": "concurrent_log.ConcurrentTimedRotatingFileHandler", "filename": "app.log"},
                },
                "root": {"level": "INFO", "handlers": ["background"]},
            }

            def reconfigure():
                while not stopped.is_set():
                    logging.config.dictConfig(configuration)
                    logging.info("main %d", len(counted))
                    counted.append(None)

            stopped, counted = threading.Event(), []
            thread = threading.Thread(target=reconfigure)
            thread.start()
            for _ in range(100):
                child = os.fork()
                if child == 0:
                    os._exit(0)
                os.waitpid(child, 0)
            stopped.set()
            thread.join()
            print(len(counted))
            """,
        )

        assert read_log(tmp_path) == numbered("main", int(done.stdout))

    @pytest.mark.parametrize("worker", ["thread", pytest.param("process", marks=pytest.mark.slow)])
    def test_forks_of_several_threads_at_once_lose_nothing(self, tmp_path: Path, worker: str) -> None:
        """P1: threads log, others fork, and each child logs; each record is there once."""
        forks = 4 if worker == "process" else 50
        done = run(
            tmp_path,
            f"""
            def work(source):
                number = 0
                while not stopped.is_set():
                    logger.info("%s %d", source, number)
                    number += 1
                    time.sleep(0.001)
                print(f"{{source}} {{number}}\\n", end="")  # in one piece: other threads print, too

            def fork(source):
                for number in range({forks}):
                    child = os.fork()
                    if child == 0:
                        logger.info("child%s %d", source, number)
                        background.close()
                        os._exit(0)
                    os.waitpid(child, 0)
                print(f"child{{source}} {forks}\\n", end="")

            background = attach(worker={worker!r})
            stopped = threading.Event()
            loggers = [threading.Thread(target=work, args=(source,)) for source in ("t", "u")]
            forkers = [threading.Thread(target=fork, args=(number,)) for number in range(3)]
            for thread in loggers + forkers:
                thread.start()
            for thread in forkers:
                thread.join()
            stopped.set()
            """,
        )
        counts = dict(line.split() for line in done.stdout.splitlines())

        assert len(counts) == 5
        assert Counter(read_log(tmp_path)) == Counter(
            line for source, count in counts.items() for line in numbered(source, int(count))
        )
        assert done.stderr == ""


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals")
class TestKilledProcesses:
    """Kills of the program and of its process that writes."""

    def test_killed_process_is_replaced_and_at_most_one_batch_is_written_twice(self, tmp_path: Path) -> None:
        """P1: the process is killed repeatedly while it writes; nothing is lost."""
        kills = 6
        done = run(
            tmp_path,
            f"""
            def log_while(condition):
                global number
                give_up_at = time.monotonic() + 100
                while condition() and time.monotonic() < give_up_at:
                    logger.info("main %d", number)
                    number += 1

            number = 0
            background = attach(worker="process")
            for _ in range({kills}):
                logger.info("main %d", number)
                number += 1
                background.flush()
                process, size = background._worker.writer._process, os.stat("app.log").st_size
                log_while(lambda: os.stat("app.log").st_size == size)
                process.kill()
                log_while(lambda: background._worker.writer._process is process)
            print(background.flush(), number)
            """,
        )
        flushed, count = done.stdout.split()
        expected = set(numbered("main", int(count)))
        times = Counter(read_log(tmp_path))
        torn = times.keys() - expected

        assert flushed == "True"
        assert done.stderr == ""
        assert times.keys() - torn == expected
        # A kill can cut a write at the border of a memory page. The next process writes the whole record.
        assert len(torn) <= kills
        assert all("main ".startswith(each) for each in torn)
        assert sum(times.values()) - len(times) <= kills * _LARGEST_BATCH

    @_each_worker
    def test_killed_program_leaves_whole_records_without_a_gap(self, tmp_path: Path, worker: str) -> None:
        """P1, P7: only the records in the queue are lost, and the process that writes ends with its program."""
        program = command(
            f"""
            background = attach(worker={worker!r})
            log("main", 1)
            background.flush()
            process = getattr(background._worker.writer, "_process", None)
            print(process and process.pid, flush=True)
            number = 1
            while True:
                logger.info("main %d", number)
                number += 1
            """
        )
        with subprocess.Popen(program, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout is not None
            pid = running.stdout.readline().strip()
            wait_until(lambda: len(read_log(tmp_path)) > 5000)
            running.kill()
        if pid != "None":
            wait_until(lambda: not is_running(int(pid)))
        logged = read_log(tmp_path)

        assert logged == numbered("main", len(logged))
        assert (tmp_path / "app.log").read_text().endswith("\n")

    def test_interrupt_of_the_whole_process_group_loses_nothing(self, tmp_path: Path) -> None:
        """P1: Ctrl-C in a terminal signals all processes of the program; its last record is written, too."""
        program = command(
            """
            attach(worker="process")
            number = 0
            try:
                log("first", 1)
                logger.handlers[0].flush()
                print("ready", flush=True)
                while True:
                    logger.info("main %d", number)
                    number += 1
            except KeyboardInterrupt:
                logger.info("interrupted")
                print(number)
            """
        )
        with subprocess.Popen(
            program, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as running:
            assert running.stdout is not None
            assert running.stdout.readline() == "ready\n"
            wait_until(lambda: len(read_log(tmp_path)) > 1000)
            os.killpg(running.pid, signal.SIGINT)
            count = int(running.communicate(timeout=DEADLINE)[0])
        logged = read_log(tmp_path)

        assert logged.pop(0) == "first 0"
        assert logged.pop() == "interrupted"
        assert logged in (numbered("main", count), numbered("main", count + 1))


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no timer signals")
class TestSignals:
    """Signal handlers that raise in the middle of a logging call."""

    @pytest.mark.parametrize("capacity", [50, 10_000])
    @pytest.mark.parametrize("rounds", [300, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
    def test_exception_in_a_logging_call_loses_no_other_record(
        self, tmp_path: Path, rounds: int, capacity: int
    ) -> None:
        """P1, P4: at any bytecode, also while a worker starts; another thread continues to log, and flush returns."""
        done = run(
            tmp_path,
            f"""
            import random, signal

            class Raised(BaseException):
                pass

            def interrupt(number, frame):
                interrupts.append(None)  # A callback of the interpreter may swallow the exception.
                raise Raised

            def log_beside():
                while not stopped.is_set():
                    logger.info("beside %d", len(beside))
                    beside.append(None)
                    time.sleep(0.002)

            signal.signal(signal.SIGALRM, interrupt)
            stopped, beside, logged = threading.Event(), [], []
            attach(capacity={capacity})
            thread = threading.Thread(target=log_beside, daemon=True)
            thread.start()
            number = 0

            # A function: in Python 3.13, an exception raised at the jump of a loop can miss its own "except".
            def log_until_raised():
                global number
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.000_001, 0.000_4))
                while not interrupts:
                    logger.info("main %d", number)
                    logged.append(number)
                    number += 1

            for turn in range({rounds}):
                if turn % 20 == 0:
                    attach(capacity={capacity})
                interrupts = []
                try:
                    log_until_raised()
                except Raised:
                    number += 1
            stopped.set()
            thread.join()
            print(logger.handlers[0].flush(), len(beside), *logged)
            """,
        )
        flushed, beside, *logged = done.stdout.split()
        times = Counter(read_log(tmp_path))

        assert flushed == "True"
        assert max(times.values()) == 1
        assert times.keys() >= {f"main {number}" for number in logged} | set(numbered("beside", int(beside)))


@pytest.mark.parametrize(
    ("worker", "start_method"),
    [
        pytest.param(worker, method, marks=() if (worker, method) in _QUICK_COMBINATIONS else pytest.mark.slow)
        for worker in ("thread", "process")
        for method in multiprocessing.get_all_start_methods()
    ],
)
def test_children_of_every_start_method_lose_no_record(tmp_path: Path, start_method: str, worker: str) -> None:
    """P1: forked children skip the exit callbacks; spawned ones configure logging again or get a pickled handler."""
    (tmp_path / "family.py").write_text(_FAMILY)
    done = subprocess.run(
        [sys.executable, "family.py", start_method, worker],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    sources = ["parent", "child", "pickled", "executor0", "executor1", "pool0", "pool1"]

    assert (done.returncode, done.stderr) == (0, "")
    assert Counter(read_log(tmp_path)) == Counter(line for source in sources for line in numbered(source, 500))


_FAMILY = """
import logging, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from concurrent_log import ConcurrentTimedRotatingFileHandler
from concurrent_log.background import BackgroundHandler

logger = logging.getLogger("app")

def work(source, handler=None):
    logger.setLevel(logging.INFO)
    if handler is not None:
        logger.handlers = [handler]
    elif not logger.handlers:
        target = ConcurrentTimedRotatingFileHandler("app.log")
        logger.handlers = [BackgroundHandler([target], worker=sys.argv[2], stop_timeout=100)]
    for number in range(500):
        logger.info("%s %d", source, number)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    work("parent")
    arguments = [("child",), ("pickled", logger.handlers[0])]
    children = [context.Process(target=work, args=each) for each in arguments]
    for child in children:
        child.start()
    for child in children:
        child.join()
    with ProcessPoolExecutor(2, context) as executor:
        list(executor.map(work, ["executor0", "executor1"]))
    with context.Pool(2) as pool:
        pool.map(work, ["pool0", "pool1"])
        pool.close()  # Exiting the with statement would kill the workers.
        pool.join()
"""
