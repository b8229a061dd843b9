"""`CollectorHandler` in real programs, with exits, forks and signals: each record arrives once."""

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from support.fake_collector import DEADLINE, Collector
from support.processes import PROGRAMS, Load, environment, serving
from support.processes import run as run_python
from support.record_counter import ids, source_counts

pytest.importorskip("msgspec")
pytest.importorskip("urllib3")
pytest.importorskip("tenacity")

_needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")

_BEGINNING = """
import atexit, gc, logging, os, signal, sys, threading, time, warnings
from concurrent_log.collector import CollectorHandler

warnings.simplefilter("ignore", DeprecationWarning)  # of forks in a process with threads, which are tested here
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)

def attach(**options):
    handler = CollectorHandler(os.environ["COLLECTOR_URL"], **options)
    logger.handlers = [handler]
    return handler

def log(source, count):
    for number in range(count):
        logger.info("%s %d", source, number)
"""


def run(folder: Path, text: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
    """Run a program that logs to the collector."""
    command = [sys.executable, "-c", _BEGINNING + textwrap.dedent(text)]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def numbered(source: str, count: int) -> list[str]:
    """Return the messages of ``log(source, count)``."""
    return [f"{source} {number}" for number in range(count)]


def assert_once(collector: Collector, messages: list[str]) -> None:
    """Check that exactly these messages arrived, each once."""
    assert Counter(collector.messages) == Counter(messages)


class TestExit:
    """The exit of a program: everything is sent, or the number of unsent records is printed."""

    def test_exit_right_after_the_last_record_loses_nothing(self, tmp_path: Path, collector: Collector) -> None:
        """The exit waits for the records in flight; log-collector-async may lose them."""
        done = run(tmp_path, "attach(); log('main', 5000)")

        assert collector.messages == numbered("main", 5000)
        assert done.stderr == ""

    def test_exit_during_a_retry_loses_nothing_and_keeps_the_order(self, tmp_path: Path, collector: Collector) -> None:
        """Records that are about to be retried are sent before newer ones."""
        collector.behave = lambda request: (503, {}) if len(collector.requests) < 2 else None
        run(
            tmp_path,
            """
            attach(flush_interval=0.01)
            log("first", 10)
            while logger.handlers[0].stats().last_error == "": time.sleep(0.01)
            log("second", 10)
            """,
        )

        assert collector.messages == [*numbered("first", 10), *numbered("second", 10)]

    def test_exit_waits_for_a_hanging_server_at_most_stop_timeout(self, tmp_path: Path, collector: Collector) -> None:
        """One line reports the unsent records; log-collector-async waits up to 27 s, and reports nothing."""
        collector.behave = lambda request: "hang"
        done = run(tmp_path, "attach(stop_timeout=0.2); log('main', 50)")

        line = f"concurrent_log: 50 records were not sent to {collector.url}/logs in time"
        assert done.stderr.startswith(line)
        assert len(done.stderr.splitlines()) == 1

    def test_exit_does_not_wait_for_an_unreachable_server(self, tmp_path: Path, collector: Collector) -> None:
        """After two attempts, one line reports the unsent records."""
        collector.stop()
        done = run(tmp_path, "attach(stop_timeout=3600.0); log('main', 50)")

        line = f"concurrent_log: 50 records were not sent to {collector.url}/logs in time (ConnectionRefusedError: "
        assert done.stderr.startswith(line)
        assert len(done.stderr.splitlines()) == 1

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_first_record_in_an_exit_callback_is_sent(self, tmp_path: Path, collector: Collector, when: str) -> None:
        """Since Python 3.12 no thread can start then: the logging thread sends."""
        register = "import atexit; atexit.register(lambda: __import__('logging').getLogger('app').info('last'))\n"
        program = _BEGINNING + "attach()\n"
        program = register + program if when == "before" else program + register
        subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=environment(), check=True, timeout=DEADLINE)

        assert collector.messages == ["last"]

    def test_record_of_a_daemon_thread_is_sent(self, tmp_path: Path, collector: Collector) -> None:
        """So is a record of a thread that outlives the main thread."""
        run(
            tmp_path,
            """
            attach()
            threading.Thread(target=log, args=("daemon", 10), daemon=True).start()
            threading.Thread(target=lambda: (time.sleep(0.2), log("thread", 10))).start()
            """,
        )

        assert_once(collector, [*numbered("daemon", 10), *numbered("thread", 10)])

    def test_exception_that_ends_the_program_loses_nothing(self, tmp_path: Path, collector: Collector) -> None:
        """The exit callbacks run after an uncaught exception, too."""
        run(tmp_path, "attach(); log('main', 10); 1 / 0", 1)

        assert collector.messages == numbered("main", 10)

    @pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by signals")
    def test_spool_survives_sigterm(self, tmp_path: Path, collector: Collector) -> None:
        """No exit callback runs; the next process sends the records."""
        kill = "os.kill(os.getpid(), signal.SIGTERM)"
        options = "spool_directory='spool', flush_interval=3600.0"
        run(tmp_path, f"attach({options}); log('killed', 10); {kill}", -signal.SIGTERM)
        run(tmp_path, f"attach({options}); log('next', 1)")

        run(tmp_path, f"attach({options}); log('last', 1); logger.handlers[0].flush()")
        assert_once(collector, [*numbered("killed", 10), "next 0", "last 0"])

    def test_unreferenced_handlers_leave_no_thread(self, tmp_path: Path, collector: Collector) -> None:
        """Thirty handlers are dropped without being closed."""
        done = run(
            tmp_path,
            """
            for number in range(30):
                attach()
                log(str(number), 10)
            logger.handlers.clear()
            give_up_at = time.monotonic() + 60
            while threading.active_count() > 1 and time.monotonic() < give_up_at:
                time.sleep(0.01)
            gc.collect()
            print(threading.active_count(), len(os.listdir("/proc/self/fd")) < 20 if sys.platform == "linux" else True)
            """,
        )

        assert done.stdout == "1 True\n"
        assert_once(collector, [text for number in range(30) for text in numbered(str(number), 10)])

    def test_no_thread_wakes_up_while_nothing_is_logged(self, tmp_path: Path, collector: Collector) -> None:
        """The thread waits for an event; that of log-collector-async wakes up ten times a second."""
        if sys.platform != "linux":
            pytest.skip("only Linux counts the context switches of a thread")
        done = run(
            tmp_path,
            """
            def switches():
                total = 0
                for task in os.listdir("/proc/self/task"):
                    with open(f"/proc/self/task/{task}/status") as status:
                        if int(task) != os.getpid():
                            total += sum(int(line.split()[1]) for line in status if "ctxt_switches" in line)
                return total

            attach(flush_interval=0.01).flush()
            log("main", 1)
            logger.handlers[0].flush()
            time.sleep(0.5)
            before = switches()
            time.sleep(1)
            print(before > 0, switches() - before)
            """,
        )

        assert done.stdout == "True 0\n"


