"""What the environment says of a client; it is read, and never changed."""

import os
from collections.abc import Mapping
from os import PathLike

from concurrent_log.internal.extras import needs_extra

_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class Environment:
    """The variables of the process, and below them those of a file, which a program need not have.

    Args:
        file: The path of the file, in the form that python-dotenv reads; it may be missing. None is none.

    Raises:
        OSError: There is a file, but it cannot be read.
    """

    def __init__(self, file: "str | PathLike[str] | None") -> None:
        self._values: Mapping[str, str | None] = {**_values_of(file), **os.environ}

    def text(self, *names: str) -> str | None:
        """Return the first of these variables that is set, and not empty."""
        return next((value for name in names if (value := self._values.get(name))), None)

    def is_on(self, name: str) -> bool:
        """Return whether a variable says yes.

        Raises:
            ValueError: It says neither yes nor no.
        """
        said = (self.text(name) or "false").strip().lower()
        if said not in _YES + _NO:
            raise ValueError(f"the environment variable {name}={said!r} must be true or false")
        return said in _YES


def _values_of(file: "str | PathLike[str] | None") -> Mapping[str, str | None]:
    if file is None or not os.path.exists(file):
        return {}
    with needs_extra():  # Here, since few programs have such a file.
        from dotenv import dotenv_values

    return dotenv_values(file)
