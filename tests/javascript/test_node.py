"""The JavaScript client in Node.js: which records arrive, how programs end, and how unusual values are rendered."""

import contextlib
import json
import pathlib
import re
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.collector_server import Server, select
from support.deadlines import DEADLINE
from support.fake_collector import Collector
from support.node import PACKAGE, Node
from support.selection import first_quick

ALL_SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@pytest.fixture
def node(program: Callable[[str], str], tmp_path: pathlib.Path) -> Node:
    """Return a runner for Node.js programs."""
    return Node(program("node"), tmp_path)


# Process exit.


def test_script_that_logs_once_ends_by_itself(node: Node, collector: Collector) -> None:
    """A script is not kept alive by its client, and its only record arrives."""
    ended = node.run(collector.url, 'logger.info("only this");')

    assert (ended.status, ended.stderr) == (0, "")
    assert collector.messages == ["only this"]


def test_exit_right_after_logging_sends_queued_records(node: Node, collector: Collector) -> None:
    """`process.exit()` right after the logging calls loses no record, and the exit status is the program's."""
    ended = node.run(collector.url, "for (let i = 0; i < 2500; i++) logger.info(`record ${i}`); process.exit(7);")

    assert (ended.status, ended.stderr) == (7, "")
    assert collector.messages == [f"record {number}" for number in range(2500)]


@pytest.mark.slow
def test_exit_during_a_request_sends_queued_records_once(node: Node, collector: Collector) -> None:
    """An exit during a request neither loses nor duplicates the records in flight."""
    program = """
        for (let i = 0; i < 3000; i++) logger.info(`record ${i}`);
        setTimeout(() => { logger.info("last"); process.exit(); }, 60);
    """
    ended = node.run(collector.url, program)

    assert (ended.status, ended.stderr) == (0, "")
    assert collector.messages == [*(f"record {number}" for number in range(3000)), "last"]


def test_uncaught_error_is_printed_and_ends_the_process(node: Node, collector: Collector) -> None:
    """An uncaught error ends the process with status 1 and is printed; the earlier records arrive."""
    ended = node.run(collector.url, 'logger.info("before"); throw new TypeError("out of paper");')

    assert ended.status == 1
    assert "TypeError: out of paper" in ended.stderr
    assert collector.messages == ["before"]


@pytest.mark.parametrize("number", first_quick(ALL_SIGNALS), ids=lambda number: number.name)
def test_unhandled_signal_still_ends_the_process(node: Node, collector: Collector, number: signal.Signals) -> None:
    """A signal that the program does not handle kills it, as its parent sees; the queued records arrive."""
    program = 'logger.info("last words"); console.log("ready"); setInterval(() => {}, 1000);'
    with node.start(collector.url, program, "{ flushInterval: 60000 }") as started:
        assert started.line() == "ready"
        started.process.send_signal(number)
        ended = started.ended()

    assert ended.status == -number
    assert collector.messages == ["last words"]


@pytest.mark.parametrize("listen", first_quick(["on", "once"]))
def test_handled_signal_is_left_to_the_program(node: Node, collector: Collector, listen: str) -> None:
    """The client does not end a program that handles the signal."""
    program = f"""
        logger.info("serving");
        process.{listen}("SIGTERM", () => setTimeout(() => {{ logger.info("graceful"); process.exit(5); }}, 100));
        console.log("ready");
        setInterval(() => {{}}, 1000);
    """
    with node.start(collector.url, program) as started:
        assert started.line() == "ready"
        started.process.send_signal(signal.SIGTERM)
        ended = started.ended()

    assert ended.status == 5
    assert sorted(collector.messages) == ["graceful", "serving"]


def test_exit_is_bounded_if_the_server_does_not_respond(node: Node, collector: Collector) -> None:
    """A server that does not respond delays the exit by at most `stopTimeout`, and the unsent records are reported."""
    collector.behave = lambda request: "hang"
    ended = node.run(collector.url, 'logger.info("x"); process.exit();', "{ stopTimeout: 300 }")

    assert ended.status == 0
    assert "1 records could not be sent in time" in ended.stderr


@pytest.mark.slow
def test_exit_reports_records_for_an_unreachable_server(node: Node, tmp_path: pathlib.Path) -> None:
    """With no server at the address, the exit tries again, reports the unsent records, and does not wait for long."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    ended = node.run(f"http://127.0.0.1:{port}", 'logger.info("x"); logger.info("y");')

    assert ended.status == 0
    assert re.search(r"2 records could not be sent in time \(.*ECONNREFUSED.*\)", ended.stderr), ended.stderr


def test_exit_during_a_pause_tries_once_more(node: Node, collector: Collector) -> None:
    """A server that is available again when the program ends receives its records."""
    responses = iter([(503, {"Retry-After": "60"})])
    collector.behave = lambda request: next(responses, None)
    program = """
        logger.info("kept");
        const stop = setInterval(() => {
          if (logger.stats().lastError) { clearInterval(stop); process.exit(); }
        }, 5);
    """
    ended = node.run(collector.url, program, "{ flushInterval: 10 }")

    assert (ended.status, ended.stderr) == (0, "")
    assert collector.messages == ["kept"]


def test_client_in_a_worker_thread_sends_its_records(node: Node, collector: Collector) -> None:
    """A client in a thread of the program sends its queued records when that thread ends."""
    program = f"""
        import {{ Worker }} from "node:worker_threads";
        const code = `import("${{import.meta.url}}").then(() => {{}})`;
        import {{ isMainThread }} from "node:worker_threads";
        if (isMainThread) new Worker(new URL(import.meta.url));
        else createLogClient({collector.url!r}).info("from a thread");
    """
    ended = node.run("", program)

    assert (ended.status, ended.stderr) == (0, "")
    assert collector.messages == ["from a thread"]


def test_records_of_exit_listeners_arrive(node: Node, collector: Collector) -> None:
    """Records from listeners of `exit` arrive, whether the listeners were added before the client's own or after it."""
    program = """
        process.on("exit", () => logger.info("came before"));
        logger.info("first");
        process.on("exit", () => logger.info("came after"));
    """
    ended = node.run(collector.url, program)

    assert (ended.status, ended.stderr) == (0, "")
    assert collector.messages == ["first", "came before", "came after"]


