"""Descriptions of errors: one short line without addresses, users and passwords."""

import re

from concurrent_log.health.failure_reasons import failure_reason
from concurrent_log.health.status import CheckFailed, Degraded

_MAX_LENGTH = 300  # characters
_MAX_INPUT = 3000  # characters; the text may be a whole web page

_QUOTED = r"(?:\"[^\"]*\"|'[^']*')"
_SECRETS = r"password|passwd|passphrase|pwd|secret|token|credentials?|signature|api[_-]?key|access[_-]?key(?:[_-]?id)?"
_NAMES = rf"[\w-]*(?:{_SECRETS})|(?:[\w-]*[_-])?pass|user(?:name)?|host(?:name)?|port"
_DSN = r"server|data source|addr(?:ess)?|uid|user id|database|dbname"  # ordinary words before a colon
_SHORT = r"(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?"
_IPV6 = rf"{_SHORT}::{_SHORT}|(?:[0-9a-f]{{1,4}}:){{7}}[0-9a-f]{{1,4}}"  # fewer colons may be a time

# Patterns and their replacements, applied in this order.
_PATTERNS = [
    (r"(?<![\w+.-])([a-z][\w+.-]*)://(?:[^\s@]*@)?[^\s'\"<>]+", r"\1://…"),
    (r"(?<![^\s'\"(=])[^\s'\":@(=]+:[^\s@]*@[\w.:\[\]-]+", "…"),  # user:password@host
    (rf"{_QUOTED}@{_QUOTED}", "…"),  # a user in messages of MySQL
    (r"\('[^']*', \d+(?:, \d+)*\)", "(…)"),  # a socket address as a tuple
    (r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])", "…"),
    (rf"(?<![\w:])\[?(?:{_IPV6})(?:%\w+)?(?:\]:\d+)?(?![\w:])", "…"),
    (r"\b(authorization['\"]?\s*[:=]\s*)(?:['\"]?\w+\s+)?\S+", r"\1…"),
    (r"\b(bearer\s+)[\w.~+/=-]{16,}", r"\1…"),
    (rf"(?<![\w-])((?:{_NAMES})(?:[_-]\w+)?['\"]?\s*[=:]\s*)(?:{_QUOTED}|\S+)", r"\1…"),
    (rf"\b((?:{_DSN})\s*=\s*)(?:{_QUOTED}|[^\s;]+)", r"\1…"),
    (rf"\b((?:server(?: at| on)?|host(?: ?name)?|user|role|database)\s+){_QUOTED}", r"\1…"),
    (r"\b(connect(?:ing)? to (?:host )?)[\w.-]+:\d+", r"\1…"),
]
_REPLACEMENTS = [(re.compile(pattern, re.IGNORECASE), replacement) for pattern, replacement in _PATTERNS]


def describe_error(error: BaseException) -> str:
    """Return a description of ``error`` in one line.

    The message of `CheckFailed` and `Degraded` stays unchanged. An `OSError` is described by its errno only. In the
    message of any other exception, text that looks like an address or a secret is replaced.
    """
    try:
        return _one_line(_description(error))
    except Exception:  # Its ``__str__`` may raise anything.
        return type(error).__name__


def redact(text: str) -> str:
    """Return the start of ``text`` with everything replaced that looks like an address, a user or a secret."""
    text = text[:_MAX_INPUT]
    for pattern, replacement in _REPLACEMENTS:
        text = pattern.sub(replacement, text)
    return text


def printable(text: str) -> str:
    """Return ``text`` with control characters replaced, which a terminal would execute."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _description(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, (CheckFailed, Degraded)):
        return str(error) or "the check gave no reason"
    if isinstance(error, OSError) and error.errno:
        return failure_reason(error)
    text = redact(str(error))
    return f"{name}: {text}" if text else name


def _one_line(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= _MAX_LENGTH else line[: _MAX_LENGTH - 1] + "…"
