"""The message of a record whose class masks secrets: none of them reaches the collector."""

import logging
from typing import Any

import pytest

from concurrent_log.collector.client.record import record_to_entry

_COMMON = {"process_id": 1, "process_name": "MainProcess"}


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