def test_first_record_in_an_exit_listener_arrives(node: Node, collector: Collector) -> None:
    """A client that has logged nothing before the process exits can log in an exit listener."""
    ended = node.run(collector.url, 'process.on("exit", () => { logger.info("one"); logger.info("two"); });')

    assert (ended.status, ended.stderr) == (0, "")
    assert collector.messages == ["one", "two"]


def test_exit_listener_that_throws_loses_no_record(node: Node, collector: Collector) -> None:
    """An error in a listener keeps other listeners from being called, but not the client's."""
    ended = node.run(collector.url, 'process.on("exit", () => { throw new Error("no"); }); logger.info("x");')

    assert ended.status == 1
    assert collector.messages == ["x"]


@pytest.mark.slow
def test_exit_sends_all_records_to_a_failing_server(node: Node, collector: Collector) -> None:
    """P1: an exit continues as long as batches succeed, and each record is stored once."""
    responses = iter(["lose", (503, {}), None, (500, {}), None] * 5)
    collector.behave = lambda request: next(responses)
    program = "for (let i = 0; i < 5000; i++) logger.info(`record ${i}`); process.exit();"
    ended = node.run(collector.url, program, "{ stopTimeout: 20000 }")

    assert (ended.status, ended.stderr) == (0, "")
    assert collector.messages == [f"record {number}" for number in range(5000)]


@pytest.mark.slow
def test_exit_of_many_clients_is_bounded_together(node: Node, collector: Collector) -> None:
    """Ten clients of a hanging server delay the exit as long as one, and a client of another server loses nothing."""
    collector.behave = lambda request: "hang" if request.body["common"]["service"] == "silent" else None
    program = f"""
        for (let i = 0; i < 10; i++)
          createLogClient({collector.url!r}, {{ service: "silent", stopTimeout: 5000 }}).info("lost");
        createLogClient({collector.url!r}, {{ service: "other", stopTimeout: 5000 }}).info("kept");
        const begin = performance.now();
        process.on("exit", () => console.log(performance.now() - begin));
        process.exit();
    """
    ended = node.run("", program)

    assert 5000 <= float(ended.stdout) < 40000  # not 50000, as one after the other
    assert collector.messages == ["kept"]


@pytest.mark.slow
def test_two_copies_of_the_client_ignore_each_others_signal_listeners(
    node: Node, collector: Collector, tmp_path: pathlib.Path
) -> None:
    """Two packages that each include the client do not take each other for a signal handler."""
    shutil.copytree(PACKAGE, tmp_path / "copy")
    program = f"""
        const copy = await import("./copy/node.js");
        logger.info("one");
        copy.createLogClient({collector.url!r}).info("other");
        console.log("ready");
        setInterval(() => {{}}, 1000);
    """
    with node.start(collector.url, program, "{ flushInterval: 60000 }") as started:
        assert started.line() == "ready"
        started.process.send_signal(signal.SIGTERM)
        ended = started.ended()

    assert ended.status == -signal.SIGTERM
    assert sorted(collector.messages) == ["one", "other"]


# Uncaught errors.


def test_global_error_handler_logs_and_changes_nothing(node: Node, collector: Collector) -> None:
    """With the handler, an uncaught error is also logged; it is still printed, and the status is still 1."""
    program = 'process.on("exit", (status) => console.log(`exit ${status}`)); throw new RangeError("too far");'
    ended = node.run(collector.url, program, "{ enableGlobalErrorHandler: true }")
    [record] = collector.logs

    assert (ended.status, ended.stdout) == (1, "exit 1\n")
    assert "RangeError: too far" in ended.stderr
    assert (record["level"], record["message"], record["error_type"]) == ("FATAL", "too far", "RangeError")
    assert "program1.mjs" in record["stack_trace"]


@pytest.mark.slow
def test_global_error_handler_logs_unhandled_rejections(node: Node, collector: Collector) -> None:
    """A rejected promise that the program does not handle ends Node, and is logged."""
    ended = node.run(collector.url, 'Promise.reject(new Error("promised"));', "{ enableGlobalErrorHandler: true }")

    assert ended.status == 1
    assert [(each["message"], each["origin"]) for each in collector.logs] == [("promised", "unhandledRejection")]


