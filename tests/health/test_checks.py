"""Ready-made checks: their arguments, their messages, and that they leave no resources behind."""

import asyncio
import contextlib
import errno
import inspect
import logging
import os
import queue
import re
import socket
import ssl
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import portalocker
import pytest

from support.paths import DOCS

for _module in ("aio_pika", "asyncpg", "boto3", "nats", "opensearchpy", "pymysql", "redis", "urllib3"):
    pytest.importorskip(_module)

from concurrent_log.health import checks
from concurrent_log.health.checks.muted_libraries import mute_in_checks, muted
from concurrent_log.health.checks.probes import make_async_check
from concurrent_log.health.failure_reasons import failure_reason
from concurrent_log.health.status import CheckFailed, Degraded
from support.check_assertions import WarningRecords, failure, run_check, warning
from support.deadlines import DEADLINE
from support.private_services import PASSWORD, USER, refusing_port, silent_port

_HANG_TIMEOUT = 0.3  # seconds until a check without a response fails, whatever the speed of the machine
_ALL_URLS = [
    "tcp://127.0.0.1:{port}",
    "http://{user}:{password}@127.0.0.1:{port}/",
    "https://{user}:{password}@127.0.0.1:{port}/",
    "collector+http://127.0.0.1:{port}",
    "postgresql://{user}:{password}@127.0.0.1:{port}/ledger",
    "mysql://{user}:{password}@127.0.0.1:{port}/ledger",
    "redis://{user}:{password}@127.0.0.1:{port}/0",
    "rediss://{user}:{password}@127.0.0.1:{port}/0",
    "redis-lock://{user}:{password}@127.0.0.1:{port}/0",
    "amqp://{user}:{password}@127.0.0.1:{port}/ledger",
    "amqps://{user}:{password}@127.0.0.1:{port}/ledger",
    "nats://{user}:{password}@127.0.0.1:{port}",
    "nats+tls://{user}:{password}@127.0.0.1:{port}",
    "opensearch+http://{user}:{password}@127.0.0.1:{port}",
    "smtp://{user}:{password}@127.0.0.1:{port}",
    "smtps://{user}:{password}@127.0.0.1:{port}",
]

# Before Python 3.11, asyncio closes a connection only a minute after its handshake was cancelled.
_CLOSED_LATER = ("amqps:", "rediss:") if sys.version_info < (3, 11) else ()


def _check(text: str, port: int, **options: Any) -> Any:
    return checks.from_url(text.format(user=USER, password=PASSWORD, port=port), **options)


def _s3(port: int, **options: Any) -> Any:
    return checks.s3("ledger", f"http://127.0.0.1:{port}", access_key=USER, secret_key=PASSWORD, **options)


def test_names_of_checks_are_pinned() -> None:
    """Adding or removing a check changes this list."""
    assert checks.__all__ == sorted(checks.__all__)
    assert checks.__all__ == [
        "collector", "disk", "file_descriptors", "file_lock", "from_url", "http", "lock", "message_queue", "mysql",
        "nats", "opensearch", "postgres", "rabbitmq", "redis", "redis_lock", "s3", "smtp", "tcp",
    ]  # fmt: skip


def test_page_lists_all_checks_and_their_options() -> None:
    """The table in the docs names every check, and each of its keyword options."""
    page = (DOCS / "health-checks.md").read_text("utf-8")
    rows = re.findall(r"^\| (?:`(\w+)`)? \|.*\| (.*) \|$", page.partition("## Warnings and failures")[0], re.MULTILINE)
    listed = {name: re.findall(r"`(\w+)`", options) for name, options in rows if name}
    positional = {"bucket", "host", "lock", "path", "port", "publish", "receive", "url"}

    assert listed == {
        name: [option for option in inspect.signature(getattr(checks, name)).parameters if option not in positional]
        for name in set(checks.__all__) - {"from_url"}
    }


def test_import_does_not_import_client_libraries() -> None:
    """The library of a service is imported when its check is created."""
    program = (
        "import sys, concurrent_log.health.checks\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    libraries = {
        "aio_pika",
        "asyncpg",
        "boto3",
        "nats",
        "opensearchpy",
        "pymysql",
        "urllib3",
    }  # portalocker imports redis.
    assert not libraries & set(run.stdout.split())


