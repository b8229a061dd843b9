"""Scans of JSON that is not decoded yet. Each takes linear time and memory, for any bytes."""

import re

MAX_DEPTH = 100  # nested objects and lists that are decoded

# The memory in bytes that each part of the JSON needs, decoded and as a row.
_OBJECT_WEIGHT, _LIST_WEIGHT, VALUE_WEIGHT = 640, 64, 60

# For text without escapes. A string that is never closed extends to the end: if it did not match, the search would
# begin again at each quotation mark in it, which takes quadratic time.
_STRINGS = re.compile(rb'"[^"]*"?')
_STRINGS_AND_BRACKETS = re.compile(rb'"[^"]*"?|[][{}]')


def estimate_weight(content: bytes, max_weight: int) -> int:
    """Return the approximate memory in bytes that ``content`` needs when decoded, without decoding it."""
    weight = _rough_weight(content)
    if weight > max_weight:
        # Count again without strings, which may contain many commas.
        weight = len(content) + _rough_weight(_STRINGS.sub(b'""', _without_escapes(content)))
    return weight


def cut_nesting(content: bytes) -> bytes:
    """Replace objects and lists that are nested too deeply for a decoder by null."""
    parts, depth, begin = [], 0, 0
    for token in _STRINGS_AND_BRACKETS.finditer(_without_escapes(content)):
        depth += {b"[": 1, b"{": 1, b"]": -1, b"}": -1}.get(token[0], 0)
        if depth == MAX_DEPTH + 1 and token[0] in b"[{":
            parts += [content[begin : token.start()], b"null"]
        if depth == MAX_DEPTH and token[0] in b"]}":
            begin = token.end()
    return b"".join([*parts, content[begin:]])


def _without_escapes(content: bytes) -> bytes:
    """Replace escaped backslashes and quotation marks by other characters; positions stay the same."""
    return content.replace(rb"\\", b"__").replace(rb"\"", b"__")


def _rough_weight(content: bytes) -> int:
    values = content.count(b",") + content.count(b":")
    objects, lists = content.count(b"{"), content.count(b"[")
    return len(content) + _OBJECT_WEIGHT * objects + _LIST_WEIGHT * lists + VALUE_WEIGHT * values