@pytest.mark.slow
def test_close_removes_only_the_global_error_handler(node: Node, collector: Collector) -> None:
    """The listeners of other libraries stay."""
    program = """
        process.on("uncaughtExceptionMonitor", () => console.log("theirs"));
        process.on("SIGTERM", () => {});
        process.on("exit", () => console.log("bye"));
        const listeners = () => ["uncaughtExceptionMonitor", "SIGTERM", "SIGINT", "exit"].map((name) =>
          process.listeners(name).map(String).join());
        const before = listeners();
        logger.enableGlobalErrorHandler();
        logger.info("one");
        await logger.close();
        console.log(listeners().map((each, index) => each === before[index] || [each, before[index]]));
        throw new Error("later");
    """
    ended = node.run(collector.url, program)

    assert ended.stdout == "[ true, true, true, true ]\ntheirs\nbye\n"
    assert collector.messages == ["one"]


# Flush and close.


@pytest.mark.slow
def test_flush_resolves_when_the_server_has_acknowledged(node: Node, collector: Collector) -> None:
    """`await logger.flush()` is true when all records are stored, with nothing else keeping the process alive."""
    program = (
        'for (let i = 0; i < 1500; i++) logger.info("x"); console.log(await logger.flush(), logger.stats().queued);'
    )
    ended = node.run(collector.url, program)

    assert ended.stdout == "true 0\n"
    assert len(collector.logs) == 1500


@pytest.mark.slow
def test_flush_resolves_to_false_after_its_time(node: Node, collector: Collector) -> None:
    """After its time, `flush` is false, and the records stay queued."""
    collector.behave = lambda request: (503, {})
    ended = node.run(collector.url, 'logger.info("x"); console.log(await logger.flush(100), logger.stats().queued);')

    assert ended.stdout == "false 1\n"


@pytest.mark.slow
def test_record_after_close_arrives(node: Node, collector: Collector) -> None:
    """A record that is logged after `close` is not lost."""
    program = 'logger.info("before"); console.log(await logger.close()); logger.info("after");'
    ended = node.run(collector.url, program)

    assert (ended.stdout, ended.stderr) == ("true\n", "")
    assert collector.messages == ["before", "after"]


def test_records_during_close_arrive(node: Node, collector: Collector) -> None:
    """A record that is logged while `close` waits is not lost."""
    program = """
        logger.info("before");
        const closed = logger.close();
        for (let i = 0; i < 2500; i++) logger.info(`during ${i}`);
        console.log(await closed);
    """
    ended = node.run(collector.url, program)

    assert (ended.stdout, ended.stderr) == ("true\n", "")
    assert collector.messages == ["before", *(f"during {number}" for number in range(2500))]


def test_flush_without_a_limit(node: Node, collector: Collector) -> None:
    """`flush(Infinity)` waits without a time limit."""
    ended = node.run(collector.url, 'logger.info("x"); console.log(await logger.flush(Infinity));')

    assert (ended.stdout, ended.stderr) == ("true\n", "")


# Responses of the server.


@pytest.mark.parametrize("status", first_quick([503, 408, 429, 500, 502, 401, 404]))
def test_batch_is_sent_again_under_its_id(node: Node, collector: Collector, status: int) -> None:
    """P1: after a temporary error, the batch is sent again, and stored once."""
    responses = iter([(status, {}), "lose"])
    collector.behave = lambda request: next(responses, None)
    ended = node.run(collector.url, 'logger.info("x"); console.log(await logger.flush(100000));')

    assert ended.stdout == "true\n"
    assert len({request.body["batch_id"] for request in collector.requests}) == 1
    assert len(collector.requests) == 3
    assert collector.messages == ["x"]


@pytest.mark.parametrize("status", first_quick([200, 204, 202]))
def test_answer_of_something_else_acknowledges_nothing(node: Node, collector: Collector, status: int) -> None:
    """A login page answers 200 first; the records are sent again, under the same id, until the collector answers."""
    page = (status, {"Content-Type": "text/html"}, b"" if status == 204 else b"<!doctype html><title>Log in</title>")
    collector.behave = lambda request: page if len(collector.requests) < 3 else None
    ended = node.run(collector.url, 'logger.info("x"); console.log(await logger.flush(), logger.stats().acknowledged);')

    assert ended.stdout == "true 1\n"
    assert collector.messages == ["x"]
    assert len({request.body["batch_id"] for request in collector.requests}) == 1
    assert ended.stderr.count("accepts no records, they stay queued") == 1


@pytest.mark.parametrize("status", first_quick([308, 302]))
def test_redirect_is_not_followed(node: Node, collector: Collector, status: int) -> None:
    """Another origin receives neither the token nor the records."""
    other = Collector().start()
    collector.behave = lambda request: (status, {"Location": f"{other.url}/logs"})
    ended = node.run(collector.url, 'logger.info("x"); console.log(await logger.flush(300));', "{ token: 'a-secret' }")
    other.stop()

    assert ended.stdout == "false\n"
    assert other.requests == []