@pytest.mark.parametrize(
    ("url", "module", "message"),
    [
        ("postgresql://h/d", "asyncpg", "asyncpg is needed to check a PostgreSQL server: pip install asyncpg"),
        ("mysql://h/d", "pymysql", "pymysql is needed to check a MySQL or MariaDB server: pip install pymysql"),
        ("redis://h", "redis", "redis is needed to check a Redis server: pip install redis"),
        ("amqp://h", "aio_pika", "aio-pika is needed to check a RabbitMQ server: pip install aio-pika"),
        ("nats://h", "nats", "nats-py is needed to check a NATS server: pip install nats-py"),
        ("s3://b", "boto3", "boto3 is needed to check an S3 bucket: pip install boto3"),
        ("opensearch+http://h", "opensearchpy",
         "opensearch-py is needed to check an OpenSearch cluster: pip install opensearch-py"),
        ("http://h", "urllib3", "urllib3 is needed to check a URL: pip install urllib3"),
    ],
)  # fmt: skip
def test_missing_library_is_reported_when_the_check_is_created(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, message: str
) -> None:
    """The message ends with the command that installs the library."""
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ModuleNotFoundError) as raised:
        checks.from_url(url)
    assert str(raised.value) == message


@pytest.mark.parametrize("url", _ALL_URLS)
def test_closed_and_silent_ports_are_reported(url: str) -> None:
    """Every check reports a refused connection and a silent server, without the address."""
    with refusing_port() as port:
        assert failure(_check(url, port, timeout=DEADLINE), port, USER, PASSWORD, "ledger") == "connection refused"

    if url.startswith(("tcp:", *_CLOSED_LATER)):
        return
    with silent_port() as port:
        assert failure(_check(url, port, timeout=_HANG_TIMEOUT), port, USER, PASSWORD, "ledger") == "timed out"


@pytest.mark.parametrize("url", _ALL_URLS[4:])
def test_garbage_fails_without_being_quoted(url: str) -> None:
    """A server of another protocol fails the check, whose message contains nothing that the server sent."""
    with _GarbageServer(f"garbage of {PASSWORD}\r\n\r\n".encode()) as port:
        message = failure(_check(url, port, timeout=DEADLINE), port, USER, PASSWORD, "ledger", "garbage")

    assert 0 < len(message) < 100


class _GarbageServer:
    """Sends the same bytes to every client, and closes the connection."""

    def __init__(self, garbage: bytes) -> None:
        self._garbage = garbage
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> int:
        self._thread.start()
        return int(self._listening.getsockname()[1])

    def __exit__(self, *reason: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with client:
                self._respond(client)
            self._closed()

    def _respond(self, client: socket.socket) -> None:
        client.sendall(self._garbage)

    def _closed(self) -> None:
        """Do nothing after the connection of a client is closed."""


def test_long_rabbitmq_queue_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """More messages than ``most_waiting`` are a warning. The connection is a double; a real server is a slow test."""

    class Connection:
        def __init__(self, *_: object, **__: object) -> None:
            pass

        async def connect(self, timeout: float) -> None:
            pass

        async def channel(self) -> "Connection":
            return self

        async def declare_queue(self, name: str, *, passive: bool) -> Any:
            assert (name, passive) == ("orders", True)
            return types.SimpleNamespace(declaration_result=types.SimpleNamespace(message_count=3))

        async def close(self) -> None:
            pass

    monkeypatch.setattr("aio_pika.Connection", Connection)
    run_check(checks.rabbitmq("amqp://mq/shop", "orders", most_waiting=3))

    assert warning(checks.rabbitmq("amqp://mq/shop", "orders", 2), "orders") == "3 messages in the queue, more than 2"


class _MySQLServer(_GarbageServer):
    """Accepts each login and query, or rejects each login with an error code. A real server is a slow test."""

    # https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase.html
    _GREETING = (
        b"\x0a8.0.0\0" + bytes(4) + b"12345678\0" + b"\x0f\xa2" + b"\x21\x02\0" + b"\x08\0" + b"\x15"
        + bytes(10) + b"123456789012\0mysql_native_password\0"
    )  # fmt: skip
    _OK = b"\0\0\0\x02\0\0\0"

    def __init__(self, error_code: int | None = None) -> None:
        super().__init__(b"")
        error = b"" if error_code is None else b"\xff" + error_code.to_bytes(2, "little") + b"#28000no " + USER.encode()
        self._login = error or self._OK

    def _respond(self, client: socket.socket) -> None:
        with client.makefile("rb") as received, contextlib.suppress(OSError):
            client.sendall(self._packet(0, self._GREETING))
            self._read(received)
            client.sendall(self._packet(2, self._login))
            while (command := self._read(received)) and command[:1] != b"\x01":
                client.sendall(self._packet(1, self._OK))

    def _packet(self, number: int, payload: bytes) -> bytes:
        return len(payload).to_bytes(3, "little") + bytes([number]) + payload

    def _read(self, received: Any) -> bytes:
        header = received.read(4)
        return bytes(received.read(int.from_bytes(header[:3], "little")))


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1045, "the user name or password was rejected"),
        (1049, "the database does not exist"),
        (1040, "the server has too many connections"),
        (1999, "the server returned error 1999"),
    ],
)
def test_mysql_check_reports_the_reason(code: int, reason: str) -> None:
    """The check passes with a server that accepts the user and the query, and reports the code of an error."""
    url = "mysql://{user}:{password}@127.0.0.1:{port}/ledger"
    with _MySQLServer() as port:
        run_check(_check(url, port, timeout=DEADLINE))
    with _MySQLServer(code) as port:
        assert failure(_check(url, port, timeout=DEADLINE), port, USER, PASSWORD, "ledger") == reason


