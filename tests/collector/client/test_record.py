"""Records of other logging systems arrive whole, each field once; the masks of a program stay in effect."""

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from support.fake_collector import Collector

pytest.importorskip("msgspec")

from concurrent_log.collector import CollectorHandler
from concurrent_log.collector.client.record import record_to_entry

_COMMON = {"process_id": 1, "process_name": "MainProcess"}
_ALWAYS = {"created_at", "sequence", "host", "process_id", "process_name", "thread_name"}
_CALL = {"function_name", "file_path", "line_number", "logger"}


@pytest.fixture
def handler(collector: Collector) -> Iterator[CollectorHandler]:
    """Return a handler that sends to the collector."""
    created = CollectorHandler(collector.url)
    yield created
    created.close()


@pytest.fixture
def logger(handler: CollectorHandler) -> Iterator[logging.Logger]:
    """Return a logger with the handler."""
    found = logging.getLogger("tests.record")
    found.setLevel(logging.DEBUG)
    found.propagate = False
    found.addHandler(handler)
    yield found
    found.removeHandler(handler)


@pytest.fixture
def fields(collector: Collector, handler: CollectorHandler) -> Callable[[], dict[str, Any]]:
    """Return a function that returns the fields of the only record, without those that every record has."""

    def read() -> dict[str, Any]:
        assert handler.flush(30)
        (record,) = collector.logs
        return {name: value for name, value in record.items() if name not in _ALWAYS | _CALL}

    return read


class _Event(Mapping[str, Any]):
    """A mapping that is no dictionary."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members

    def __getitem__(self, key: str) -> Any:
        return self._members[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"event": "login", "user": 7}, {"message": "login", "user": 7}),
        (_Event({"message": "login", "user": 7}), {"message": "login", "user": 7}),
        ({"msg": "login", "level": "loud"}, {"message": "login", "message.level": "loud"}),
        ({"event": "a", "message": "b"}, {"message": "a", "message.message": "b"}),
        ({"event": "a", "request": "r"}, {"message": "a", "request": "own", "message.request": "r"}),
        ({"user": 7}, {"message": "{'user': 7}", "user": 7}),
        ({}, {"message": "{}"}),
        ({1: 2}, {"message": "{1: 2}", "1": 2}),
    ],
)
def test_members_of_a_mapping_are_fields(
    logger: logging.Logger, fields: Callable[[], dict[str, Any]], message: Any, expected: dict[str, Any]
) -> None:
    """The text of the event is the message; a member with the name of another field gets a name of its own."""
    logger.info(message, extra={"request": "own"} if "request" in expected else None)

    assert fields() == {**expected, "level": "INFO"}


def test_mapping_that_the_program_masks_is_not_taken_apart(
    logger: logging.Logger, fields: Callable[[], dict[str, Any]]
) -> None:
    """A class of records may remove secrets in `getMessage`; the members of its message stay where they are."""

    class Masked(logging.LogRecord):
        def getMessage(self) -> str:
            return "masked"

    logger.handle(Masked("x", logging.INFO, __file__, 1, {"password": "secret"}, (), None))  # type: ignore[arg-type]

    assert fields() == {"message": "masked", "level": "INFO"}


def test_records_of_structlog(logger: logging.Logger, fields: Callable[[], dict[str, Any]]) -> None:
    """The fields that structlog adds for the formatter of logging are not attributes."""
    structlog = pytest.importorskip("structlog")
    bound = structlog.wrap_logger(
        logger,
        processors=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    bound.info("order accepted", order=17, customer="Ada")

    assert fields() == {"message": "order accepted", "level": "INFO", "order": 17, "customer": "Ada"}


@pytest.mark.parametrize("is_formatted", [False, True])
def test_exception_of_structlog(
    logger: logging.Logger, fields: Callable[[], dict[str, Any]], is_formatted: bool
) -> None:
    """The traceback is the stack trace, whether structlog has formatted it or not."""
    structlog = pytest.importorskip("structlog")
    formatting = [structlog.processors.format_exc_info] if is_formatted else []
    bound = structlog.wrap_logger(
        logger,
        processors=[*formatting, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    try:
        raise KeyError("customer")
    except KeyError:
        bound.exception("order refused", order=17)
    found = fields()

    assert found.pop("stack_trace").endswith("KeyError: 'customer'")
    assert found.pop("error_type", "KeyError") == "KeyError"
    assert found == {"message": "order refused", "level": "ERROR", "order": 17}


def test_records_of_loguru(handler: CollectorHandler, fields: Callable[[], dict[str, Any]]) -> None:
    """The extras of loguru are fields of the record; an exception is not in the message, and its traceback is whole."""
    loguru = pytest.importorskip("loguru")
    loguru.logger.remove()
    number = loguru.logger.add(handler, format="{message}")
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        loguru.logger.bind(trace_id="4bf9").exception("order {} refused", 17, order=17)
    loguru.logger.remove(number)
    found = fields()

    assert found.pop("stack_trace").startswith("Traceback (most recent call last):")
    assert found == {
        "message": "order 17 refused",
        "level": "ERROR",
        "error_type": "ZeroDivisionError",
        "trace_id": "4bf9",
        "order": 17,
    }


@pytest.mark.parametrize("name", ["\x1b[31mERROR\x1b[0m", "\x1b[1;38;5;196m  ERROR \x1b[39m", "ERROR"])
def test_coloured_level_is_the_level(logger: logging.Logger, fields: Callable[[], dict[str, Any]], name: str) -> None:
    """A formatter of another handler may colour the level of the record, which all handlers share."""
    logger.handle(logging.makeLogRecord({"msg": "x", "levelno": logging.ERROR, "levelname": name}))

    assert fields() == {"message": "x", "level": "ERROR"}


def test_coloured_level_of_the_program_has_no_codes(
    logger: logging.Logger, fields: Callable[[], dict[str, Any]]
) -> None:
    """The name of a level of the program's own is an attribute."""
    logger.handle(logging.makeLogRecord({"msg": "x", "levelno": 25, "levelname": "\x1b[32mSUCCESS\x1b[0m"}))

    assert fields() == {"message": "x", "level": "INFO", "level_name": "SUCCESS"}


