"""`BackgroundHandler` and file handlers in isolated sub-interpreters, where daemon threads are forbidden."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.processes import run
from support.records import lines

pytestmark = pytest.mark.skipif(sys.version_info < (3, 12), reason="isolated sub-interpreters exist since Python 3.12")

_RUN = """
import sys
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

START = '''
import sys
sys.path[:] = PATH
import logging
from concurrent_log import BackgroundHandler, ConcurrentRotatingFileHandler
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
'''.replace("PATH", repr(sys.path))

def run(code):
    interpreter = interpreters.create()
    result = interpreters.run_string(interpreter, START + code)
    interpreters.destroy(interpreter)
    if result is not None:
        sys.exit(str(result))
"""

_LOG = """
run('''
handler = BackgroundHandler([ConcurrentRotatingFileHandler("app.log")], {options})
logger.addHandler(handler)
for number in range(100):
    logger.info("record %d", number)
{end}
''')
"""

_RECORDS = [f"record {number}" for number in range(100)]


@pytest.fixture(autouse=True, scope="module")
def _working_interpreters() -> None:
    """Skip where the standard library alone makes the process abort, as `asyncio` does in CPython 3.12.1."""
    program = _RUN.partition("START = ")[0] + "interpreters.run_string(interpreters.create(), 'import asyncio')"
    if subprocess.run([sys.executable, "-c", program], capture_output=True).returncode < 0:
        pytest.skip("this Python aborts after a sub-interpreter has imported asyncio")


@pytest.mark.parametrize("end", ["handler.close()", "handler.flush(); handler.close(); handler.close()", ""])
@pytest.mark.parametrize("options", ["", "capacity=5", "worker='process'"])
def test_records_are_written_at_the_end(options: str, end: str, tmp_path: Path) -> None:
    """P1, P8: with or without a close, nothing is lost, and nothing is printed."""
    output = run(tmp_path, "-c", _RUN + _LOG.format(options=options, end=end))

    assert output == ""
    assert lines(tmp_path / "app.log") == _RECORDS


def test_interpreter_that_is_not_destroyed_writes_its_records(tmp_path: Path) -> None:
    """P1: the end of the program ends the interpreters that are left."""
    program = _RUN.replace("interpreters.destroy(interpreter)", "pass") + _LOG.format(options="", end="handler.flush()")

    assert run(tmp_path, "-c", program) == ""
    assert lines(tmp_path / "app.log") == _RECORDS


def test_main_interpreter_and_others_write_one_file(tmp_path: Path) -> None:
    """P1: each interpreter has a handler and a thread of its own, also several at the same time."""
    program = (
        _RUN
        + """
import logging, threading
from concurrent_log import BackgroundHandler, ConcurrentRotatingFileHandler
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(BackgroundHandler([ConcurrentRotatingFileHandler("app.log")]))
code = '''
logger.addHandler(BackgroundHandler([ConcurrentRotatingFileHandler("app.log")]))
for number in range(100):
    logger.info("SOURCE %d", number)
'''
threads = [threading.Thread(target=run, args=(code.replace("SOURCE", name),)) for name in "ab"]
for thread in threads:
    thread.start()
for number in range(100):
    logger.info("main %d", number)
for thread in threads:
    thread.join()
"""
    )

    assert run(tmp_path, "-c", program) == ""
    expected = [f"{source} {number}" for source in ("main", "a", "b") for number in range(100)]
    assert sorted(lines(tmp_path / "app.log")) == sorted(expected)


def test_handler_that_compresses_keeps_plain_backups(tmp_path: Path) -> None:
    """P4: without a thread, the backups are there, and the next rollover of another process compresses them."""
    program = (
        _RUN
        + """
run('''
logger.addHandler(ConcurrentRotatingFileHandler("app.log", maxBytes=1000, backupCount=5, use_gzip=True))
for number in range(100):
    logger.info("record %d", number)
''')
"""
    )

    assert run(tmp_path, "-c", program) == ""
    paths = [*sorted(tmp_path.glob("app.log.*"), reverse=True), tmp_path / "app.log"]
    assert [line for path in paths for line in lines(path)] == _RECORDS


@pytest.mark.skipif(sys.version_info < (3, 14), reason="InterpreterPoolExecutor exists since Python 3.14")
def test_interpreter_pool_loses_no_record(tmp_path: Path) -> None:
    """P1: the workers of `concurrent.futures.InterpreterPoolExecutor` write one file."""
    (tmp_path / "tasks.py").write_text(
        """
import logging
from concurrent_log import BackgroundHandler, ConcurrentRotatingFileHandler

logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
logger.addHandler(BackgroundHandler([ConcurrentRotatingFileHandler("app.log")]))

def work(source):
    for number in range(10):
        logger.info("%d %d", source, number)
""",
        encoding="utf-8",
    )
    program = """
import sys
sys.path.insert(0, "")
from concurrent.futures import InterpreterPoolExecutor
import tasks
if __name__ == "__main__":
    with InterpreterPoolExecutor(2) as pool:
        list(pool.map(tasks.work, range(10)))
"""

    assert run(tmp_path, "-c", program) == ""
    expected = [f"{source} {number}" for source in range(10) for number in range(10)]
    assert sorted(lines(tmp_path / "app.log")) == sorted(expected)
