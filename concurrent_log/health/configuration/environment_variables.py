"""Environment variables in texts, and secrets that must not be shown."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

_VARIABLE = re.compile(r"(\$?)\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCHEME = re.compile(r"^[\w+.-]+://")
_USER = re.compile(r"://(.*)@")
_SHORTEST = 3  # characters of a word that tells anything


class Variables:
    """Puts the variables of an environment into texts, and hides from messages what it has put there.

    ``${NAME}`` stands for a variable, ``$${NAME}`` for these characters themselves.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._values: set[str] = set()
        self._users: set[str] = set()

    def put_into(self, text: str) -> str:
        """Return ``text`` with the values of its variables; raise ValueError where there is no such variable."""
        found = _VARIABLE.sub(self._value, text)
        self._users.update(_USER.findall(found))
        return found

    def hide(self, message: str) -> str:
        """Return ``message`` without any value of a variable, and without any user and password of a text's URL."""
        for value in self._values:
            message = message.replace(repr(value), "…")
        # A value may stand next to anything, but the name of a user is often part of another word.
        patterns = [*_words(self._values), *(rf"\b{word}\b" for word in _words(self._users))]
        for pattern in sorted(patterns, key=len, reverse=True):
            message = re.sub(pattern, "…", message, flags=re.IGNORECASE)
        return message

    def _value(self, found: "re.Match[str]") -> str:
        is_literal, name, end = found.groups()
        if is_literal:
            return found[0][1:]
        if not end:
            raise ValueError("after ${, there is no }: write ${NAME} for an environment variable, $${ for ${")
        if not _NAME.fullmatch(name):
            raise ValueError(f"${{{name}}} names no environment variable: use letters, digits and _, or $${{ for ${{")
        if name not in self._environment:
            raise ValueError(f"there is no environment variable {name}: set it, or write $${{{name}}} for the text")
        self._values.add(self._environment[name])
        return self._environment[name]


def _words(secrets: Iterable[str]) -> set[str]:
    known = {_SCHEME.sub("", secret) for secret in secrets}
    texts = known | set(map(unquote, known))
    return {word for text in texts for word in re.findall(r"\w+", text) if len(word) >= _SHORTEST}