@pytest.mark.skipif(sys.platform == "win32", reason="this platform has no timers that signal")
@pytest.mark.parametrize("mode", ["memory", "spool"])
def test_signal_handler_may_log_inside_a_logging_call(tmp_path: Path, collector: Collector, mode: str) -> None:
    """It interrupts the call anywhere and logs in the same thread: there is no deadlock, and no record is lost."""
    done = run(
        tmp_path,
        f"""
        import random
        def interrupt(number, frame):
            logger.info("signal %d", len(interrupts))
            interrupts.append(None)
            if not is_over:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(0.000_01, 0.000_5))

        interrupts, is_over = [], []
        attach(batch_size=100, **{{"spool_directory": "spool"}} if {mode!r} == "spool" else {{}})
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.001)
        log("main", 10_000)
        is_over.append(True)  # A signal at this moment must not restart the timer.
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(logger.handlers[0].flush(100), len(interrupts))
        """,
    )
    flushed, interrupts = done.stdout.split()

    assert (flushed, done.stderr) == ("True", "")
    assert int(interrupts) > 0
    assert_once(collector, [*numbered("main", 10_000), *numbered("signal", int(interrupts))])


@_needs_fork
class TestFork:
    """Forks while threads log."""

    def test_child_and_parent_send_each_record_once(self, tmp_path: Path, collector: Collector) -> None:
        """The child has its own thread, and does not send the records queued in the parent."""
        run(
            tmp_path,
            """
            attach(flush_interval=3600.0)
            log("before", 10)
            child = os.fork()
            log("child" if child == 0 else "parent", 10)
            if child:
                os.waitpid(child, 0)
            """,
        )

        sent = [*numbered("before", 10), *numbered("child", 10), *numbered("parent", 10)]
        assert_once(collector, sent)
        processes = {record["message"].split()[0]: record["process_id"] for record in collector.logs}
        assert processes["before"] == processes["parent"] != processes["child"]

    def test_fork_before_the_first_record_prints_nothing(self, tmp_path: Path, collector: Collector) -> None:
        """The handler is created before the fork, and has no thread and no queue yet."""
        done = run(
            tmp_path,
            """
            attach()
            child = os.fork()
            log("child" if child == 0 else "parent", 10)
            if child:
                os.waitpid(child, 0)
            """,
        )

        assert_once(collector, [*numbered("child", 10), *numbered("parent", 10)])
        assert done.stderr == ""

    def test_concurrent_forks_lose_nothing(self, tmp_path: Path, collector: Collector) -> None:
        """Some threads log, others fork, and each child logs; every record is stored once."""
        done = run(
            tmp_path,
            """
            def work(source):
                number = 0
                while not over.is_set():
                    logger.info("%s %d", source, number)
                    number += 1
                    time.sleep(0.001)
                print(f"{source} {number}\\n", end="")

            def fork(source):
                for number in range(20):
                    child = os.fork()
                    if child == 0:
                        logger.info("child%s %d", source, number)
                        handler.close()
                        os._exit(0)
                    os.waitpid(child, 0)
                print(f"child{source} 20\\n", end="")

            handler = attach(flush_interval=0.01)
            over = threading.Event()
            loggers = [threading.Thread(target=work, args=(source,)) for source in ("t", "u")]
            forkers = [threading.Thread(target=fork, args=(number,)) for number in range(3)]
            for thread in loggers + forkers:
                thread.start()
            for thread in forkers:
                thread.join()
            over.set()
            """,
        )
        counts = dict(line.split() for line in done.stdout.splitlines())

        assert len(counts) == 5
        assert_once(collector, [text for source, count in counts.items() for text in numbered(source, int(count))])
        assert done.stderr == ""

    def test_child_sends_while_a_request_of_the_parent_hangs(self, tmp_path: Path, collector: Collector) -> None:
        """A request in flight in the parent does not block the child."""
        collector.behave = lambda request: "hang" if len(collector.requests) == 1 else None
        run(
            tmp_path,
            """
            handler = attach(flush_interval=0.01, stop_timeout=0.1)
            log("parent", 1)
            time.sleep(0.3)
            child = os.fork()
            if child == 0:
                log("child", 10)
                print(handler.flush(100))
                os._exit(0)
            os.waitpid(child, 0)
            """,
        )

        assert_once(collector, numbered("child", 10))

    def test_thread_of_a_child_may_have_the_id_of_the_sending_thread(
        self, tmp_path: Path, collector: Collector
    ) -> None:
        """The child does not ignore the records of a thread with the id of the parent's sending thread."""
        collector.behave = lambda request: "hang" if len(collector.requests) == 1 else None
        run(
            tmp_path,
            """
            handler = attach(flush_interval=0.01, stop_timeout=0.1)
            log("parent", 1)
            time.sleep(0.3)
            child = os.fork()
            if child == 0:
                thread = threading.Thread(target=log, args=("child", 10))
                thread.start()
                thread.join()
                handler.flush(100)
                os._exit(0)
            os.waitpid(child, 0)
            """,
        )

        assert_once(collector, numbered("child", 10))