def test_refused_record_loses_no_other(node: Node, collector: Collector) -> None:
    """The one record that the server refuses is found, dropped and counted; the other 99 are stored."""
    collector.behave = lambda request: (400, {}) if any("bad" in r["message"] for r in request.body["logs"]) else None
    program = """
        for (let i = 0; i < 100; i++) logger.info(i === 37 ? "bad" : `good ${i}`);
        console.log(await logger.flush(100000), JSON.stringify(logger.stats().dropped));
    """
    ended = node.run(collector.url, program)

    assert ended.stdout == 'false {"refused by the server":1}\n'
    assert collector.messages == [f"good {number}" for number in range(100) if number != 37]
    assert collector.drops["refused by the server"] == 1


def test_batch_too_large_is_divided(node: Node, collector: Collector) -> None:
    """413 halves a batch until its parts are accepted; a record that is too large alone is sent with shorter texts."""
    collector.behave = lambda request: (413, {}) if len(json.dumps(request.body)) > 20_000 else None
    program = """
        for (let i = 0; i < 100; i++) logger.info(`record ${i}`, { text: "x".repeat(i === 50 ? 60000 : 300) });
        console.log(await logger.flush(100000));
    """
    ended = node.run(collector.url, program)
    large = collector.logs[50]["text"]

    assert ended.stdout == "true\n"
    assert collector.messages == [f"record {number}" for number in range(100)]
    assert re.fullmatch(r"x{16384}… \[43616 characters left out\]", large)


@pytest.mark.slow
def test_unsupported_compression_is_disabled(node: Node, collector: Collector) -> None:
    """After 415, the client sends without compression."""
    collector.behave = lambda request: (415, {}) if request.headers.get("Content-Encoding") else None
    program = 'for (let i = 0; i < 200; i++) logger.info("x"); console.log(await logger.flush());'
    ended = node.run(collector.url, program)

    assert ended.stdout == "true\n"
    assert len(collector.logs) == 200


def test_batches_are_compressed_from_100_records(node: Node, collector: Collector) -> None:
    """A batch of 99 records is sent uncompressed, one of 100 as gzip."""
    program = """
        for (const count of [99, 100]) {
          for (let i = 0; i < count; i++) logger.info("x");
          await logger.flush();
        }
    """
    node.run(collector.url, program)

    assert [request.headers.get("Content-Encoding") for request in collector.requests] == [None, "gzip"]


def test_full_batch_is_sent_at_once(node: Node, collector: Collector) -> None:
    """1,000 records do not wait for the interval, and the rest does."""
    program = """
        for (let i = 0; i < 1001; i++) logger.info("x");
        process.stdin.once("data", () => process.exit());
    """
    with node.start(collector.url, program, "{ flushInterval: 60000 }") as started:
        collector.wait_for(1000)
        first = [len(request.body["logs"]) for request in collector.requests]
        started.process.stdin.write("end\n")
        started.process.stdin.flush()
        started.ended()

    assert first == [1000]
    assert [len(request.body["logs"]) for request in collector.requests] == [1000, 1]


def test_small_batch_is_sent_after_the_interval(node: Node, collector: Collector) -> None:
    """One record is sent `flushInterval` after it was logged, while the program continues."""
    program = 'logger.info("x"); setInterval(() => {}, 1000);'
    with node.start(collector.url, program, "{ flushInterval: 50 }"):
        collector.wait_for(1)

    assert collector.messages == ["x"]


ENDLESS = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b" " * 65_536
BROKEN_GZIP = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\nthis is none"


@pytest.mark.slow
@pytest.mark.parametrize("response", [ENDLESS, BROKEN_GZIP], ids=["endless", "broken"])
def test_endless_or_broken_response_body_is_abandoned(node: Node, response: bytes) -> None:
    """An endless response uses no memory, acknowledges nothing, and occupies a request no longer than `timeout`."""
    program = """
        logger.info("x");
        logger.flush();
        while (logger.stats().sent === 0) await new Promise((resolve) => setTimeout(resolve, 10));
        console.log(logger.stats().healthy, process.resourceUsage().maxRSS < 500000);
    """
    with _server_that_sends(response) as url:
        ended = node.run(url, program, "{ timeout: 2000, stopTimeout: 300 }")

    assert ended.stdout == "false true\n"


