"""The text of a record is the same as without the cache of its time."""

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
    """Overrides what the cached way still has to call."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Return the line in capitals."""
        return super().formatMessage(record).upper()

    def formatException(self, ei: object) -> str:
        """Return something else than a traceback."""
        return "failed"


class Timeless(logging.Formatter):
    """Never renders the time by itself."""

    def usesTime(self) -> bool:
        """Return that it does not."""
        return False


class OwnTime(logging.Formatter):
    """Renders the time in its own way."""

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
    """Let local time be another one than UTC."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "Europe/Berlin"
    time.tzset()
    yield
    os.environ.pop("TZ") if before is None else os.environ.update(TZ=before)
    time.tzset()


def made(created: float, trouble: str) -> logging.LogRecord:
    """Return a record of that time, with an exception or what else there may be."""
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
def test_text_is_what_the_formatter_makes_of_it(
    kind: type[logging.Formatter],
    layout: tuple[str, str],
    milliseconds: str | None,
    steps: list[tuple[float, str, tuple[str, object] | None]],
) -> None:
    """P6: to the byte, around full seconds, and where the formatter is changed between two records."""
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


def test_formatter_of_another_kind_is_only_asked_to_format() -> None:
    """P6: as with the standard class, a formatter is whatever has a format method, such as a proxy or a double."""
    formatter = types.SimpleNamespace(format=lambda record: "formatted")

    assert AsctimeCache().format(formatter, made(1.0, "")) == "formatted"  # type: ignore[arg-type]


def test_signal_handler_that_logs_in_between_leaves_the_right_time() -> None:
    """P6: two records of different seconds, the second logged in the middle of the first."""
    formatter, cache = logging.Formatter("%(asctime)s"), AsctimeCache()

    class Interrupted(str):
        def __bool__(self) -> bool:
            looks.append(self)
            if len(looks) == 2:
                cache.format(formatter, made(2.0, ""))  # in the middle of rendering the first second
            return False

    looks: list[str] = []
    formatter.datefmt = Interrupted()
    texts = [cache.format(formatter, made(1.0, "")) for _ in range(2)]

    assert texts == [logging.Formatter("%(asctime)s").format(made(1.0, ""))] * 2
