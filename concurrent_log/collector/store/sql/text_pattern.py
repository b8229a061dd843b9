r"""`TextPattern`: text with wildcards, for LIKE in SQL and for Python, regardless of case.

If the pattern is ASCII, only the case of ASCII letters is ignored, which is several times as fast.
"""

import functools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

_ESCAPED = re.compile(r"([\\%_])")
_LIKE_LETTERS = re.compile(r"\\(.)|([^\\%])|(%)", re.DOTALL)


@dataclass(frozen=True)
class TextPattern:
    """A pattern for a whole text; ``parts`` is the text between its wildcards."""

    parts: tuple[str, ...]

    @classmethod
    def containing(cls, *parts: str) -> "TextPattern":
        """Return the pattern for all texts that contain the parts in this order."""
        return cls(("", *parts, ""))

    @property
    def like(self) -> str:
        r"""The pattern for LIKE, in which ``\`` escapes."""
        return "%".join(_ESCAPED.sub(r"\\\1", part) for part in self.parts)

    @property
    def is_ascii(self) -> bool:
        """Whether only the case of ASCII letters is ignored."""
        return all(part.isascii() for part in self.parts)

    @property
    def is_storable(self) -> bool:
        """Whether a record can have such a text."""
        return not any("\0" in part for part in self.parts)

    @property
    def is_plain_json(self) -> bool:
        """Whether JSON writes the parts as they are."""
        return not any(letter in '"\\' or letter < " " or letter == "\x7f" for part in self.parts for letter in part)


def fold(text: str) -> str:
    """Return ``text`` in lower case, one letter at a time, as databases do: no letter depends on its neighbours."""
    return text.replace("İ", "i").replace("\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER SIGMA}").lower()


@functools.lru_cache(maxsize=1000)
def like_function(like: str) -> Callable[[str], bool]:
    """Return a function that says whether a text is LIKE a pattern, in linear time."""
    parts = [""]
    for escaped, letter, wildcard in _LIKE_LETTERS.findall(like):
        if wildcard:
            parts.append("")
        else:
            parts[-1] += escaped or letter
    if like.isascii():
        encoded = [part.encode().lower() for part in parts]
        return lambda text: _has_parts(text.encode("utf-8", "surrogatepass").lower(), encoded)
    folded = [fold(part) for part in parts]
    if all(map(str.isascii, folded)):  # for example the Kelvin sign, whose lower case is k
        return lambda text: _has_parts(fold(text), folded)
    return lambda text: not text.isascii() and _has_parts(fold(text), folded)


def _has_parts(text: Any, parts: Sequence[Any]) -> bool:
    """Return whether ``text`` is the parts with anything between them; both are text, or both are bytes."""
    first, *middle = parts
    if not middle:
        return bool(text == first)
    last = middle.pop()
    position, end = len(first), len(text) - len(last)
    if position > end or not text.startswith(first) or not text.endswith(last):
        return False
    for part in middle:
        position = text.find(part, position, end)
        if position < 0:
            return False
        position += len(part)
    return True
