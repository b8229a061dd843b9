"""Expansion of environment variables in strings, and redaction of their values in messages."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

_VARIABLE = re.compile(r"(\$?)\$\{([^}]*)(\}?)")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SCHEME = re.compile(r"^[\w+.-]+://")
_USER = re.compile(r"://(.*)@")
_MIN_LENGTH = 3  # characters; shorter words occur in any message


class EnvironmentVariables:
    """Expands environment variables in strings, and redacts the expanded values in messages.

    ``${NAME}`` is replaced by the value of a variable, ``$${NAME}`` by the literal text ``${NAME}``.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._values: set[str] = set()
        self._users: set[str] = set()

    def expand(self, text: str) -> str:
        """Return ``text`` with its variables replaced; raise ValueError if one is not set."""
        expanded = _VARIABLE.sub(self._value, text)
        self._users.update(_USER.findall(expanded))
        return expanded

    def redact(self, message: str) -> str:
        """Return ``message`` without the values of variables, and without users and passwords of URLs."""
        for value in self._values:
            message = message.replace(repr(value), "…")
        # A value may be adjacent to anything, but the name of a user is often part of another word.
        patterns = [*_words(self._values), *(rf"\b{word}\b" for word in _words(self._users))]
        for pattern in sorted(patterns, key=len, reverse=True):
            message = re.sub(pattern, "…", message, flags=re.IGNORECASE)
        return message

    def _value(self, found: "re.Match[str]") -> str:
        is_literal, name, end = found.groups()
        if is_literal:
            return found[0][1:]
        if not end:
            raise ValueError("${ without }: write ${NAME} for an environment variable, or $${ for ${")
        if not _NAME.fullmatch(name):
            raise ValueError(f"${{{name}}} is not a valid variable name: use letters, digits and _, or $${{ for ${{")
        if name not in self._environment:
            raise ValueError(f"the environment variable {name} is not set: set it, or write $${{{name}}} for the text")
        self._values.add(self._environment[name])
        return self._environment[name]


def _words(secrets: Iterable[str]) -> set[str]:
    known = {_SCHEME.sub("", secret) for secret in secrets}
    texts = known | set(map(unquote, known))
    return {word for text in texts for word in re.findall(r"\w+", text) if len(word) >= _MIN_LENGTH}