@contextlib.contextmanager
def _server_that_sends(response: bytes) -> Iterator[str]:
    """Run a server that sends these bytes to each client, without end if they end with blanks."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                threading.Thread(target=send, args=(connection,), daemon=True).start()

    def send(connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            connection.sendall(response)
            while response.endswith(b" "):
                connection.sendall(response[-65_536:])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


# Limits.


def test_full_queue_drops_the_oldest_and_losses_are_reported(node: Node, collector: Collector) -> None:
    """A full queue drops the oldest records; their number is on stderr, in `stats()` and at the server."""
    program = """
        for (let i = 0; i < 250; i++) logger.info(`record ${i}`);
        console.log(JSON.stringify(logger.stats().dropped));
        await logger.flush();
    """
    ended = node.run(collector.url, program, "{ maxQueueSize: 100 }")

    assert ended.stdout == '{"queue full":150}\n'
    assert collector.messages == [f"record {number}" for number in range(150, 250)]
    assert collector.drops["queue full"] == 150
    assert ended.stderr.splitlines() == [
        "concurrent-log: lost 1 records; in total: 1 queue full",
        "concurrent-log: lost 149 records; in total: 150 queue full",
    ]


def test_queue_is_bounded_in_bytes(node: Node, collector: Collector) -> None:
    """A few large records also exceed the limit."""
    program = (
        'for (let i = 0; i < 50; i++) logger.info("x".repeat(10000)); console.log(logger.stats().bytes <= 100000);'
    )
    ended = node.run(collector.url, program, "{ maxQueueBytes: 100000 }")

    assert ended.stdout == "true\n"
    assert 1 <= len(collector.logs) < 10


@pytest.mark.slow
def test_unavailable_server_gets_few_attempts(node: Node, collector: Collector) -> None:
    """No logging call sends a request of its own: with growing pauses, 5,000 calls in a second cause a few requests."""
    collector.behave = lambda request: (503, {})
    program = """
        const stop = setInterval(() => { for (let i = 0; i < 50; i++) logger.info("x"); }, 10);
        setTimeout(() => { clearInterval(stop); process.exit(); }, 1000);
    """
    node.run(collector.url, program, "{ batchSize: 10, stopTimeout: 300 }")

    assert 2 <= len(collector.requests) < 40


def test_large_text_does_not_displace_other_records(node: Node, collector: Collector) -> None:
    """Only the part of an 80 MB text that is sent is queued, so that there is room for other records."""
    program = """
        logger.info("first");
        logger.info("x".repeat(80e6));
        logger.info("fields", Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`f${i}`, "y".repeat(60000)])));
        logger.info("last");
        console.log(await logger.flush(), JSON.stringify(logger.stats().dropped));
    """
    ended = node.run(collector.url, program)

    assert ended.stdout == "true {}\n"
    assert [message[:6] for message in collector.messages] == ["first", "xxxxxx", "fields", "last"]
    assert collector.messages[1].endswith("… [79934464 characters left out]")
    assert collector.logs[2]["left_out"] == "2000 fields"


@pytest.mark.slow
@pytest.mark.parametrize(
    "log",
    [
        "class Large { data = new Array(1e6).fill(0.5); log() { logger.info('x'); } } new Large().log();",
        "const data = new Array(1e6).fill(0.5); (() => { logger.info('x'); return data; })();",
        "const data = 'x'.repeat(1e6) + 'y'.repeat(7e6); logger.info(data.slice(999_990, 1_000_010));",
    ],
    ids=["method", "closure", "slice"],
)
def test_queued_records_keep_nothing_else_in_memory(node: Node, collector: Collector, log: str) -> None:
    """The local data of a function that logs is released while its record is queued for an unavailable server."""
    collector.behave = lambda request: (503, {})
    program = f"""
        for (let i = 0; i < 50; i++) {{
          {{ {log} }}
          await new Promise((resolve) => setTimeout(resolve, 20));
        }}
        gc();
        console.log(logger.stats().queued, process.memoryUsage().heapUsed < 120e6);
    """
    ended = node.run(collector.url, program, "{ stopTimeout: 0 }", "--expose-gc")

    assert ended.stdout == "50 true\n"


# The contents of a record.


def test_values_that_cannot_be_serialised_affect_nothing_else(node: Node, collector: Collector) -> None:
    """No value throws into the program, blocks other records, or is changed."""
    program = """
        const circle = { name: "circle" }; circle.self = circle;
        const trap = { get thrown() { throw new Error("no"); }, fine: 1 };
        const values = {
          fn: function named() {}, arrow: () => 1, big: 2n ** 70n, small: 5n, circle, trap, symbol: Symbol("s"),
          nan: NaN, endless: -Infinity, map: new Map([["a", 1]]), set: new Set([1, 2]), date: new Date(0),
          never: new Date(NaN), error: new TypeError("typed"), cause: new Error("other"), bytes: new Uint8Array([1, 2]),
          regexp: /x+/g, url: new URL("http://x/y"), nothing: null, missing: undefined, surrogate: "\\ud800x",
          proxy: new Proxy({}, { ownKeys() { throw new Error("closed"); } }), json: { toJSON() { throw 1; } },
          weak: new WeakMap(), promise: Promise.resolve(1), text: new String("boxed"),
        };
        const before = Object.keys(values).join();
        logger.info("all", values);
        logger.info("frozen", Object.freeze({ a: Object.freeze({ b: 1 }) }));
        logger.info("own proto", JSON.parse('{"__proto__": {"polluted": true}, "x": 1}'));
        logger.info({ an: "object" });
        logger.info(17);
        logger.info(null);
        logger.info();
        logger.info(new RangeError("an error"));
        logger.info("a list", [1, 2]);
        logger.info("a number", 5);
        logger.info("deep", { deep: Array.from({ length: 100 }).reduce((inner) => ({ inner }), 1) });
        logger.info("last");
        console.log(Object.keys(values).join() === before, ({}).polluted);
    """
    ended = node.run(collector.url, program)
    first = collector.logs[0]

    assert (ended.stdout, ended.stderr) == ("true undefined\n", "")
    assert first["fn"] == "[function named]"
    assert (first["big"], first["small"]) == (str(2**70), 5)
    assert first["circle"] == {"name": "circle", "self": "[circular]"}
    assert first["trap"] == {"thrown": "[unreadable: Error: no]", "fine": 1}
    assert (first["nan"], first["endless"], first["symbol"]) == ("NaN", "-Infinity", "Symbol(s)")
    assert (first["map"], first["set"], first["bytes"]) == ({"a": 1}, [1, 2], [1, 2])
    assert (first["date"], first["never"]) == ("1970-01-01T00:00:00.000Z", "Invalid Date")
    assert (first["error_type"], first["error_message"]) == ("TypeError", "typed")
    assert first["cause"]["message"] == "other"
    assert (first["regexp"], first["url"]) == ("/x+/g", "http://x/y")
    assert first["nothing"] is None
    assert "missing" not in first
    assert first["proxy"] == "[unreadable: Error: closed]"
    assert first["json"] == "[unreadable: 1]"
    assert (first["weak"], first["promise"]) == ("[object WeakMap]", "[object Promise]")
    assert collector.messages[1:] == [
        "frozen",
        "own proto",
        {"an": "object"},
        "17",
        "null",
        "",
        "an error",
        "a list",
        "a number",
        "deep",
        "last",
    ]
    assert collector.logs[8]["fields"] == [1, 2]
    assert collector.logs[9]["fields"] == 5


def test_reserved_members_cannot_be_overwritten(node: Node, collector: Collector) -> None:
    """A field called `level` or `message` becomes an attribute, without an error."""
    node.run(collector.url, 'logger.info("mine", { level: "high", message: "theirs", created_at: 1, sequence: 9 });')
    [record] = collector.logs

    assert (record["level"], record["message"]) == ("INFO", "mine")
    assert record["attributes"] == {"level": "high", "message": "theirs", "created_at": 1, "sequence": 9}


def test_later_changes_do_not_affect_a_record(node: Node, collector: Collector) -> None:
    """Changes to the fields after the logging call are not in the record."""
    node.run(
        collector.url, 'const fields = { a: { b: 1 }, c: 1 }; logger.info("x", fields); fields.a.b = 2; fields.c = 2;'
    )

    assert (collector.logs[0]["a"], collector.logs[0]["c"]) == ({"b": 1}, 1)


def test_record_has_the_call_site(node: Node, collector: Collector, tmp_path: pathlib.Path) -> None:
    """File, line and function are those of the caller, for each method, and also in a CommonJS file."""
    (tmp_path / "old.cjs").write_text("module.exports = function old(logger) {\n  logger.warn('from old');\n};\n")
    program = """\
        import { createRequire } from "node:module";
        function plain() { logger.info("plain"); }
        class Shop { sell() { logger.log("INFO", "method"); } }
        plain();
        new Shop().sell();
        logger.with({ a: 1 }).debug("top");
        logger.withTrace().error("traced");
        await (async function later() { await null; logger.fatal("async"); })();
        createRequire(import.meta.url)("./old.cjs")(logger);
        logger.trace("own", { file_path: "mine.js", line_number: 3 });
    """
    node.run(collector.url, program)
    places = [(r["message"], r.get("function_name"), r["line_number"]) for r in collector.logs]
    files = [pathlib.PurePath(r["file_path"]).name for r in collector.logs]

    assert places == [
        ("plain", "plain", 4),
        ("method", "Shop.sell", 5),
        ("top", None, 8),
        ("traced", None, 9),
        ("async", "later", 10),
        ("from old", "old", 2),
        ("own", None, 3),
    ]
    assert files == ["program1.mjs"] * 5 + ["old.cjs", "mine.js"]


def test_records_have_the_common_fields(node: Node, collector: Collector) -> None:
    """Each record has the service, environment, version, host and process, and its sequence number in the process."""
    options = (
        '{ service: "shop", environment: "test", serviceVersion: "1.2", token: "secret", headers: { "X-A": "b" } }'
    )
    ended = node.run(collector.url, 'logger.info("a"); logger.info("b"); console.log(process.pid);', options)
    first, second = collector.logs

    assert first["service"] == "shop"
    assert (first["environment"], first["service_version"], first["log_type"]) == ("test", "1.2", "BACKEND")
    assert (first["host"], first["process_id"]) == (socket.gethostname(), int(ended.stdout))
    assert (first["sequence"], second["sequence"]) == (0, 1)
    assert collector.requests[0].headers["Authorization"] == "Bearer secret"
    assert collector.requests[0].headers["X-A"] == "b"
    assert "secret" not in json.dumps(collector.requests[0].body)


def test_defaults_come_from_the_environment(node: Node, collector: Collector) -> None:
    """The documented environment variables are read; options override them."""
    variables = {
        "LOG_SERVER_URL": collector.url,
        "SERVICE_NAME": "from-env",
        "NODE_ENV": "staging",
        "SERVICE_VERSION": "9",
        "LOG_TYPE": "WORKER",
        "ENABLE_GLOBAL_ERROR_HANDLER": "true",
    }
    program = 'createLogClient(undefined, { serviceVersion: "10" }); createLogClient(); throw new Error("x");'
    node.run("", program, **variables)
    versions = sorted(each["service_version"] for each in collector.logs)

    assert versions == ["10", "9"]
    assert {(each["service"], each["environment"], each["log_type"]) for each in collector.logs} == {
        ("from-env", "staging", "WORKER")
    }


def test_trace_continues_through_headers(node: Node, collector: Collector) -> None:
    """A valid header continues its trace; any other value starts a new one."""
    program = """
        const first = logger.withTrace();
        first.info("a");
        logger.withTrace(first.headers.traceparent).with({ x: 1 }).info("b");
        for (const bad of [undefined, "", "garbage", "00-" + "0".repeat(32) + "-" + "0".repeat(16) + "-01"])
          logger.withTrace(bad).info("c");
        console.log(first.traceparent);
    """
    ended = node.run(collector.url, program)
    ids = [each["trace_id"] for each in collector.logs]

    assert re.fullmatch(rf"00-{ids[0]}-[0-9a-f]{{16}}-01\n", ended.stdout)
    assert ids[0] == ids[1]
    assert len(set(ids)) == 5
    assert collector.logs[0]["span_id"] != collector.logs[1]["span_id"]


def test_bad_options_raise_at_once_in_one_line(node: Node) -> None:
    """An error in the options names the option, the value and the remedy; nothing is started."""
    program = """
        for (const [url, options] of [["ftp://x", {}], ["nowhere", {}], ["http://x", { batchsize: 1 }],
            ["http://x", { batchSize: 0 }], ["http://x", { token: "with space" }], ["http://x", { service: 5 }],
            ["http://x", { headers: { "X-A": "two\\nlines" } }]])
          try { createLogClient(url, options); console.log("taken"); } catch (error) {
            console.log(error.constructor.name, error.message);
          }
    """
    ended = node.run("", program)

    assert ended.stderr == ""
    assert [line.split(" must")[0] for line in ended.stdout.splitlines()] == [
        "TypeError the server's address",
        "TypeError the server's address",
        ended.stdout.splitlines()[2],
        "TypeError batchSize",
        "TypeError token",
        "TypeError service",
        "TypeError headers",
    ]
    assert "there is no option batchsize: use one of service" in ended.stdout


# Runtimes.


def test_without_threads_requests_are_sent_from_the_main_thread(node: Node, collector: Collector) -> None:
    """If Node cannot start a thread, as under its permission model, requests are sent from the program's own thread."""
    program = f"""
        import {{ createRequire }} from "node:module";
        const threads = createRequire(import.meta.url)("node:worker_threads");
        const {{ syncBuiltinESMExports }} = createRequire(import.meta.url)("node:module");
        threads.Worker = class {{ constructor() {{ throw new Error("forbidden"); }} }};
        syncBuiltinESMExports();
        const logger = createLogClient({collector.url!r});
        for (let i = 0; i < 100; i++) logger.info("compressed");
        console.log(await logger.flush());
        logger.info("not compressed");
        console.log(await logger.flush());
        logger.info("at the end");
    """
    ended = node.run("", program)

    assert (ended.stdout, ended.stderr) == ("true\ntrue\n", "")
    assert collector.messages == ["compressed"] * 100 + ["not compressed", "at the end"]