_FAMILY = """
import logging, multiprocessing, os, sys
from concurrent.futures import ProcessPoolExecutor
from concurrent_log.collector import CollectorHandler

logger = logging.getLogger("app")

def work(source, handler=None):
    logger.setLevel(logging.INFO)
    if handler is not None:
        logger.handlers = [handler]
    elif not logger.handlers:
        logger.handlers = [CollectorHandler(os.environ["COLLECTOR_URL"])]
    for number in range(500):
        logger.info("%s %d", source, number)

if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    work("parent")
    handed = logger.handlers[0]
    children = [context.Process(target=work, args=("child",)), context.Process(target=work, args=("handed", handed))]
    for child in children:
        child.start()
    for child in children:
        child.join()
    with ProcessPoolExecutor(2, context) as executor:
        list(executor.map(work, ["executor0", "executor1"]))
    pool = context.Pool(2)
    pool.map(work, ["pool0", "pool1"])
    pool.close()
    pool.join()
"""


# A forkserver child differs from a spawned one only in its parent.
_START_METHODS = [
    pytest.param(method, marks=[pytest.mark.slow] if method == "forkserver" else [])
    for method in multiprocessing.get_all_start_methods()
]


@pytest.mark.parametrize("start_method", _START_METHODS)
def test_children_of_every_kind_lose_nothing(tmp_path: Path, collector: Collector, start_method: str) -> None:
    """Forked children skip the exit callbacks; spawned ones unpickle a handler, or create one."""
    (tmp_path / "family.py").write_text(_FAMILY)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "family.py", start_method],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    sources = ["parent", "child", "handed", "executor0", "executor1", "pool0", "pool1"]

    assert (done.returncode, done.stderr) == (0, "")
    assert_once(collector, [text for source in sources for text in numbered(source, 500)])


