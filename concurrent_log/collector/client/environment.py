"""Environment variables of a client, and its ``.env`` file; both are only read."""

import os
from collections.abc import Mapping
from os import PathLike

from concurrent_log.collector.client.extra import needs_extra

_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class Environment:
    """The environment variables of the process, with the variables of an optional file as defaults.

    Args:
        file: The path of the file, in the format of python-dotenv; it may be missing. None reads no file.

    Raises:
        OSError: The file exists, but cannot be read.
    """

    def __init__(self, file: "str | PathLike[str] | None") -> None:
        self._values: Mapping[str, str | None] = {**_read_file(file), **os.environ}

    def text(self, *names: str) -> str | None:
        """Return the first of these variables that is set and not empty."""
        return next((value for name in names if (value := self._values.get(name))), None)

    def is_on(self, name: str) -> bool:
        """Return whether a variable is true; a variable that is not set is false.

        Raises:
            ValueError: Its value is neither true nor false.
        """
        value = (self.text(name) or "false").strip().lower()
        if value not in _TRUE + _FALSE:
            raise ValueError(f"the environment variable {name}={value!r} must be true or false")
        return value in _TRUE


def _read_file(file: "str | PathLike[str] | None") -> Mapping[str, str | None]:
    if file is None or not os.path.exists(file):
        return {}
    with needs_extra():  # Imported here, because few programs have such a file.
        from dotenv import dotenv_values

    return dotenv_values(file)
