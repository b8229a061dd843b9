"""Fixtures that all tests share."""

import asyncio
import contextlib
import importlib.util
import logging
import os
import pathlib
import shutil
import signal
import subprocess
import urllib.parse
import uuid
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import portalocker
import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell sets SIGINT to "ignore" for background jobs, and all programs that the tests interrupt would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest.register_assert_rewrite("support")

from support.deadlines import DEADLINE
from support.fake_collector import Collector
from support.node import PACKAGE, TOOL_DEADLINE, TOOLS, run, succeed
from support.writers import Clock, Writers


@pytest.fixture(autouse=True)
def enabled_loggers() -> None:
    """Enable the loggers that an earlier test's ``dictConfig`` disabled."""
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture(scope="session")
def require() -> Callable[[str], None]:
    """Return a function that skips the test if a module is not installed, or fails it where CI requires everything."""

    def installed_or_skip(module: str) -> None:
        if importlib.util.find_spec(module) is None:
            _skip_or_fail(f"{module} is not installed: pip install {module}")

    return installed_or_skip


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Return a function that finds a program, also in the folders for root; without the program it skips or fails."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

    def path_or_skip(name: str) -> str:
        path = shutil.which(name, path=folders)
        if path is None:
            _skip_or_fail(f"{name} is not on the PATH: install it")
        return path

    return path_or_skip


@pytest.fixture(scope="session")
def skip_or_fail() -> Callable[[str], None]:
    """Return a function that skips the test for a reason, or fails it where CI requires everything."""
    return _skip_or_fail


@pytest.fixture(scope="session")
def root() -> None:
    """Skip or fail a test that only root can run."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        _skip_or_fail("only root can do this: run the tests as root")


@pytest.fixture
def mount(root: None, program: Callable[[str], str]) -> Iterator[Callable[..., None]]:
    """Return a function that mounts something over a folder or a file; it is unmounted after the test."""
    with contextlib.ExitStack() as mounts:

        def mount_or_skip(place: pathlib.Path, *arguments: str) -> None:
            # Lazily, since a process may still use it. Registered first, in case of an interrupt right after mounting.
            unmount = [program("umount"), "--lazy", str(place)]
            mounts.callback(subprocess.run, unmount, stderr=subprocess.DEVNULL)
            command = [program("mount"), *arguments, str(place)]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode:
                _skip_or_fail(f"cannot mount: {run.stderr.strip()}")

        yield mount_or_skip


@pytest.fixture(scope="session")
def tools(program: Callable[[str], str]) -> pathlib.Path:
    """Return the folder with the JavaScript tools of the tests; install them if necessary."""
    npm = program("npm")
    with portalocker.Lock(TOOLS / ".tools.lock", "a", timeout=TOOL_DEADLINE):
        lock, installed = TOOLS / "package-lock.json", TOOLS / "node_modules" / ".package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
            done = run([npm, "ci", "--no-audit", "--no-fund"], TOOLS)
            if done.returncode:
                _skip_or_fail(f"npm ci failed in {TOOLS}: {done.stderr.strip()[-300:]}")
            installed.touch()
    return TOOLS


@pytest.fixture
def shop(program: Callable[[str], str], tmp_path: pathlib.Path) -> pathlib.Path:
    """Return a new npm project with a copy of the JavaScript package installed."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "package.json").write_text('{ "name": "shop", "private": true, "type": "module" }')
    succeed([program("npm"), "install", "--install-links", "--offline", "--no-audit", str(PACKAGE)], folder)
    return folder


@pytest.fixture
def clock() -> Clock:
    """Return the clock of the test's writers."""
    return Clock()


@pytest.fixture
def writers(tmp_path: pathlib.Path, clock: Clock) -> Iterator[Callable[..., Writers]]:
    """Return a function that creates writers of a log file; all of them are killed after the test."""
    made: list[Writers] = []

    def make(log_file: pathlib.Path, **options: Any) -> Writers:
        notes = tmp_path / f"notes-{len(made)}"
        notes.mkdir()
        made.append(Writers(notes, log_file, clock, options))
        return made[-1]

    yield make
    for each in made:
        each.kill_all()


@pytest.fixture
def collector() -> Iterator[Collector]:
    """Return a running fake collector."""
    made = Collector().start()
    yield made
    made.stop()


@pytest.fixture
def redis_keys(require: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Return the address of a Redis server, and the prefix of the keys that the test may use.

    The environment variable ``REDIS_URL`` names the server. Without a server the test is skipped or fails.
    """
    require("redis")
    import redis

    url, prefix = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"), f"concurrent_log-{uuid.uuid4()}-"
    with redis.Redis.from_url(url, socket_connect_timeout=DEADLINE) as server:
        try:
            server.ping()
        except redis.RedisError:
            _skip_or_fail(f"no Redis server at {url}: start one, or set REDIS_URL")
        yield url, prefix
        for key in server.scan_iter(f"{prefix}*"):
            server.delete(key)


@pytest.fixture
def postgres() -> Iterator[str]:
    """Return the address of a new PostgreSQL database, which is dropped after the test.

    The environment variable ``POSTGRES_URL`` names the server, and a database there that the test may connect to.
    """
    with _new_database() as address:
        yield address


@pytest.fixture(scope="session")
def new_database() -> Callable[[], contextlib.AbstractContextManager[str]]:
    """Return a function that creates a PostgreSQL database; it is dropped at the end of the ``with`` block."""
    return _new_database


@contextlib.contextmanager
def _new_database() -> Iterator[str]:
    if importlib.util.find_spec("asyncpg") is None:
        _skip_or_fail("asyncpg is not installed: pip install asyncpg")
    server = os.environ.get("POSTGRES_URL", "postgresql://postgres@127.0.0.1:5432/postgres")
    name = f"concurrent_log_{uuid.uuid4().hex[:12]}"
    try:
        _execute(server, f"CREATE DATABASE {name}")
    except OSError:
        _skip_or_fail(f"no PostgreSQL at {_without_password(server)}: start one, or set POSTGRES_URL")
    yield urllib.parse.urlsplit(server)._replace(path=f"/{name}").geturl()
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _without_password(address: str) -> str:
    parts = urllib.parse.urlsplit(address)
    return f"{parts.hostname}:{parts.port or 5432}"


def _execute(address: str, sql: str) -> None:
    with ThreadPoolExecutor(1) as thread:  # Playwright may run an event loop in this thread.
        thread.submit(asyncio.run, _executed(address, sql)).result()


async def _executed(address: str, sql: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(address, timeout=DEADLINE)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """Return the address of an empty database for a collector: once SQLite, once PostgreSQL."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres"))
    return str(tmp_path / "logs.sqlite3")


def _skip_or_fail(reason: str) -> NoReturn:
    """Skip the test, or fail it where CI requires everything."""
    if os.environ.get("CONCURRENT_LOG_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    _missing.add(reason)
    pytest.skip(reason)


_missing: set[str] = set()  # the reasons for which a test was skipped here


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give all tests that miss the same service the same place, so that the summary has one line for all of them."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if reason.removeprefix("Skipped: ") in _missing:
            report.longrepr = (__file__, _skip_or_fail.__code__.co_firstlineno, reason)
    return report