class _Masking(logging.LogRecord):
    def getMessage(self) -> str:
        return super().getMessage().replace("secret", "***")


def _entry(kind: Any, message: Any, *args: Any) -> dict[str, Any]:
    return record_to_entry(kind("shop", logging.INFO, "shop.py", 5, message, args, None), _COMMON)


@pytest.mark.parametrize(("message", "args"), [("a secret", ()), ("a %s", ("secret",)), ({"key": "secret"}, ())])
def test_message_is_that_of_the_class(message: Any, args: tuple[Any, ...]) -> None:
    """P10: with and without arguments, and for a message that is no text."""
    entry = _entry(_Masking, message, *args)

    assert "***" in entry["message"]
    assert "secret" not in repr(entry)


def test_class_that_fails_shows_nothing() -> None:
    """P10: without the masks, neither the message nor the arguments are sent; a standard record shows both."""
    masked, standard = _entry(_Masking, "%d secret", "secret"), _entry(logging.LogRecord, "%d items", "five")

    assert masked["message"] == "[_Masking.getMessage failed: TypeError]"
    assert "secret" not in repr(masked)
    assert standard["message"].startswith("%d items ('five',) [TypeError: ")


def test_masks_of_one_record_or_of_the_standard_class_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """P10: programs replace the method of a single record, and of `logging.LogRecord`."""

    def fail(record: Any = None) -> str:
        raise ValueError("secret")

    record = logging.makeLogRecord({"msg": "secret"})
    record.getMessage = fail  # type: ignore[method-assign]
    own = record_to_entry(record, _COMMON)
    monkeypatch.setattr(logging.LogRecord, "getMessage", fail)

    assert (
        own["message"] == _entry(logging.LogRecord, "secret")["message"] == "[LogRecord.getMessage failed: ValueError]"
    )
