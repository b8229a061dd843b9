"""The global error handler: which errors it records, and that stderr and the exit status do not change."""

import asyncio
import logging
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concurrent_log.collector import AsyncLogClient
from support.fake_collector import DEADLINE, Collector
from support.processes import environment

_IMPORTS = "import asyncio, contextlib, gc, os, signal, sys, threading\n"
_CLIENT = "import concurrent_log.collector as c; client = c.AsyncLogClient({!r}, enable_global_error_handler=True)"


@pytest.fixture
def both(collector: Collector, tmp_path: pathlib.Path) -> Callable[[str], list[dict[str, Any]]]:
    """Return a function that runs a program with CLIENT replaced by nothing, then by a client, and returns its records.

    It fails if the two runs differ in their exit status or in stderr.
    """

    def run(program: str) -> tuple[int, str]:
        (tmp_path / "program.py").write_text(program, encoding="utf-8")
        command = [sys.executable, "program.py"]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=DEADLINE
        )
        return done.returncode, re.sub(r"0x[0-9a-f]+", "0x", done.stderr)

    def run_both(program: str) -> list[dict[str, Any]]:
        program = _IMPORTS + textwrap.dedent(program)
        without = run(program.replace("CLIENT", "pass"))

        assert run(program.replace("CLIENT", _CLIENT.format(collector.url))) == without
        return collector.logs

    return run_both


Both = Callable[[str], list[dict[str, Any]]]


