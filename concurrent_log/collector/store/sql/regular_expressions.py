r"""The regular expressions of queries, which mean the same in both databases, and take linear time.

The language is a part of RE2's: literal text, ``.``, ``[...]``, the escapes ``\d \w \s \D \W \S \b \B``, groups, ``|``,
``^``, ``$`` and repetitions. ``.`` matches line breaks too; ``^`` and ``$`` are the ends of the whole text; case is
ignored. RE2 runs it for SQLite; `for_postgres` writes it for PostgreSQL, whose escapes have other meanings.
"""

import functools
import re
from collections.abc import Iterator
from typing import Any

import re2

_MAX_MEMORY = 4 << 20  # bytes of a compiled expression
_MAX_REPETITIONS = 255  # PostgreSQL allows no more
_WORD, _DIGIT, _SPACE = "A-Za-z0-9_", "0-9", r" \t\n\f\r"
_INSIDE = {"w": _WORD, "d": _DIGIT, "s": _SPACE, "t": r"\t", "n": r"\n", "r": r"\r", "f": r"\f"}
_EDGE = f"(?:(?<=[{_WORD}])(?![{_WORD}])|(?<![{_WORD}])(?=[{_WORD}]))"
_NO_EDGE = f"(?:(?<=[{_WORD}])(?=[{_WORD}])|(?<![{_WORD}])(?![{_WORD}]))"
_OUTSIDE = {
    **{letter: f"[{members}]" for letter, members in _INSIDE.items()},
    "W": f"[^{_WORD}]",
    "D": f"[^{_DIGIT}]",
    "S": f"[^{_SPACE}]",
    "b": _EDGE,
    "B": _NO_EDGE,
}
_TOKEN = re.compile(
    r"""\\(?P<escaped>.)
    | (?P<set>\[\^?\]?(?:\\.|\[:\^?[a-z]+:\]|[^\\\]])*\])
    | (?P<special>\(\?(?!:))
    | (?P<repeated>[*+?]|\{(?P<least>[0-9]{1,4})(?:,(?P<most>[0-9]{0,4}))?\})
    | (?P<other>\(\?:|.)""",
    re.VERBOSE | re.DOTALL,
)
_SET_MEMBER = re.compile(r"\\(?P<escaped>.)(?P<dash>-?)|(?P<named>\[:)|(?P<other>.)", re.DOTALL)


def check(expression: str) -> None:
    """Raise `ValueError` if the expression is invalid, or not of the language."""
    _compiled(expression)
    for_postgres(expression)


@functools.lru_cache(maxsize=1000)
def _compiled(expression: str) -> Any:
    options = re2.Options()
    options.case_sensitive, options.dot_nl, options.log_errors, options.max_mem = False, True, False, _MAX_MEMORY
    try:
        return re2.compile(expression, options)
    except re2.error as error:
        (reason,) = error.args
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"it is no regular expression: {text}") from None


def is_found(expression: str, text: str) -> bool:
    """Return whether the expression is found in ``text``."""
    return _compiled(expression).search(text) is not None


@functools.lru_cache(maxsize=1000)
def for_postgres(expression: str) -> str:
    """Return the expression for the operator ``~*`` of PostgreSQL, or raise `ValueError`."""
    return "".join(_translated(expression))


def _translated(expression: str) -> Iterator[str]:
    before = "nothing"
    for found in _TOKEN.finditer(expression):
        if found["repeated"]:
            if before == "repeated" and found[0] == "?":
                before = "lazy"  # It says which of several matches is meant, not whether there is one.
                continue
            if before != "atom":
                raise ValueError(f"{found[0]} repeats nothing: write it after a character, a set or a group")
            _check_repetition(found)
        yield found[0] if found["repeated"] else _token(found)
        before = _kind(found)


def _kind(found: "re.Match[str]") -> str:
    """Return what a token is for the repetition that may follow it."""
    if found["repeated"]:
        return "repeated"
    is_atom = found["escaped"] not in ("b", "B") and found[0] not in ("^", "$", "|", "(", "(?:")
    return "atom" if is_atom else "nothing"


def _check_repetition(found: "re.Match[str]") -> None:
    if found["least"] and max(int(found["least"]), int(found["most"] or 0)) > _MAX_REPETITIONS:
        raise ValueError(f"{found[0]} is too many repetitions: use at most {_MAX_REPETITIONS}")


def _token(found: "re.Match[str]") -> str:
    if found["escaped"]:
        return _escape(found["escaped"], _OUTSIDE)
    if found["set"]:
        return _set(found["set"])
    if found["special"]:
        raise ValueError("(? is not allowed, except in (?:")
    return f"\\{found[0]}" if found[0] in "{}]" else found[0]


def _escape(letter: str, meanings: dict[str, str]) -> str:
    if letter in meanings:
        return meanings[letter]
    if letter.isascii() and not letter.isalnum():
        return f"\\{letter}"
    raise ValueError(f"\\{letter} is not allowed here: use \\d, \\w, \\s or \\b, or \\ before a punctuation mark")


def _set(text: str) -> str:
    begin = "[^" if text.startswith("[^") else "["
    members = text[len(begin) : -1]
    return begin + "".join(_member(found) for found in _SET_MEMBER.finditer(members)) + "]"


def _member(found: "re.Match[str]") -> str:
    if found["named"]:
        raise ValueError("[: is not allowed: use \\d, \\w or \\s")
    if found["escaped"]:
        member = _escape(found["escaped"], _INSIDE)
        return f"{member}\\-" if found["dash"] and found["escaped"] in "wds" else f"{member}{found['dash']}"
    return f"\\{found['other']}" if found["other"] in "[]" else found["other"]