def test_failing_checks_leave_nothing_behind() -> None:
    """After 100 failing checks of all kinds, no socket, thread or task is left over."""
    with refusing_port() as port, silent_port() as silent:
        created = [_check(url, port, timeout=DEADLINE) for url in _ALL_URLS] + [_s3(port, timeout=DEADLINE)]
        created += [_check(url, silent, timeout=0.02) for url in _ALL_URLS[1:] if not url.startswith(_CLOSED_LATER)]
        for check in created:  # A resource that is opened only once is no leak.
            failure(check)
        before = _open_resources()
        for number in range(100):
            failure(created[number % len(created)])

        assert _is_at_most(before)


def _is_at_most(before: tuple[int, int]) -> bool:
    # Resources of an earlier test may have been closed in the meantime.
    return all(now <= then for now, then in zip(_open_resources(), before, strict=True))


def _open_resources() -> tuple[int, int]:
    return len(os.listdir("/dev/fd")) if os.path.exists("/dev/fd") else 0, threading.active_count()


@pytest.mark.parametrize(
    "url",
    [url for url in _ALL_URLS if not url.startswith(("tcp", "http", "coll", "mysql", "sm", "open", *_CLOSED_LATER))],
)
def test_cancelled_check_leaves_nothing_behind(url: str) -> None:
    """A check that is cancelled while it runs closes its connection."""

    async def cancel() -> None:
        check = asyncio.create_task(_check(url, silent, timeout=DEADLINE)())
        await asyncio.to_thread(has_accepted.acquire)
        check.cancel()
        with pytest.raises(asyncio.CancelledError):
            await check
        await asyncio.sleep(0)

    has_accepted, has_closed = threading.Semaphore(0), threading.Semaphore(0)
    with _SilentServer(has_accepted, has_closed) as silent:
        asyncio.run(cancel())
        assert has_closed.acquire(timeout=DEADLINE)
        before = _open_resources()
        asyncio.run(cancel())
        assert has_closed.acquire(timeout=DEADLINE)

        assert _is_at_most(before)


class _SilentServer(_GarbageServer):
    """Accepts connections, sends nothing, and waits until they are closed."""

    def __init__(self, has_accepted: threading.Semaphore, has_closed: threading.Semaphore) -> None:
        super().__init__(b"")
        self._has_accepted, self._has_closed = has_accepted, has_closed

    def _respond(self, client: socket.socket) -> None:
        self._has_accepted.release()
        while client.recv(2**16):
            pass

    def _closed(self) -> None:
        self._has_closed.release()


def test_check_that_swallows_its_cancellation_is_cancelled_again() -> None:
    """A library that continues after a cancellation is cancelled again."""

    async def ignore_first() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(DEADLINE)
        await asyncio.sleep(DEADLINE)

    assert failure(make_async_check("stubborn", ignore_first, _HANG_TIMEOUT)) == "timed out"