def messages_and_types(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return the message and the error type of each record."""
    assert {record["level"] for record in records} <= {"ERROR"}
    # Some versions of Python omit the arguments of a callback.
    return [(record["message"].replace("int('x')", "int()"), record.get("error_type", "")) for record in records]


def test_an_exception_that_ends_the_program(both: Both) -> None:
    """It is sent before the process ends, with its stack trace and its place."""
    (record,) = both(
        """
        CLIENT
        def sell():
            raise ValueError("gone")
        sell()
        """
    )

    assert messages_and_types([record]) == [("Uncaught exception: ValueError: gone", "ValueError")]
    assert record["function_name"] == "sell"
    assert record["file_path"].endswith("program.py")
    assert record["line_number"] == 5
    assert record["stack_trace"].endswith("ValueError: gone\n")


def test_exceptions_in_threads(both: Both) -> None:
    """The records name the thread."""
    records = both(
        """
        CLIENT
        def fail():
            raise LookupError("gone")
        for name in "ab":
            thread = threading.Thread(target=fail, name=name)
            thread.start()
            thread.join()
        """
    )

    assert messages_and_types(records) == [
        (f"Uncaught exception in thread {name}: LookupError: gone", "LookupError") for name in "ab"
    ]
    assert [record["thread_name"] for record in records] == ["a", "b"]


def test_unraisable_exception(both: Both) -> None:
    """An exception in a finalizer cannot be raised."""
    (record,) = both(
        """
        CLIENT
        class Shop:
            def __del__(self):
                raise OSError("closed")
        Shop()
        gc.collect()
        """
    )

    assert record["error_type"] == "OSError"
    assert record["message"].endswith("Shop.__del__: OSError: closed")
    assert record["function_name"] == "__del__"


def test_unraisable_exception_inside_a_logging_call(both: Both) -> None:
    """A garbage collection may start anywhere in the client: there is no deadlock, and no record is lost."""
    records = both(
        """
        CLIENT
        class Cycle:
            def __init__(self): self.me = self
            def __del__(self): raise OSError
        gc.set_threshold(3)
        for number in range(200):
            Cycle()
            if "client" in globals(): client.info("x", numbers=[number], level="high" if number % 2 else "low")
        gc.collect()
        """
    )

    assert [record["message"] for record in records].count("x") == 200
    assert [record.get("error_type") for record in records].count("OSError") == 200


@pytest.mark.parametrize(
    ("program", "status"),
    [
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("class Mine(KeyboardInterrupt): pass\nraise Mine", None),
        ("raise SystemExit(3)", 3),
        ("sys.exit('bye')", 1),
        ("def end(): sys.exit(3)\nthread = threading.Thread(target=end)\nthread.start(); thread.join()", 0),
        ("def end(): raise KeyboardInterrupt\nthread = threading.Thread(target=end)\nthread.start(); thread.join()", 0),
        ("class Shop:\n    def __del__(self): raise KeyboardInterrupt\nShop()\ngc.collect()", 0),
    ],
)
def test_request_to_end_the_program_is_not_recorded(both: Both, program: str, status: int | None) -> None:
    """log-collector-async records a KeyboardInterrupt as an error."""
    assert both(f"CLIENT\n{program}") == []


def test_any_exception_is_recorded(both: Both) -> None:
    """The exception may be false, and have no text."""
    (record,) = both(
        """
        CLIENT
        class Odd(BaseException):
            def __bool__(self): return False
            def __str__(self): raise RuntimeError
        raise Odd
        """
    )

    assert messages_and_types([record]) == [("Uncaught exception: Odd: <Odd without a text>", "Odd")]


_LOOP = """
async def fail():
    raise ValueError("in a task")
async def main():
    INSIDE
    loop = asyncio.get_running_loop()
    loop.call_soon(int, "x")
    asyncio.ensure_future(fail())
    await asyncio.sleep(0.01)
    gc.collect()
    loop.call_exception_handler({"message": "only a text"})
    sys.excepthook = sys.__excepthook__
    raise LookupError
OUTSIDE
"""
_OF_LOOP = [
    ("Exception in callback int(): ValueError: invalid literal for int() with base 10: 'x'", "ValueError"),
    ("Task exception was never retrieved: ValueError: in a task", "ValueError"),
    ("only a text", ""),
]


@pytest.mark.parametrize(("inside", "outside"), [("CLIENT", "pass"), ("pass", "CLIENT"), ("CLIENT", "CLIENT")])
def test_errors_in_a_loop(both: Both, inside: str, outside: str) -> None:
    """Errors of a running loop and of one that is created later are recorded, once for each client."""
    program = _LOOP.replace("INSIDE", inside).replace("OUTSIDE", outside) + "asyncio.run(main())\n"
    clients = [inside, outside].count("CLIENT")

    assert sorted(messages_and_types(both(program))) == sorted(_OF_LOOP * clients)


def test_errors_in_a_uvloop_loop(both: Both, require: Callable[[str], None]) -> None:
    """With uvloop installed, uvicorn uses its loop."""
    require("uvloop")
    program = _LOOP.replace("INSIDE", "pass").replace("OUTSIDE", "CLIENT")
    program += "import uvloop\nloop = uvloop.new_event_loop()\nloop.run_until_complete(main())\n"

    assert [kind for _, kind in messages_and_types(both(program))] == ["ValueError", "ValueError", ""]


def test_errors_in_a_loop_with_a_handler_of_its_own(both: Both) -> None:
    """The loop's own exception handler is still called."""
    program = """
        def mine(loop, context):
            print("mine:", context["message"], file=sys.stderr)
        async def main():
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(mine)
            CLIENT
            loop.call_exception_handler({"message": "a"})
            with contextlib.suppress(NameError):
                client.close()
            assert loop.get_exception_handler() is mine
            loop.call_exception_handler({"message": "b"})
        asyncio.run(main())
        """

    assert messages_and_types(both(program)) == [("a", "")]


def test_the_previous_hook_is_called(both: Both) -> None:
    """This holds for each kind of hook; a hook set later may call ours."""
    records = both(
        """
        def after(name, before=None):
            def hook(*arguments):
                print(name, *(getattr(arguments[0], "exc_type", arguments[0]),), file=sys.stderr)
                if before: before(*arguments)
            return hook
        sys.excepthook = after("main")
        threading.excepthook = after("thread")
        sys.unraisablehook = after("unraisable")
        CLIENT
        sys.excepthook = after("above main", sys.excepthook)
        thread = threading.Thread(target=int, args="x"); thread.start(); thread.join()
        class Shop:
            def __del__(self): raise OSError
        Shop(); gc.collect()
        raise LookupError
        """
    )

    assert [kind for _, kind in messages_and_types(records)] == ["ValueError", "OSError", "LookupError"]


def test_a_forked_child(both: Both, collector: Collector) -> None:
    """A child after a fork records an exception in a thread once."""
    if not hasattr(os, "fork"):
        pytest.skip("this platform cannot fork")
    records = both(
        """
        CLIENT
        if not os.fork():
            thread = threading.Thread(target=int, args="x", name="a"); thread.start(); thread.join()
            sys.exit()
        os.wait()
        """
    )

    assert [kind for _, kind in messages_and_types(records)] == ["ValueError"]


# Restoring the hooks.


def hooks() -> list[Any]:
    """Return the current hooks."""
    return [sys.excepthook, threading.excepthook, sys.unraisablehook, list(logging.getLogger("asyncio").filters)]


@pytest.fixture
def client_of(collector: Collector) -> Iterator[Callable[[], AsyncLogClient]]:
    """Return a function that creates clients with error handlers; check afterwards that the hooks are restored."""
    before = hooks()
    clients = []

    def make() -> AsyncLogClient:
        clients.append(AsyncLogClient(collector.url, enable_global_error_handler=True, env_file=None))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
    assert hooks() == before


ClientOf = Callable[[], AsyncLogClient]


def test_close_restores_the_hooks(client_of: ClientOf) -> None:
    """The last client that is closed restores them."""
    before = hooks()
    first, second = client_of(), client_of()

    assert not any(hook in before for hook in hooks())
    first.close()
    assert not any(hook in before for hook in hooks())
    second.close()
    assert hooks() == before
    second.close()
    assert hooks() == before


def test_close_keeps_the_hook_of_another_library(
    client_of: ClientOf, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our hook stays below it, and only calls the previous one; a later client records each error once."""
    seen: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *arguments: seen.append(arguments))
    client = client_of()
    ours = sys.excepthook

    def theirs(*arguments: Any) -> None:
        ours(*arguments)

    sys.excepthook = theirs
    client.close()

    assert sys.excepthook is theirs
    error = ValueError("a")
    sys.excepthook(ValueError, error, None)
    assert seen == [(ValueError, error, None)]

    later = client_of()
    sys.excepthook(ValueError, error, None)
    later.flush()
    assert len(seen) == 2
    assert collector.messages == ["Uncaught exception: ValueError: a"]
    later.close()
    assert sys.excepthook is theirs


def test_a_failing_client_does_not_stop_the_others(
    client_of: ClientOf, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other clients and the previous hook are called."""
    seen: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *arguments: seen.append(arguments))
    first, second = client_of(), client_of()
    monkeypatch.setattr(first, "_put", None)
    sys.excepthook(ValueError, ValueError("a"), None)
    second.flush()

    assert len(seen) == 1
    assert collector.messages == ["Uncaught exception: ValueError: a"]


def test_exception_without_a_value_is_recorded_by_type(
    client_of: ClientOf, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard library may have released the exception."""
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    client = client_of()
    threading.excepthook(threading.ExceptHookArgs((ValueError, None, None, None)))
    client.flush()

    assert collector.messages == ["Uncaught exception in thread unknown: ValueError"]
    client.close()


def test_exception_handler_of_a_loop_is_restored(client_of: ClientOf) -> None:
    """It is not if another one has been set meanwhile; the client may be closed in a thread, or after the loop."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        client = client_of()
        other = client_of()
        assert loop.get_exception_handler() is not None
        await client.close()
        assert loop.get_exception_handler() is not None
        await asyncio.to_thread(other.close)
        assert loop.get_exception_handler() is None

        client = client_of()
        loop.set_exception_handler(mine)
        await client.close()
        assert loop.get_exception_handler() is mine
        client_of()

    def mine(loop: Any, context: Any) -> None:
        """Do nothing."""

    asyncio.run(main())
