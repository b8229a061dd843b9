"""The text of a record is the same with and without the cache of its time."""

import logging
import os
import time
import types
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from concurrent_log.files.asctime_cache import AsctimeCache


class Shouting(logging.Formatter):
    """Overrides methods that the cache must still call."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line in capitals."""
        return super().formatMessage(record).upper()

    def formatException(self, ei: object) -> str:
        """Return a text other than a traceback."""
        return "failed"


class Timeless(logging.Formatter):
    """Never renders the time."""

    def usesTime(self) -> bool:
        """Return that it does not use the time."""
        return False


class OwnTime(logging.Formatter):
    """Renders the time in a different way."""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """Return the bare number."""
        return f"{record.created:.3f}"


LAYOUTS = [("%", "%(asctime)s %(message)s"), ("{", "{asctime} {message}"), ("$", "${asctime} ${message}")]
LAYOUTS += [("%", "%(message)s"), ("%", "%(asctime)s %(msecs)d %(extra)s %(message)s")]
CONVERTERS = [time.localtime, time.gmtime, lambda seconds: time.gmtime((seconds or 0) + 1800)]
FRACTIONS = [-0.000_1, 0.0, 0.000_1, 0.5, 0.999_6, 0.999_999_9, 1.0]
MOMENTS = st.sampled_from([0, -1, 1715940000, 1729990799, 1729990800]).flatmap(
    lambda second: st.sampled_from(FRACTIONS).map(lambda part: second + part)
)
TROUBLES = ["", "", "", "exception", "exception text", "stack", "asctime"]
CHANGES = st.sampled_from(
    [
        ("datefmt", None),
        ("datefmt", ""),
        ("datefmt", "%H:%M:%S"),
        ("datefmt", "%s %z"),
        *(("converter", converter) for converter in CONVERTERS),
    ]
)


@pytest.fixture(scope="module", autouse=True)
def berlin() -> Iterator[None]:
    """Use a local time other than UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def made(created: float, trouble: str) -> logging.LogRecord:
    """Return a record with this creation time, and with an exception or other attributes."""
    record = logging.LogRecord("test", logging.INFO, __file__, 1, "hello %s", ("you",), None)
    record.created, record.msecs, record.extra = created, created % 1 * 1000, "extra"
    if trouble == "exception":
        record.exc_info = ZeroDivisionError, ZeroDivisionError(), None
    elif trouble == "exception text":
        record.exc_text = "rendered before"
    elif trouble == "stack":
        record.stack_info = "stack"
    elif trouble == "asctime":
        record.asctime = "preset"
    return record


@settings(max_examples=500, deadline=None)
@given(
    kind=st.sampled_from([logging.Formatter, Shouting, Timeless, OwnTime]),
    layout=st.sampled_from(LAYOUTS),
    milliseconds=st.sampled_from(["%s,%03d", None, "%s.%03d"]),
    steps=st.lists(
        st.tuples(
            MOMENTS,
            st.sampled_from(TROUBLES),
            st.none() | CHANGES,
        ),
        max_size=12,
    ),
)
def test_text_is_that_of_the_formatter(
    kind: type[logging.Formatter],
    layout: tuple[str, str],
    milliseconds: str | None,
    steps: list[tuple[float, str, tuple[str, object] | None]],
) -> None:
    """P6: identical to the byte, around full seconds, and when the formatter changes between two records."""
    style, text = layout
    formatter = kind(text, style=style, defaults={"extra": "default", "asctime": "default"})  # type: ignore[arg-type]
    formatter.default_msec_format = milliseconds
    cache = AsctimeCache()
    for created, trouble, change in steps:
        if change is not None:
            setattr(formatter, *change)
        expected, record = made(created, trouble), made(created, trouble)

        assert cache.format(formatter, record) == formatter.format(expected)
        assert vars(record).keys() == vars(expected).keys()
        assert getattr(record, "asctime", None) == getattr(expected, "asctime", None)


def test_object_with_only_a_format_method_works_as_formatter() -> None:
    """P6: as with the standard class, a formatter can be any object with a format method, such as a proxy or a mock."""
    formatter = types.SimpleNamespace(format=lambda record: "formatted")

    assert AsctimeCache().format(formatter, made(1.0, "")) == "formatted"  # type: ignore[arg-type]


def test_signal_handler_that_logs_does_not_change_the_time() -> None:
    """P6: of two records of different seconds, the second is logged while the first is formatted."""
    formatter, cache = logging.Formatter("%(asctime)s"), AsctimeCache()

    class Interrupted(str):
        def __bool__(self) -> bool:
            looks.append(self)
            if len(looks) == 2:
                cache.format(formatter, made(2.0, ""))  # while the first second is rendered
            return False

    looks: list[str] = []
    formatter.datefmt = Interrupted()
    texts = [cache.format(formatter, made(1.0, "")) for _ in range(2)]

    assert texts == [logging.Formatter("%(asctime)s").format(made(1.0, ""))] * 2