@pytest.mark.parametrize(
    ("create", "message"),
    [
        (lambda: checks.tcp("h", 0), "port=0"),
        (lambda: checks.tcp("h", 80, timeout=0), "timeout=0 must be"),
        (lambda: checks.tcp("h", 80, timeout=float("nan")), "timeout=nan must be"),
        (lambda: checks.tcp("h", 80, timeout="5"), "timeout='5' must be"),
        (lambda: checks.tcp(80, 80), "host must be a string"),
        (lambda: checks.http(17), "url must be a string"),
        (lambda: checks.http("https://h", ca_file="/nowhere.pem"), "ca_file='/nowhere.pem' cannot be read"),
        (lambda: checks.http("https://h", body=17), "body must be"),
        (lambda: checks.http("https://h", body=re.compile(b"ok")), "body must be"),
        (lambda: checks.http("https://h", status="200"), "status='200' must be"),
        (lambda: checks.redis("redis://h/shop"), "the database of Redis is a number"),
        (lambda: checks.redis("redis://h", ca_file=ssl.get_default_verify_paths().cafile), "write rediss://"),
        (lambda: checks.rabbitmq("amqp://h", most_waiting=3), "most_waiting=3 needs the name of a queue"),
        (lambda: checks.s3(""), "bucket must be"),
        (lambda: checks.s3("b", access_key=PASSWORD), "access_key and secret_key"),
        (lambda: checks.smtp("smtps://h", starttls=True), "starttls=True needs smtp://"),
        (lambda: checks.disk("/", free_percent=100), "free_percent=100 must be"),
        (lambda: checks.disk("/", free_bytes=-1), "free_bytes=-1 must not"),
        (lambda: checks.file_descriptors(0), "used_percent=0 must be"),
        (lambda: checks.lock(17), "lock must have acquire"),
        (lambda: checks.message_queue(print, 17), "must be functions"),
        (lambda: checks.message_queue(asyncio.sleep, print), "must both be async def"),
    ],
)
def test_invalid_argument_is_reported_at_once(create: Callable[[], Any], message: str) -> None:
    """An invalid argument raises when the check is created."""
    with pytest.raises((TypeError, ValueError), match=message) as raised:
        create()
    assert PASSWORD not in str(raised.value)


_INVALID_URLS = [
    "redis:/",
    "redis://",
    "redis://{user}:{password}@",
    "redis://{user}:{password}@h:99999",
    "redis://{user}:{password}/@h:6379",
    "redis://{user}:1{password}/@h:6379",
    "redis://{user}:{password}@[h",
    "redis://h/0#{password}",
    "{user}:{password}@h:6379",
    "{user}:{password}@h://x",
    "{password}",
    "",
    "ftp://{user}:{password}@h",
    "tcp://{user}:{password}@h",
    "s3://{user}:{password}@bucket",
    "amqp://{user}:{password}@h/v?heartbeat=3",
    "disk:",
    "python:",
    "file-descriptors:80",
]


@pytest.mark.parametrize("url", _INVALID_URLS)
def test_error_of_an_invalid_url_contains_no_secrets(url: str) -> None:
    """The error for an invalid URL shows neither user nor password, not even in a traceback."""
    with pytest.raises(ValueError, match=r"\w") as raised:
        checks.from_url(url.format(user=USER, password=PASSWORD))
    shown = f"{raised.value!r} {raised.value.__cause__!r}"

    assert USER not in shown
    assert PASSWORD not in shown
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_error_of_an_unknown_scheme_lists_the_known_ones() -> None:
    """The error for a mistyped scheme lists all schemes."""
    with pytest.raises(ValueError, match="ftp:// is not a known scheme; a check begins with one of amqp:, amqps:, "):
        checks.from_url("ftp://h")


@pytest.mark.parametrize(
    ("url", "options", "message"),
    [
        (
            "redis://h",
            {"databse": 1},
            "'databse' is not an option of the check redis: use one of ca_file, timeout",
        ),
        ("disk:/", {"timeout": 1}, "'timeout' is not an option of the check disk: use one of free_percent, free_bytes"),
        ("python:os:getcwd", {"timeout": 1}, "'timeout' is not an option of the check python: it has no options"),
    ],
)
def test_unknown_option_is_reported(url: str, options: dict[str, Any], message: str) -> None:
    """The error names the unknown option and the known ones."""
    with pytest.raises(TypeError, match=message):
        checks.from_url(url, **options)


def test_url_creates_the_check_of_its_scheme(tmp_path: Path) -> None:
    """Every scheme creates its check, whose repr shows only its name."""
    urls = ["disk:.", f"lock:{tmp_path / 'a.lock'}", "file-descriptors:", "s3://Bucket", "REDIS://h", "mariadb://h"]
    urls += ["postgres://h", "opensearch+https://h", "collector+https://h", "rediss-lock://h/0"]
    created = [checks.from_url(url) for url in urls]

    assert [check.__name__ for check in created] == [  # type: ignore[union-attr]
        "disk", "file_lock", "file_descriptors", "s3", "redis", "mysql", "postgres", "opensearch", "collector",
        "redis_lock",
    ]  # fmt: skip
    assert all(repr(check).startswith(f"<function {check.__name__} at ") for check in created)  # type: ignore[union-attr]


