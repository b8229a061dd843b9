"""What all tests share."""

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
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn

import portalocker
import pytest

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell ignores it for what it starts in the background, and so would all programs that the tests interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest.register_assert_rewrite("support")

from support.fake_collector import Collector
from support.node import PACKAGE, TOOL_DEADLINE, TOOLS, run, succeed
from support.writers import Clock, Writers


@pytest.fixture(autouse=True)
def enabled_loggers() -> None:
    """Undo what a dictionary of a test before did to all loggers that it did not name."""
    for logger in logging.Logger.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.disabled = False


@pytest.fixture(scope="session")
def require() -> Callable[[str], None]:
    """Return what skips a test where a module is not installed, and fails it where everything has to be."""

    def installed_or_skip(module: str) -> None:
        if importlib.util.find_spec(module) is None:
            _skip_or_fail(f"{module} is not installed: pip install {module}")

    return installed_or_skip


@pytest.fixture(scope="session")
def program() -> Callable[[str], str]:
    """Return what finds a program, also where only root looks for it; without it, a test is skipped, or fails."""
    folders = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])

    def path_or_skip(name: str) -> str:
        path = shutil.which(name, path=folders)
        if path is None:
            _skip_or_fail(f"{name} is not on the PATH: install it")
        return path

    return path_or_skip


@pytest.fixture(scope="session")
def skip_or_fail() -> Callable[[str], None]:
    """Return what skips a test for the reason given, and fails it where everything has to be there."""
    return _skip_or_fail


@pytest.fixture(scope="session")
def root() -> None:
    """Skip, or fail, a test that only root can run."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        _skip_or_fail("only root can do this: run the tests as root")


@pytest.fixture
def mount(root: None, program: Callable[[str], str]) -> Iterator[Callable[..., None]]:
    """Return what mounts something over a folder or a file; it is unmounted whatever happens."""
    with contextlib.ExitStack() as mounts:

        def mount_or_skip(place: pathlib.Path, *arguments: str) -> None:
            # Lazily, since a process may still be in there; and also where an interrupt comes right after mounting.
            unmount = [program("umount"), "--lazy", str(place)]
            mounts.callback(subprocess.run, unmount, stderr=subprocess.DEVNULL)
            command = [program("mount"), *arguments, str(place)]
            run = subprocess.run(command, capture_output=True, text=True)
            if run.returncode:
                _skip_or_fail(f"cannot mount: {run.stderr.strip()}")

        yield mount_or_skip


@pytest.fixture(scope="session")
def tools(program: Callable[[str], str]) -> pathlib.Path:
    """Return the folder with the tests' own tools for JavaScript, which are installed if they are not."""
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
    """Return a new project that has installed the package from its folder, as a copy."""
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
    """Return a function that makes writers of a log file, and see to their end."""
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
    """Return a collector that runs."""
    made = Collector().start()
    yield made
    made.stop()


@pytest.fixture
def redis_keys(require: Callable[[str], None]) -> Iterator[tuple[str, str]]:
    """Return the address of a Redis server, and the prefix of the keys that the test may use there.

    The environment variable ``REDIS_URL`` names the server. Where none answers, the test does as where a module is
    not installed.
    """
    require("redis")
    import redis

    url, prefix = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0"), f"concurrent_log-{uuid.uuid4()}-"
    with redis.Redis.from_url(url, socket_connect_timeout=5) as server:
        try:
            server.ping()
        except redis.RedisError as error:
            _skip_or_fail(f"no Redis server answers at {url} ({error}): start one, or name yours in REDIS_URL")
        yield url, prefix
        for key in server.scan_iter(f"{prefix}*"):
            server.delete(key)


@pytest.fixture
def postgres() -> Iterator[str]:
    """Return the address of a new PostgreSQL database, which is dropped after the test.

    The environment variable ``POSTGRES_URL`` names the server, and a database there from which another can be made.
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
    except OSError as error:
        _skip_or_fail(f"no PostgreSQL answers ({error}): start one, or name yours in POSTGRES_URL")
    yield urllib.parse.urlsplit(server)._replace(path=f"/{name}").geturl()
    _execute(server, f"DROP DATABASE {name} WITH (FORCE)")


def _execute(address: str, sql: str) -> None:
    with ThreadPoolExecutor(1) as thread:  # In this one, Playwright may have an event loop.
        thread.submit(asyncio.run, _executed(address, sql)).result()


async def _executed(address: str, sql: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(address, timeout=5)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> str:
    """Return where a collector can keep its records: one test with SQLite, one with PostgreSQL."""
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres"))
    return str(tmp_path / "logs.sqlite3")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shared_database(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return where a collector can keep its records for all tests of a module: with SQLite, then with PostgreSQL."""
    if request.param == "postgres":
        with _new_database() as address:
            yield address
    else:
        yield str(tmp_path_factory.mktemp("database") / "logs.sqlite3")


def _skip_or_fail(reason: str) -> NoReturn:
    """Skip a test for want of something, or fail it where everything has to be there."""
    if os.environ.get("CONCURRENT_LOG_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
