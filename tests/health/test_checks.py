"""The ready-made checks: how they are made, what they say, and that they leave nothing behind."""

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
from concurrent_log.health.checks.library_logging import keep_quiet, quiet
from concurrent_log.health.checks.probes import async_check_of
from concurrent_log.health.failure_reasons import reason
from concurrent_log.health.status import CheckFailed, Degraded
from support.check_assertions import Records, ask, failure, warning
from support.private_services import PASSWORD, USER, refusing_port, silent_port

_SOON = 0.3  # seconds until a check of what does not answer gives up
_ALL = [
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

# Before Python 3.11, asyncio closes a connection of which the handshake was cancelled a minute later.
_OF_LATE_END = ("amqps:", "rediss:") if sys.version_info < (3, 11) else ()


def _check(text: str, port: int, **options: Any) -> Any:
    return checks.from_url(text.format(user=USER, password=PASSWORD, port=port), **options)


def _s3(port: int, **options: Any) -> Any:
    return checks.s3("ledger", f"http://127.0.0.1:{port}", access_key=USER, secret_key=PASSWORD, **options)


def test_names_of_checks_are_pinned() -> None:
    """A check comes or goes only together with this list."""
    assert checks.__all__ == sorted(checks.__all__)
    assert checks.__all__ == [
        "collector", "disk", "file_descriptors", "file_lock", "from_url", "http", "lock", "message_queue", "mysql",
        "nats", "opensearch", "postgres", "rabbitmq", "redis", "redis_lock", "s3", "smtp", "tcp",
    ]  # fmt: skip


def test_page_has_all_checks_with_all_their_options() -> None:
    """The table of the page names every check, and every option that it takes as a keyword."""
    page = (DOCS / "health-checks.md").read_text("utf-8")
    rows = re.findall(r"^\| (?:`(\w+)`)? \|.*\| (.*) \|$", page.partition("## What is a failure")[0], re.MULTILINE)
    listed = {name: re.findall(r"`(\w+)`", options) for name, options in rows if name}
    given = {"bucket", "host", "lock", "path", "port", "publish", "receive", "url"}

    assert listed == {
        name: [option for option in inspect.signature(getattr(checks, name)).parameters if option not in given]
        for name in set(checks.__all__) - {"from_url"}
    }


def test_import_needs_no_client_library() -> None:
    """The library of a service is imported when its check is made, and not before."""
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
    ("text", "module", "said"),
    [
        ("postgresql://h/d", "asyncpg", "asyncpg is needed to check a PostgreSQL server: pip install asyncpg"),
        ("mysql://h/d", "pymysql", "pymysql is needed to check a MySQL or MariaDB server: pip install pymysql"),
        ("redis://h", "redis", "redis is needed to check a Redis server: pip install redis"),
        ("amqp://h", "aio_pika", "aio-pika is needed to check a RabbitMQ server: pip install aio-pika"),
        ("nats://h", "nats", "nats-py is needed to check a NATS server: pip install nats-py"),
        ("s3://b", "boto3", "boto3 is needed to check a bucket of S3: pip install boto3"),
        ("opensearch+http://h", "opensearchpy",
         "opensearch-py is needed to check a cluster of OpenSearch: pip install opensearch-py"),
        ("http://h", "urllib3", "urllib3 is needed to check a URL: pip install urllib3"),
    ],
)  # fmt: skip
def test_missing_library_is_told_when_the_check_is_made(
    monkeypatch: pytest.MonkeyPatch, text: str, module: str, said: str
) -> None:
    """Without the library, the message says how to install it."""
    for name in [name for name in sys.modules if name.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(ModuleNotFoundError) as raised:
        checks.from_url(text)
    assert str(raised.value) == said


@pytest.mark.parametrize("text", _ALL)
def test_what_refuses_or_says_nothing_is_told(text: str) -> None:
    """Where nothing listens, and where nobody answers, every check says so, and nothing of where that was."""
    with refusing_port() as port:
        assert failure(_check(text, port, timeout=60), port, USER, PASSWORD, "ledger") == "connection refused"

    if text.startswith(("tcp:", *_OF_LATE_END)):
        return
    with silent_port() as port:
        assert failure(_check(text, port, timeout=_SOON), port, USER, PASSWORD, "ledger") == "timed out"


@pytest.mark.parametrize("text", _ALL[4:])
def test_garbage_is_told_without_a_word_of_it(text: str) -> None:
    """A server that speaks something else, and goes away, fails the check, in words of ours."""
    with _Babbler(f"garbage of {PASSWORD}\r\n\r\n".encode()) as port:
        said = failure(_check(text, port, timeout=60), port, USER, PASSWORD, "ledger", "garbage")

    assert 0 < len(said) < 100


class _Babbler:
    """Says the same to everybody, and hangs up."""

    def __init__(self, words: bytes) -> None:
        self._words = words
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
                self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        client.sendall(self._words)


def test_failing_checks_leave_nothing_behind() -> None:
    """After 100 failing checks of all kinds, no socket, thread or task is left."""
    with refusing_port() as port, silent_port() as silent:
        made = [_check(text, port, timeout=60) for text in _ALL] + [_s3(port, timeout=60)]
        made += [_check(text, silent, timeout=0.02) for text in _ALL[1:] if not text.startswith(_OF_LATE_END)]
        for check in made:  # What is opened only once is no leak.
            failure(check)
        before = _open()
        for number in range(100):
            failure(made[number % len(made)])

        assert _is_no_more(before)


def _is_no_more(before: tuple[int, int]) -> bool:
    # What a test before has left may end meanwhile.
    return all(now <= then for now, then in zip(_open(), before, strict=True))


def _open() -> tuple[int, int]:
    return len(os.listdir("/dev/fd")) if os.path.exists("/dev/fd") else 0, threading.active_count()


@pytest.mark.parametrize(
    "text",
    [text for text in _ALL if not text.startswith(("tcp", "http", "coll", "mysql", "sm", "open", *_OF_LATE_END))],
)
def test_cancelled_check_leaves_nothing_behind(text: str) -> None:
    """A check that is cancelled in the middle closes what it has opened."""

    async def cancel() -> None:
        check = asyncio.create_task(_check(text, silent, timeout=60)())
        await asyncio.to_thread(accepting.acquire)
        check.cancel()
        with pytest.raises(asyncio.CancelledError):
            await check
        await asyncio.sleep(0)

    accepting = threading.Semaphore(0)
    with _Mute(accepting) as silent:
        asyncio.run(cancel())
        before = _open()
        asyncio.run(cancel())

        assert _is_no_more(before)


class _Mute(_Babbler):
    """Takes connections, says nothing, and notices when they are closed."""

    def __init__(self, accepting: threading.Semaphore) -> None:
        super().__init__(b"")
        self._accepting = accepting

    def _answer(self, client: socket.socket) -> None:
        self._accepting.release()
        while client.recv(2**16):
            pass


def test_check_that_overhears_its_cancellation_is_ended() -> None:
    """A library that goes on when it is cancelled is cancelled again."""

    async def go_on() -> None:
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    assert failure(async_check_of("stubborn", go_on, _SOON)) == "timed out"


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: checks.tcp("h", 0), "port=0"),
        (lambda: checks.tcp("h", 80, timeout=0), "timeout=0 must be"),
        (lambda: checks.tcp("h", 80, timeout=float("nan")), "timeout=nan must be"),
        (lambda: checks.tcp("h", 80, timeout="5"), "timeout='5' must be"),
        (lambda: checks.tcp(80, 80), "host must be a text"),
        (lambda: checks.http(17), "url must be a text"),
        (lambda: checks.http("https://h", ca_file="/nowhere.pem"), "ca_file='/nowhere.pem' cannot be read"),
        (lambda: checks.http("https://h", body=17), "body must be"),
        (lambda: checks.http("https://h", body=re.compile(b"ok")), "body must be"),
        (lambda: checks.http("https://h", status="200"), "status='200' must be"),
        (lambda: checks.redis("redis://h/shop"), "the database of Redis is a number"),
        (lambda: checks.redis("redis://h", ca_file=ssl.get_default_verify_paths().cafile), "write rediss://"),
        (lambda: checks.rabbitmq("amqp://h", most_waiting=3), "most_waiting=3 needs the queue"),
        (lambda: checks.s3(""), "bucket must be"),
        (lambda: checks.s3("b", access_key=PASSWORD), "access_key and secret_key"),
        (lambda: checks.smtp("smtps://h", starttls=True), "starttls=True needs smtp://"),
        (lambda: checks.disk("/", free_percent=100), "free_percent=100 must be"),
        (lambda: checks.disk("/", free_bytes=-1), "free_bytes=-1 must not"),
        (lambda: checks.file_descriptors(0), "used_percent=0 must be"),
        (lambda: checks.lock(17), "lock must have acquire"),
        (lambda: checks.message_queue(print, 17), "must be functions"),
        (lambda: checks.message_queue(asyncio.sleep, print), "async def both"),
    ],
)
def test_argument_that_cannot_be_is_refused_at_once(make: Callable[[], Any], said: str) -> None:
    """What is wrong with an argument is said when the check is made."""
    with pytest.raises((TypeError, ValueError), match=said) as raised:
        make()
    assert PASSWORD not in str(raised.value)