def test_function_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """``python:MODULE:FUNCTION`` returns that function of the program."""
    shop: Any = types.ModuleType("shop_of_test")
    shop.check_payments = lambda: None
    monkeypatch.setitem(sys.modules, "shop_of_test", shop)

    assert checks.from_url("python:shop_of_test:check_payments") is shop.check_payments
    for url in ("python:shop_of_test:nothing", "python:no_shop:check", "python:shop_of_test"):
        with pytest.raises(ValueError, match=url.partition(":")[2]):
            checks.from_url(url)


def test_lock_is_acquired_and_released() -> None:
    """A thread lock is acquired and released; the wait for a held one is limited."""
    held = threading.Lock()
    run_check(checks.lock(held, timeout=DEADLINE))
    run_check(checks.lock(threading.RLock, timeout=DEADLINE))
    assert not held.locked()

    with held:
        assert failure(checks.lock(held, timeout=_HANG_TIMEOUT)) == "the lock is already held"


def test_async_lock_is_acquired_and_released() -> None:
    """An async function can create an asyncio lock in the event loop of the check."""

    async def create() -> asyncio.Lock:
        return asyncio.Lock()

    async def create_held() -> asyncio.Lock:
        lock = asyncio.Lock()
        await lock.acquire()
        return lock

    run_check(checks.lock(create, timeout=DEADLINE))
    run_check(checks.lock(asyncio.Lock(), timeout=DEADLINE))
    assert failure(checks.lock(create_held, timeout=_HANG_TIMEOUT)) == "timed out"
    assert (
        failure(checks.lock(asyncio.Lock, timeout=DEADLINE))
        == "a function that creates an async lock must be async def"
    )


def test_lock_file_is_locked_and_unlocked(tmp_path: Path) -> None:
    """The file is created and locked; a lock of another holder fails the check."""
    path = tmp_path / "a.lock"
    run_check(checks.file_lock(path, timeout=DEADLINE))
    with portalocker.Lock(path, "a"):
        assert failure(checks.file_lock(path, timeout=_HANG_TIMEOUT), path) == "the lock is already held"
    missing = tmp_path / "nowhere" / "a.lock"
    assert failure(checks.file_lock(missing, timeout=DEADLINE), missing) == "no such file or directory"


def test_published_message_must_be_received() -> None:
    """The check receives its message after older ones, and fails if it does not arrive in time."""
    messages: queue.Queue[str] = queue.Queue()
    messages.put("an order")
    run_check(checks.message_queue(messages.put, lambda: messages.get(timeout=DEADLINE), timeout=DEADLINE))
    assert messages.empty()

    message = failure(checks.message_queue(lambda text: None, lambda: None, timeout=_HANG_TIMEOUT))
    assert message == "the published message was not received in time"
    assert failure(checks.message_queue(lambda text: None, messages.get_nowait, timeout=_HANG_TIMEOUT)) == message


def test_message_published_with_async_functions_must_be_received() -> None:
    """The functions of a queue may be async, and may return text or bytes."""
    messages: list[bytes] = []

    async def publish(text: str) -> None:
        messages.append(text.encode())

    async def receive() -> bytes | None:
        return messages.pop() if messages else None

    async def receive_nothing() -> None:
        return None

    run_check(checks.message_queue(publish, receive, timeout=DEADLINE))
    assert failure(checks.message_queue(publish, receive_nothing, timeout=_HANG_TIMEOUT)) == "timed out"
    assert "async def" in failure(checks.message_queue(lambda text: None, lambda: receive(), timeout=DEADLINE))
    assert "async def" in failure(checks.message_queue(lambda text: publish(text), lambda: None, timeout=DEADLINE))


