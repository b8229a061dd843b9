"""A file in TOML, and in which line of it a key stands."""

import os
import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")  # where the parser says a mistake is


class ConfigurationError(ValueError):
    """A file that cannot be used. Its text is one line: the file, the line, what is wrong and what to do."""


class TomlFile:
    """A file in TOML, read at once; ``content`` is what it says.

    Raises:
        ConfigurationError: The file cannot be read, or is not TOML.
    """

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self._path = os.fspath(path)
        self._text = self._decoded(self._read())
        self.content = self._parsed()

    def error(self, what: str, *keys: str) -> ConfigurationError:
        """Return the error that says what is wrong with a key, such as ``"services", "database", "slow"``."""
        return self._error_at(self.line_of(*keys), what)

    def line_of(self, *keys: str) -> int:
        """Return the number of the line in which a key stands; where there is no such key, that of the table.

        It is the line that, after all before it, makes a document that has the key.
        """
        lines = self._text.split("\n")
        found_at, deepest, begins = 1, 0, 1
        for number in range(1, len(lines) + 1):
            try:
                content = tomllib.loads("\n".join(lines[:number]))
            except (ValueError, RecursionError):
                continue  # In the middle of a value of more than one line.
            depth = _depth(content, keys)
            if depth > deepest:
                found_at, deepest = begins, depth
            if depth == len(keys):
                break
            begins = number + 1
        return found_at

    def _read(self) -> bytes:
        try:
            with open(self._path, "rb") as file:
                return file.read()
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise ConfigurationError(f"{self._path}: cannot be read: {reason}") from None
        except ValueError:  # a null character in the name
            raise ConfigurationError(f"{self._path!r}: is not the name of a file") from None

    def _decoded(self, content: bytes) -> str:
        try:
            return content.decode("utf-8-sig")  # Editors on Windows may put a mark at the beginning.
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise self._error_at(line, "it is not UTF-8: save it in that encoding") from None

    def _parsed(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._text)
        except ValueError as error:
            found = _AT.search(str(error))
            what = str(error)[: found.start()] if found else str(error)
            line = int(found[1]) if found and found[1] else self._text.rstrip("\n").count("\n") + 1
            raise self._error_at(line, f"it is not TOML: {what[:1].lower()}{what[1:]}") from None
        except RecursionError:
            raise self._error_at(1, "it is not TOML: too many brackets within brackets") from None

    def _error_at(self, line: int, what: str) -> ConfigurationError:
        return ConfigurationError(f"{self._path}:{line}: {' '.join(what.split())}")


def _depth(content: Any, keys: tuple[str, ...]) -> int:
    """Return how many of the keys are there, one within the other."""
    for depth, key in enumerate(keys):
        if not isinstance(content, dict) or key not in content:
            return depth
        content = content[key]
    return len(keys)