_WRONG = [
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


@pytest.mark.parametrize("text", _WRONG)
def test_text_that_is_no_check_is_refused_without_secrets(text: str) -> None:
    """Whatever is wrong with a text, nothing of its user and password is shown, also not in a traceback."""
    with pytest.raises(ValueError, match=r"\w") as raised:
        checks.from_url(text.format(user=USER, password=PASSWORD))
    shown = f"{raised.value!r} {raised.value.__cause__!r}"

    assert USER not in shown
    assert PASSWORD not in shown
    assert raised.value.__suppress_context__ or raised.value.__context__ is None


def test_unknown_scheme_lists_the_known_ones() -> None:
    """Who has mistyped the scheme sees all that there are."""
    with pytest.raises(ValueError, match="ftp:// is not a known scheme; a check begins with one of amqp:, amqps:, "):
        checks.from_url("ftp://h")


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (
            "redis://h",
            {"databse": 1},
            "'databse' is not an option of a check of redis: these are known: ca_file, timeout",
        ),
        ("disk:/", {"timeout": 1}, "'timeout' is not an option of a check of disk: these .*: free_percent, free_bytes"),
        ("python:os:getcwd", {"timeout": 1}, "'timeout' is not an option of a check of python: it takes none"),
    ],
)
def test_unknown_option_is_refused(text: str, options: dict[str, Any], said: str) -> None:
    """An option that the check does not take is named, beside those that it takes."""
    with pytest.raises(TypeError, match=said):
        checks.from_url(text, **options)