def test_disk_warns_before_it_is_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Less than the limit is a warning, less than a tenth of it a failure. The larger of two limits applies."""
    run_check(checks.disk(tmp_path, 0))
    total = 10**9

    def usage(free: int) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda path: types.SimpleNamespace(total=total, free=free))

    usage(total // 10)
    run_check(checks.disk(tmp_path))
    usage(total // 10 - 1)
    assert warning(checks.disk(tmp_path)) == "99,999,999 bytes of the disk are free, 10.0 percent"
    run_check(checks.disk(tmp_path, 5))
    assert warning(checks.disk(tmp_path, 0, 10**8)).startswith("99,999,999 bytes")
    usage(total // 100 - 1)
    assert failure(checks.disk(tmp_path)) == "9,999,999 bytes of the disk are free, 1.0 percent"


def test_missing_path_fails_the_disk_check(tmp_path: Path) -> None:
    """A missing path is reported."""
    assert failure(checks.disk(tmp_path / "nowhere"), "nowhere") == "no such file or directory"


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Limit this process to 400 open files during the test."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_file_descriptors_warn_before_they_are_used_up(few_descriptors: None) -> None:
    """Many open files are a warning, almost all a failure, and so are too many to run the check."""
    opened: list[int] = []

    def open_until(count: int) -> None:
        while len(os.listdir("/dev/fd")) - 1 < count:
            opened.append(os.dup(0))

    try:
        run_check(checks.file_descriptors())
        open_until(330)
        assert warning(checks.file_descriptors()) == "330 of 400 file descriptors are in use"
        run_check(checks.file_descriptors(90))
        open_until(380)
        assert failure(checks.file_descriptors()) == "380 of 400 file descriptors are in use"
        while len(opened) < 500:
            try:
                opened.append(os.dup(0))
            except OSError:
                break
        message = failure(checks.file_descriptors())
    finally:
        for fd in opened:
            os.close(fd)
    assert message == "too many open files"


class _PoolTimeoutError(Exception):
    pass


def _chained(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(errno.ECONNREFUSED, "10.0.0.1 refused"), "connection refused"),
        (OSError(errno.EHOSTUNREACH, "10.0.0.1"), "no route to host"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 5432)"), os.strerror(111).lower()),
        (OSError(10**6, "10.0.0.1"), "operating system error"),
        (socket.gaierror(-2, "db.internal"), "the host name cannot be resolved"),
        (TimeoutError("10.0.0.1"), "timed out"),
        (asyncio.TimeoutError(), "timed out"),
        (ConnectionResetError(errno.ECONNRESET, "10.0.0.1"), "connection reset by peer"),
        (ConnectionError("10.0.0.1"), "the connection failed"),
        (KeyError("10.0.0.1"), "key error"),
        (_PoolTimeoutError("10.0.0.1"), "pool timeout error"),
        (Exception("10.0.0.1"), "exception"),
        (_chained(_PoolTimeoutError("10.0.0.1"), OSError(errno.EPIPE, "10.0.0.1")), "broken pipe"),
        (_PoolTimeoutError("10.0.0.1", OSError(errno.EPIPE, "10.0.0.1")), "broken pipe"),
    ],
)
def test_reason_follows_from_the_class_and_the_errno(error: Exception, expected: str) -> None:
    """The class of an exception, or of its cause, determines the reason. Its message does not appear."""
    assert failure_reason(error) == expected


def test_circular_causes_have_a_reason() -> None:
    """Exceptions that are causes of each other have a reason, too."""
    first, second = _PoolTimeoutError(), ValueError()
    first.__cause__, second.__cause__ = second, first

    assert failure_reason(first) == "pool timeout error"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups need Python 3.11")
def test_reason_of_an_exception_group_is_that_of_a_member() -> None:
    """The reason of an exception group is that of its first member that has one."""
    group = ExceptionGroup("10.0.0.1", [KeyError(), OSError(errno.EPIPE, "10.0.0.1")])  # noqa: F821

    assert failure_reason(group) == "broken pipe"


def test_library_is_muted_only_within_a_check() -> None:
    """The program's own use of a client library is logged as usual."""
    logger = logging.getLogger("library_of_test")
    mute_in_checks("library_of_test")
    with WarningRecords() as records:
        with muted():
            logger.warning("in a check")
        logger.warning("in the program")

    assert records.lines == ["in the program"]


def test_warning_of_a_user_function_is_passed_on() -> None:
    """A `Degraded` or `CheckFailed` of a function of the user is the result of the check."""

    def publish(text: str) -> None:
        raise Degraded("one of three brokers is unreachable")

    assert warning(checks.message_queue(publish, lambda: None)) == "one of three brokers is unreachable"


def test_check_can_run_repeatedly() -> None:
    """One check may run any number of times, also concurrently."""

    async def many(port: int) -> list[Any]:
        check: Any = checks.tcp("127.0.0.1", port, timeout=DEADLINE)
        return await asyncio.gather(*(check() for _ in range(20)), return_exceptions=True)

    with refusing_port() as port:
        assert {type(found) for found in asyncio.run(many(port))} == {CheckFailed}
