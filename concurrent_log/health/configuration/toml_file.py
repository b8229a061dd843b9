"""A TOML file, and the line numbers of its keys."""

import os
import re
import sys
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_AT = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")  # the position in error messages of the parser


class ConfigurationError(ValueError):
    """A configuration file is invalid. The message is one line: file, line number, problem and remedy."""


class TomlFile:
    """A TOML file, which is read when the object is created; ``content`` is the parsed document.

    Raises:
        ConfigurationError: The file cannot be read, or is not valid TOML.
    """

    def __init__(self, path: "str | os.PathLike[str]") -> None:
        self._path = os.fspath(path)
        self._text = self._decoded(self._read())
        self.content = self._parsed()

    def error(self, problem: str, *keys: str) -> ConfigurationError:
        """Return the error for a problem with a key, such as ``"services", "database", "slow"``."""
        return self._error_at(self.line_of(*keys), problem)

    def line_of(self, *keys: str) -> int:
        """Return the line number of a key, or of its table if the key does not exist.

        The lines up to this one are the shortest part of the file that parses to a document with the key.
        """
        lines = self._text.split("\n")
        found_at, deepest, start = 1, 0, 1
        for number in range(1, len(lines) + 1):
            try:
                content = tomllib.loads("\n".join(lines[:number]))
            except (ValueError, RecursionError):
                continue  # Inside a value that spans several lines.
            depth = _depth(content, keys)
            if depth > deepest:
                found_at, deepest = start, depth
            if depth == len(keys):
                break
            start = number + 1
        return found_at

    def _read(self) -> bytes:
        try:
            with open(self._path, "rb") as file:
                return file.read()
        except OSError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise ConfigurationError(f"{self._path}: cannot be read: {reason}") from None
        except ValueError:  # a null character in the path
            raise ConfigurationError(f"{self._path!r}: is not a valid file name") from None

    def _decoded(self, content: bytes) -> str:
        try:
            return content.decode("utf-8-sig")  # Editors on Windows may add a byte order mark.
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise self._error_at(line, "the file is not UTF-8: save it in that encoding") from None

    def _parsed(self) -> dict[str, Any]:
        try:
            return tomllib.loads(self._text)
        except ValueError as error:
            found = _AT.search(str(error))
            problem = str(error)[: found.start()] if found else str(error)
            line = int(found[1]) if found and found[1] else self._text.rstrip("\n").count("\n") + 1
            raise self._error_at(line, f"invalid TOML: {problem[:1].lower()}{problem[1:]}") from None
        except RecursionError:
            raise self._error_at(1, "invalid TOML: brackets are nested too deeply") from None

    def _error_at(self, line: int, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self._path}:{line}: {' '.join(problem.split())}")


def _depth(content: Any, keys: tuple[str, ...]) -> int:
    """Return how many of the nested keys exist."""
    for depth, key in enumerate(keys):
        if not isinstance(content, dict) or key not in content:
            return depth
        content = content[key]
    return len(keys)