def test_warnings_of_the_client_are_not_logged_in_a_loop(node: Node, collector: Collector) -> None:
    """A program that logs what is written to stderr does not cause an endless loop of warnings."""
    collector.behave = lambda request: (401, {})
    program = """
        const write = process.stderr.write.bind(process.stderr);
        process.stderr.write = (text) => { logger.warn(text); return write(text); };
        logger.info("x");
        logger.flush();
        while (logger.stats().sent === 0) await new Promise((resolve) => setTimeout(resolve, 10));
        console.log(logger.stats().queued);
        process.stderr.write = write;
    """
    ended = node.run(collector.url, program, "{ stopTimeout: 200 }")

    assert ended.stdout == "1\n"
    assert "accepts no records, they stay queued: 401" in ended.stderr


@pytest.mark.slow
def test_many_clients_in_one_process(node: Node, collector: Collector) -> None:
    """Twenty clients cause no warning, and each sends its own record."""
    program = f"""
        for (let i = 0; i < 20; i++) createLogClient({collector.url!r}).info(`client ${{i}}`);
    """
    ended = node.run("", program)

    assert ended.stderr == ""
    assert sorted(collector.messages) == sorted(f"client {number}" for number in range(20))


def test_threads_of_the_client_preload_nothing(node: Node, collector: Collector, tmp_path: pathlib.Path) -> None:
    """A module that `NODE_OPTIONS` preloads may log or fail, so it is not loaded in the client's thread."""
    preloaded = tmp_path / "preloaded.cjs"
    preloaded.write_text(
        'if (!require("node:worker_threads").isMainThread) throw new Error("not in a thread");'
        f"""import("{PACKAGE.as_uri()}/node.js").then((client) => {{
            client.createLogClient({collector.url!r}).info("preloaded");
        }});"""
    )
    ended = node.run(collector.url, 'logger.info("x");', NODE_OPTIONS=f"--require {preloaded}")

    assert (ended.status, ended.stderr) == (0, "")
    assert sorted(collector.messages) == ["preloaded", "x"]


