"""Decodes JSON, also the invalid JSON that some encoders write, without text that databases cannot store."""

import json
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.server.ingest.json_text import VALUE_WEIGHT, cut_nesting, estimate_weight
from concurrent_log.collector.server.ingest.memory_budget import MemoryLease
from concurrent_log.collector.server.ingest.normalize import UndecodableRecord, clean_text

Decode = Callable[[bytes | msgspec.Raw], Any]

_MAX_NUMBER_LENGTH = 200  # characters of a number that becomes text
_EXACT_DIGITS = 15  # Every decimal number with at most this number of digits is a float.
_LONG_DECIMAL = re.compile(rb"\d[\d.]{15}\d*[\d.eE]")  # It may be a part of a text, which costs only time.


def reserve_weight(content: bytes, max_weight: int, lease: MemoryLease, values: int = 0) -> None:
    """Reserve the memory for the decoded ``content`` and its rows, or raise `Problem`.

    Args:
        content: JSON.
        max_weight: Maximum number of bytes of memory.
        lease: Reserves the memory.
        values: The number of values that no comma and no colon in the content shows.
    """
    weight = estimate_weight(content, max_weight) + VALUE_WEIGHT * values
    if weight > max_weight:
        raise Problem(413, "the records need too much memory: send less at once")
    lease.reserve(weight)


def decoder_for(content: bytes) -> Decode:
    """Return a function that decodes ``content``, or a part of it, without changing a number."""
    return _decode_exactly if _LONG_DECIMAL.search(content) else _decode


def decode_each(parts: list[msgspec.Raw], decode: Decode) -> list[Any]:
    """Return the records in ``parts``, in place of an invalid one an `UndecodableRecord`.

    They are decoded one by one: no call lasts long, so that other threads can run.

    Args:
        parts: JSON, each of one record.
        decode: What `decoder_for` returned.
    """
    return [decode_record(bytes(part), decode) for part in parts]


def decode_record(content: bytes, decode: Decode) -> Any:
    """Return a decoded record, or an `UndecodableRecord`."""
    try:
        return clean_text(decode(content)) if b"\\u0000" in content else decode(content)
    except RecursionError:
        content = cut_nesting(content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        return decode_leniently(content)
    except Problem as problem:
        return UndecodableRecord(problem.detail)


def decode_leniently(content: bytes) -> Any:
    """Decode the invalid JSON that some encoders write: NaN, lone surrogates, control characters, invalid UTF-8."""
    try:
        text = content.decode("utf-8", "replace")
        found = json.loads(text, strict=False, parse_constant=str, parse_float=_float, parse_int=_int)
        return clean_text(found)
    except RecursionError:
        raise Problem(400, "the JSON is nested too deeply") from None
    except ValueError as error:
        raise Problem(400, f"invalid JSON: {error}") from None


def _float(text: str) -> float | str:
    """Return a number; its text if a float has not all of its digits."""
    number = float(text)
    if abs(number) == float("inf") or (len(text) > _EXACT_DIGITS and not _is_exactly(number, text)):
        return text[:_MAX_NUMBER_LENGTH]
    return number


def _is_exactly(number: float, text: str) -> bool:
    try:
        return Decimal(text) == Decimal(repr(number))
    except InvalidOperation:  # Its exponent is too large for a decimal number.
        return False


def _int(text: str) -> int | str:
    return int(text) if len(text) <= 40 else text


_decode: Decode = msgspec.json.Decoder().decode
_decode_exactly: Decode = msgspec.json.Decoder(float_hook=_float).decode
