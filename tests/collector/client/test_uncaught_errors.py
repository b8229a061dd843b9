"""The global error handler: what it records, what it leaves alone, and that nobody else notices it."""

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
from support.fake_collector import Collector
from support.processes import environment

_IMPORTS = "import asyncio, contextlib, gc, os, signal, sys, threading\n"
_CLIENT = "import concurrent_log.collector as c; client = c.AsyncLogClient({!r}, enable_global_error_handler=True)"


@pytest.fixture
def both(collector: Collector, tmp_path: pathlib.Path) -> Callable[[str], list[dict[str, Any]]]:
    """Return what runs a program without a client and with one in place of CLIENT, and returns what that recorded.

    Fails where the two end or complain in different ways.
    """

    def run(program: str) -> tuple[int, str]:
        (tmp_path / "program.py").write_text(program, encoding="utf-8")
        command = [sys.executable, "program.py"]
        done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60)
        return done.returncode, re.sub(r"0x[0-9a-f]+", "0x", done.stderr)

    def run_both(program: str) -> list[dict[str, Any]]:
        program = _IMPORTS + textwrap.dedent(program)
        without = run(program.replace("CLIENT", "pass"))

        assert run(program.replace("CLIENT", _CLIENT.format(collector.url))) == without
        return collector.logs

    return run_both


Both = Callable[[str], list[dict[str, Any]]]


def said(records: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Return message and type of error of each record."""
    assert {record["level"] for record in records} <= {"ERROR"}
    # Not every Python shows the arguments of a callback.
    return [(record["message"].replace("int('x')", "int()"), record.get("error_type", "")) for record in records]


def test_an_exception_that_ends_the_program(both: Both) -> None:
    """Is there before the process ends, with its trace and its place; status and stderr are as ever."""
    (record,) = both(
        """
        CLIENT
        def sell():
            raise ValueError("gone")
        sell()
        """
    )

    assert said([record]) == [("Uncaught exception: ValueError: gone", "ValueError")]
    assert record["function_name"] == "sell"
    assert record["file_path"].endswith("program.py")
    assert record["line_number"] == 5
    assert record["stack_trace"].endswith("ValueError: gone\n")


def test_exceptions_in_threads(both: Both) -> None:
    """The program goes on."""
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

    assert said(records) == [
        (f"Uncaught exception in thread {name}: LookupError: gone", "LookupError") for name in "ab"
    ]
    assert [record["thread_name"] for record in records] == ["a", "b"]


def test_what_cannot_be_raised(both: Both) -> None:
    """In a destructor."""
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


def test_what_cannot_be_raised_in_the_middle_of_a_call(both: Both) -> None:
    """A garbage collection may come at any point, also within the client: nothing waits for itself, none is lost."""
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
def test_who_wants_the_program_to_end_is_left_alone(both: Both, program: str, status: int | None) -> None:
    """The original recorded a KeyboardInterrupt as an error."""
    assert both(f"CLIENT\n{program}") == []


def test_any_exception_is_recorded(both: Both) -> None:
    """Also one with an odd truth value, and without a text."""
    (record,) = both(
        """
        CLIENT
        class Odd(BaseException):
            def __bool__(self): return False
            def __str__(self): raise RuntimeError
        raise Odd
        """
    )

    assert said([record]) == [("Uncaught exception: Odd: <Odd without a text>", "Odd")]


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
    """Of a loop that is made later, and of one that runs already; each once for each client."""
    program = _LOOP.replace("INSIDE", inside).replace("OUTSIDE", outside) + "asyncio.run(main())\n"
    clients = [inside, outside].count("CLIENT")

    assert sorted(said(both(program))) == sorted(_OF_LOOP * clients)


def test_errors_in_a_loop_of_another_kind(both: Both, require: Callable[[str], None]) -> None:
    """Such as that of uvloop, on which uvicorn runs where it is installed."""
    require("uvloop")
    program = _LOOP.replace("INSIDE", "pass").replace("OUTSIDE", "CLIENT")
    program += "import uvloop\nloop = uvloop.new_event_loop()\nloop.run_until_complete(main())\n"

    assert [kind for _, kind in said(both(program))] == ["ValueError", "ValueError", ""]


def test_errors_in_a_loop_with_a_handler_of_its_own(both: Both) -> None:
    """It is called as before."""
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

    assert said(both(program)) == [("a", "")]


def test_a_hook_that_was_there_before_is_called(both: Both) -> None:
    """Of each kind; and one that is set later goes on with ours."""
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

    assert [kind for _, kind in said(records)] == ["ValueError", "OSError", "LookupError"]


def test_the_process_of_a_worker(both: Both, collector: Collector) -> None:
    """A child after a fork records what ends a thread of it, and once."""
    if not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    records = both(
        """
        CLIENT
        if not os.fork():
            thread = threading.Thread(target=int, args="x", name="a"); thread.start(); thread.join()
            sys.exit()
        os.wait()
        """
    )

    assert [kind for _, kind in said(records)] == ["ValueError"]


# What is put back.


def hooks() -> list[Any]:
    """Return all that is there now."""
    return [sys.excepthook, threading.excepthook, sys.unraisablehook, list(logging.getLogger("asyncio").filters)]


@pytest.fixture
def client_of(collector: Collector) -> Iterator[Callable[[], AsyncLogClient]]:
    """Return what makes clients that handle errors; what was there before is there afterwards."""
    before = hooks()
    made = []

    def make() -> AsyncLogClient:
        made.append(AsyncLogClient(collector.url, enable_global_error_handler=True, env_file=None))
        return made[-1]

    yield make
    for client in made:
        client.close()
    assert hooks() == before


ClientOf = Callable[[], AsyncLogClient]


def test_close_puts_back_what_was_there(client_of: ClientOf) -> None:
    """With the last client, in whichever order they are closed."""
    before = hooks()
    first, second = client_of(), client_of()

    assert not any(hook in before for hook in hooks())
    first.close()
    assert not any(hook in before for hook in hooks())
    second.close()
    assert hooks() == before
    second.close()
    assert hooks() == before


def test_close_leaves_the_hook_of_somebody_else(
    client_of: ClientOf, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours stays below it, records nothing more, and hands on; a later client records each error once."""
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


def test_each_client_records(client_of: ClientOf, collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that fails keeps neither the others nor the hook below from being told."""
    seen: list[Any] = []
    monkeypatch.setattr(sys, "excepthook", lambda *arguments: seen.append(arguments))
    first, second = client_of(), client_of()
    monkeypatch.setattr(first, "_put", None)
    sys.excepthook(ValueError, ValueError("a"), None)
    second.flush()

    assert len(seen) == 1
    assert collector.messages == ["Uncaught exception: ValueError: a"]


def test_without_an_exception_there_is_its_type(
    client_of: ClientOf, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The standard library may have let go of it."""
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)
    client = client_of()
    threading.excepthook(threading.ExceptHookArgs((ValueError, None, None, None)))
    client.flush()

    assert collector.messages == ["Uncaught exception in thread unknown: ValueError"]
    client.close()


def test_a_loop_gets_its_handler_back(client_of: ClientOf) -> None:
    """Unless another one has been set meanwhile; also when it is closed in a thread, or the loop is gone."""

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