def test_text_makes_the_check_that_it_names(tmp_path: Path) -> None:
    """Every scheme leads to its check, whose repr says no more than its name."""
    texts = ["disk:.", f"lock:{tmp_path / 'a.lock'}", "file-descriptors:", "s3://Bucket", "REDIS://h", "mariadb://h"]
    texts += ["postgres://h", "opensearch+https://h", "collector+https://h", "rediss-lock://h/0"]
    made = [checks.from_url(text) for text in texts]

    assert [check.__name__ for check in made] == [  # type: ignore[union-attr]
        "disk", "file_lock", "file_descriptors", "s3", "redis", "mysql", "postgres", "opensearch", "collector",
        "redis_lock",
    ]  # fmt: skip
    assert all(repr(check).startswith(f"<function {check.__name__} at ") for check in made)  # type: ignore[union-attr]


def test_function_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of the program is a check by the name of its module and its own, and the check is that function."""
    shop: Any = types.ModuleType("shop_of_test")
    shop.check_payments = lambda: None
    monkeypatch.setitem(sys.modules, "shop_of_test", shop)

    assert checks.from_url("python:shop_of_test:check_payments") is shop.check_payments
    for text in ("python:shop_of_test:nothing", "python:no_shop:check", "python:shop_of_test"):
        with pytest.raises(ValueError, match=text.partition(":")[2]):
            checks.from_url(text)


def test_lock_is_taken_and_released() -> None:
    """A lock of threads is taken and released; one that is held is not waited for without end."""
    held = threading.Lock()
    ask(checks.lock(held, timeout=60))
    ask(checks.lock(threading.RLock, timeout=60))
    assert not held.locked()

    with held:
        assert failure(checks.lock(held, timeout=_SOON)) == "the lock is held by another"


def test_async_lock_is_taken_and_released() -> None:
    """So is a lock of asyncio, which an async function makes in the loop of the check."""

    async def make() -> asyncio.Lock:
        return asyncio.Lock()

    async def make_held() -> asyncio.Lock:
        lock = asyncio.Lock()
        await lock.acquire()
        return lock

    ask(checks.lock(make, timeout=60))
    ask(checks.lock(asyncio.Lock(), timeout=60))
    assert failure(checks.lock(make_held, timeout=_SOON)) == "timed out"
    assert failure(checks.lock(asyncio.Lock, timeout=60)) == "a function that makes an async lock must be async def"


def test_lock_file_is_taken_and_released(tmp_path: Path) -> None:
    """A lock file is made, and locked by one at a time."""
    path = tmp_path / "a.lock"
    ask(checks.file_lock(path, timeout=60))
    with portalocker.Lock(path, "a"):
        assert failure(checks.file_lock(path, timeout=_SOON), path) == "the lock is held by another"
    missing = tmp_path / "nowhere" / "a.lock"
    assert failure(checks.file_lock(missing, timeout=60), missing) == "no such file or directory"


def test_queue_gives_back_what_was_put_in() -> None:
    """What is put into a queue must come out, also after what others have left there."""
    waiting: queue.Queue[str] = queue.Queue()
    waiting.put("an order")
    ask(checks.message_queue(waiting.put, lambda: waiting.get(timeout=60), timeout=60))
    assert waiting.empty()

    said = failure(checks.message_queue(lambda text: None, lambda: None, timeout=_SOON))
    assert said == "what was put into the queue did not come out of it in time"
    assert failure(checks.message_queue(lambda text: None, waiting.get_nowait, timeout=_SOON)) == said


def test_async_queue_gives_back_what_was_put_in() -> None:
    """So must what is put into a queue of asyncio, as text or as bytes."""
    waiting: list[bytes] = []

    async def publish(text: str) -> None:
        waiting.append(text.encode())

    async def receive() -> bytes | None:
        return waiting.pop() if waiting else None

    async def receive_nothing() -> None:
        return None

    ask(checks.message_queue(publish, receive, timeout=60))
    assert failure(checks.message_queue(publish, receive_nothing, timeout=_SOON)) == "timed out"
    assert "async def" in failure(checks.message_queue(lambda text: None, lambda: receive(), timeout=60))
    assert "async def" in failure(checks.message_queue(lambda text: publish(text), lambda: None, timeout=60))


def test_disk_warns_before_it_is_full(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Below the limit is a warning, below a tenth of it a failure; the larger limit of the two holds."""
    ask(checks.disk(tmp_path, 0))
    total = 10**9

    def usage(free: int) -> None:
        monkeypatch.setattr("shutil.disk_usage", lambda path: types.SimpleNamespace(total=total, free=free))

    usage(total // 10)
    ask(checks.disk(tmp_path))
    usage(total // 10 - 1)
    assert warning(checks.disk(tmp_path)) == "99,999,999 bytes of the disk are free, 10.0 percent"
    ask(checks.disk(tmp_path, 5))
    assert warning(checks.disk(tmp_path, 0, 10**8)).startswith("99,999,999 bytes")
    usage(total // 100 - 1)
    assert failure(checks.disk(tmp_path)) == "9,999,999 bytes of the disk are free, 1.0 percent"


def test_disk_that_is_not_there_fails(tmp_path: Path) -> None:
    """A path that is missing is told."""
    assert failure(checks.disk(tmp_path / "nowhere"), "nowhere") == "no such file or directory"


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Let this process have no more than 400 files open for a while."""
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_file_descriptors_warn_before_they_are_used_up(few_descriptors: None) -> None:
    """Many open files are a warning, almost all a failure; and so is that none is left to look."""
    opened: list[int] = []

    def open_until(count: int) -> None:
        while len(os.listdir("/dev/fd")) - 1 < count:
            opened.append(os.dup(0))

    try:
        ask(checks.file_descriptors())
        open_until(330)
        assert warning(checks.file_descriptors()) == "330 of 400 file descriptors are in use"
        ask(checks.file_descriptors(90))
        open_until(380)
        assert failure(checks.file_descriptors()) == "380 of 400 file descriptors are in use"
        while len(opened) < 500:
            try:
                opened.append(os.dup(0))
            except OSError:
                break
        said = failure(checks.file_descriptors())
    finally:
        for fd in opened:
            os.close(fd)
    assert said == "too many open files"


class _PoolTimeoutError(Exception):
    pass


def _chained(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ECONNREFUSED, "10.0.0.1 refused"), "connection refused"),
        (OSError(errno.EHOSTUNREACH, "10.0.0.1"), "no route to host"),
        (OSError("Multiple exceptions: [Errno 111] Connect call failed ('::1', 5432)"), os.strerror(111).lower()),
        (OSError(10**6, "10.0.0.1"), "an error of the operating system"),
        (socket.gaierror(-2, "db.internal"), "the name of the host is not known"),
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
def test_reason_is_that_of_the_kind(error: Exception, said: str) -> None:
    """An exception, or what led to it, gives the reason by its kind, without a word of its text."""
    assert reason(error) == said


def test_reason_of_a_circle_ends() -> None:
    """Exceptions that lead to each other have a reason, too."""
    first, second = _PoolTimeoutError(), ValueError()
    first.__cause__, second.__cause__ = second, first

    assert reason(first) == "pool timeout error"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups came with Python 3.11")
def test_reason_of_a_group_is_that_of_one_in_it() -> None:
    """A group of exceptions gives the reason of the first that has one."""
    group = ExceptionGroup("10.0.0.1", [KeyError(), OSError(errno.EPIPE, "10.0.0.1")])  # noqa: F821

    assert reason(group) == "broken pipe"


def test_library_is_quiet_only_within_a_check() -> None:
    """The program's own use of a client library is logged as ever."""
    logger = logging.getLogger("library_of_test")
    keep_quiet("library_of_test")
    with Records() as records:
        with quiet():
            logger.warning("in a check")
        logger.warning("in the program")

    assert records.lines == ["in the program"]


def test_own_verdict_of_a_function_passes() -> None:
    """What a queue's function says itself, as a failure or a warning, is what the check says."""

    def publish(text: str) -> None:
        raise Degraded("one of three brokers is away")

    assert warning(checks.message_queue(publish, lambda: None)) == "one of three brokers is away"


def test_check_can_run_again_and_again() -> None:
    """One check may run any number of times, also at the same time."""

    async def many(port: int) -> list[Any]:
        check: Any = checks.tcp("127.0.0.1", port, timeout=60)
        return await asyncio.gather(*(check() for _ in range(20)), return_exceptions=True)

    with refusing_port() as port:
        assert {type(found) for found in asyncio.run(many(port))} == {CheckFailed}
