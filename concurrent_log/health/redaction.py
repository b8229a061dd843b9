"""What is said of an error: one short line, in which no address and no password is left."""

import re

from concurrent_log.health.failure_reasons import reason
from concurrent_log.health.status import CheckFailed, Degraded

_LONGEST = 300  # characters

_READ = 3000  # of a text that may be a whole page

_QUOTED = r"(?:\"[^\"]*\"|'[^']*')"
_SECRETS = r"password|passwd|passphrase|pwd|secret|token|credentials?|signature|api[_-]?key|access[_-]?key(?:[_-]?id)?"
_NAMES = rf"[\w-]*(?:{_SECRETS})|(?:[\w-]*[_-])?pass|user(?:name)?|host(?:name)?|port"
_DSN = r"server|data source|addr(?:ess)?|uid|user id|database|dbname"  # of other things as well, before a colon
_SHORT = r"(?:[0-9a-f]{1,4}(?::[0-9a-f]{1,4})*)?"
_IPV6 = rf"{_SHORT}::{_SHORT}|(?:[0-9a-f]{{1,4}}:){{7}}[0-9a-f]{{1,4}}"  # with only two colons, it may be a time

# What is replaced, and by what; in this order.
_PATTERNS = [
    (r"(?<![\w+.-])([a-z][\w+.-]*)://(?:[^\s@]*@)?[^\s'\"<>]+", r"\1://…"),
    (r"(?<![^\s'\"(=])[^\s'\":@(=]+:[^\s@]*@[\w.:\[\]-]+", "…"),  # user:password@host
    (rf"{_QUOTED}@{_QUOTED}", "…"),  # as MySQL names a user
    (r"\('[^']*', \d+(?:, \d+)*\)", "(…)"),  # as sockets name an address
    (r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])", "…"),
    (rf"(?<![\w:])\[?(?:{_IPV6})(?:%\w+)?(?:\]:\d+)?(?![\w:])", "…"),
    (r"\b(authorization['\"]?\s*[:=]\s*)(?:['\"]?\w+\s+)?\S+", r"\1…"),
    (r"\b(bearer\s+)[\w.~+/=-]{16,}", r"\1…"),
    (rf"(?<![\w-])((?:{_NAMES})(?:[_-]\w+)?['\"]?\s*[=:]\s*)(?:{_QUOTED}|\S+)", r"\1…"),
    (rf"\b((?:{_DSN})\s*=\s*)(?:{_QUOTED}|[^\s;]+)", r"\1…"),
    (rf"\b((?:server(?: at| on)?|host(?: ?name)?|user|role|database)\s+){_QUOTED}", r"\1…"),
    (r"\b(connect(?:ing)? to (?:host )?)[\w.-]+:\d+", r"\1…"),
]
_REPLACED = [(re.compile(pattern, re.IGNORECASE), by) for pattern, by in _PATTERNS]


def told(error: BaseException) -> str:
    """Return what ``error`` says of a service.

    The words of `CheckFailed` and `Degraded` are those of the check, and left as they are. Of an error of the system
    only its kind is told; in the words of any other exception, what looks like an address or a secret is replaced.
    """
    try:
        return _one_line(_words(error))
    except Exception:  # Its ``__str__`` may do anything.
        return type(error).__name__


def masked(text: str) -> str:
    """Return ``text``, or how it begins, without what looks like an address, a user or a secret."""
    text = text[:_READ]
    for pattern, by in _REPLACED:
        text = pattern.sub(by, text)
    return text


def printable(text: str) -> str:
    """Return ``text`` without characters that a terminal may obey."""
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _words(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, (CheckFailed, Degraded)):
        return str(error) or "its check says so"
    if isinstance(error, OSError) and error.errno:
        return reason(error)
    text = masked(str(error))
    return f"{name}: {text}" if text else name


def _one_line(text: str) -> str:
    line = printable(" ".join(text.split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