def test_replaced_builtins_do_not_affect_the_client(node: Node, collector: Collector) -> None:
    """Tests stop clocks, and libraries patch built-in functions: the client uses the originals."""
    program = """
        logger.info("before");
        const time = Date.now();
        Date.now = performance.now = () => time;
        JSON.stringify = () => { throw new Error("mine"); };
        globalThis.setTimeout = globalThis.setImmediate = () => 1;
        globalThis.clearTimeout = () => {};
        globalThis.fetch = async () => ({});
        Array.prototype.extra = Object.prototype.extra = "everywhere";
        logger.info("after", { a: [1], b: { c: 2 } });
        console.log(await logger.flush());
        logger.info("last");
    """
    ended = node.run(collector.url, program, "{ flushInterval: 1 }")

    assert (ended.status, ended.stdout, ended.stderr) == (0, "true\n", "")
    assert collector.messages == ["before", "after", "last"]
    assert (collector.logs[1]["a"], collector.logs[1]["b"]) == ([1], {"c": 2})


def test_exit_is_bounded_if_the_clock_is_replaced(node: Node, collector: Collector) -> None:
    """A program that sets the clock back, or replaces it, still exits."""
    collector.behave = lambda request: "hang"
    program = 'Date.now = () => 0; logger.info("x"); Date.now = () => -1e12; process.exit(3);'
    ended = node.run(collector.url, program, "{ stopTimeout: 300 }")

    assert ended.status == 3


