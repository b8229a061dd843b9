"""What is said of an error: one short line, in which no address and no password is left."""

import re

from concurrent_log.health.reasons import reason
from concurrent_log.health.status import CheckFailed, Degraded

_LONGEST = 300  # characters

_ADDRESS = re.compile(r"(?<![\w+.-])([a-zA-Z][\w+.-]*)://[^\s'\"<>]+")
_NUMBERS = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?(?![\w.])")
_TUPLE = re.compile(r"\('[^']*', \d+(?:, \d+)*\)")  # as sockets name an address
_SECRETS = "pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|user(?:name)?|host|port"
_SECRET = re.compile(rf"(?i)\b({_SECRETS})\b(\s*[=:]\s*)\S+")


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
    """Return ``text`` without what looks like an address or a secret."""
    text = _ADDRESS.sub(r"\1://…", text)
    text = _NUMBERS.sub("…", _TUPLE.sub("(…)", text))
    return _SECRET.sub(r"\1\2…", text)


def _words(error: BaseException) -> str:
    name = type(error).__name__
    if isinstance(error, (CheckFailed, Degraded)):
        return str(error) or "its check says so"
    if isinstance(error, OSError) and error.errno:
        return reason(error)
    text = masked(str(error))
    return f"{name}: {text}" if text else name


def _one_line(text: str) -> str:
    line = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in " ".join(text.split()))
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