def _ids(collector: Collector) -> "Counter[tuple[int, str]]":
    """Return the process and the id of each record of the logger ``app``."""
    return Counter(
        (record["process_id"], record["message"].split()[1]) for record in collector.logs if record["logger"] == "app"
    )


@_needs_fork
def test_gunicorn_that_preloads_loses_nothing(
    tmp_path: Path, collector: Collector, require: Callable[[str], None]
) -> None:
    """The arbiter has the handler, and logs before and while it forks the workers."""
    require("gunicorn")
    arguments = ["-m", "gunicorn", "--preload", "--workers", "3", "wsgi_collector"]
    with serving(tmp_path, lambda fd: [*arguments, "--bind", f"fd://{fd}"]) as server:
        with Load(server.port) as load:
            server.wait_until(lambda: len(load.workers) == 3)
            enough = time.monotonic() + 1
            server.wait_until(lambda: time.monotonic() > enough)
        server.stop()
    records = _ids(collector)
    arbiter = server.process.pid
    logged = source_counts(server.output)["background"]

    assert not load.unanswered
    assert set(records.values()) == {1}
    assert {id_ for process, id_ in records if process != arbiter} == load.ids(load.answered)
    of_arbiter = {id_ for process, id_ in records if process == arbiter}
    assert of_arbiter - {f"background-{logged}"} == {"imported-0"} | ids({"background": logged})


@pytest.mark.slow
@_needs_fork
def test_celery_that_forks_loses_nothing(tmp_path: Path, collector: Collector, require: Callable[[str], None]) -> None:
    """The processes of the pool end with os._exit, which skips the exit callbacks."""
    require("celery")
    sources = "abcdefgh"
    options = ["--pool", "prefork", "--concurrency", "4", "--without-gossip", "--without-mingle"]
    with serving(tmp_path, lambda fd: ["-m", "celery", "--app", "errands_collector", "worker", *options]) as server:
        run_python(tmp_path, str(PROGRAMS / "errands_collector.py"), *sources)
        server.wait_until(lambda: source_counts(server.output).keys() >= set(sources))
        server.stop()
    records = _ids(collector)

    assert set(records.values()) == {1}
    assert {id_ for _, id_ in records} == {"configured-0"} | ids(dict.fromkeys(sources, 50))