def test_closed_stderr_is_no_error(node: Node, collector: Collector) -> None:
    """`program 2>&1 | head -1` continues as it would without the client's warnings."""
    collector.behave = lambda request: (401, {})
    program = """
        process.stdin.once("data", () => {
          for (let i = 0; i < 3; i++) logger.info("x");
          setInterval(() => {
            if (logger.stats().lastError) { console.log(logger.stats().lastError.slice(0, 3)); process.exit(4); }
          }, 5);
        });
        console.log("ready");
    """
    with node.start(collector.url, program, "{ flushInterval: 1, maxQueueSize: 1, stopTimeout: 200 }") as started:
        assert started.line() == "ready"
        assert started.process.stderr is not None
        assert started.process.stdin is not None
        started.process.stderr.close()
        started.process.stdin.write("go\n")
        started.process.stdin.flush()

        assert started.line() == "401"
        assert started.process.wait(DEADLINE) == 4


# The real server.


@pytest.mark.slow
def test_burst_is_stored_whole_in_both_stores(node: Node, database: str, tmp_path: pathlib.Path) -> None:
    """P1: 100,000 records logged as fast as possible are stored, each once, in order."""
    with Server(tmp_path, database) as server:
        program = """
            for (let i = 0; i < 100000; i++) logger.info(`record ${i}`, { number: i });
            console.log(await logger.flush(100000), JSON.stringify(logger.stats().dropped));
        """
        ended = node.run(server.url, program)
        found = select(database, "SELECT sequence FROM logs")

    assert ended.stdout == "true {}\n"
    assert sorted(sequence for (sequence,) in found) == list(range(100_000))


@pytest.mark.slow
def test_killed_server_neither_loses_nor_duplicates_records(node: Node, database: str, tmp_path: pathlib.Path) -> None:
    """P1: the server is killed repeatedly under load; each record is stored once."""
    with Server(tmp_path, database) as server:
        program = """
            let count = 0;
            const stop = setInterval(() => { for (let i = 0; i < 10; i++) logger.info("x", { number: count++ }); }, 5);
            process.stdin.once("data", async () => {
              clearInterval(stop);
              console.log(count, await logger.flush(100000), JSON.stringify(logger.stats().dropped));
              process.exit();
            });
        """
        with node.start(server.url, program, "{ flushInterval: 20, batchSize: 200 }") as started:
            for _ in range(5):
                threading.Event().wait(0.3)
                server.kill()
                server.start()
            started.process.stdin.write("end\n")
            started.process.stdin.flush()
            count, is_done, dropped = started.line().split()
        found = select(database, "SELECT sequence FROM logs")

    assert (is_done, dropped) == ("true", "{}")
    assert sorted(sequence for (sequence,) in found) == list(range(int(count)))


def test_both_stores_accept_unusual_values(node: Node, database: str, tmp_path: pathlib.Path) -> None:
    """The real server stores surrogates, NUL characters and huge numbers from a client."""
    with Server(tmp_path, database) as server:
        program = r"""
            const fields = { "k\0": "\udfff", big: 2n ** 80n, huge: 1e308, trace_id: "x".repeat(600) };
            logger.info("nul \0 and \ud800", fields);
            console.log(await logger.flush());
        """
        ended = node.run(server.url, program)
        [record] = server.get("/logs")["logs"]

    assert ended.stdout == "true\n"
    assert record["message"] == "nul � and �"


@pytest.mark.slow
def test_top_level_await_of_close_ends_with_status_zero(node: Node, collector: Collector) -> None:
    """`await logger.close()` as the last line ends with status 0: the client keeps the process alive meanwhile."""
    responses: Any = iter([(503, {"Retry-After": "1"})])
    collector.behave = lambda request: next(responses, None)
    ended = node.run(collector.url, 'logger.info("x"); console.log(await logger.close());')

    assert (ended.status, ended.stdout) == (0, "true\n")
