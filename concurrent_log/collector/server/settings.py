"""What the server is told: by options, or by environment variables."""

import ipaddress
import os
import pathlib
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

PREFIX = "CONCURRENT_LOG_"
DEFAULT_PORT = 8000
DEFAULT_MAX_BODY = 16 << 20

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Settings:
    """What the server is told.

    Attributes:
        database: The path of an SQLite file, or a ``postgresql://`` address.
        host: The address to listen at.
        port: The port there; 0 takes a free one.
        token: What requests must know, or None.
        retention_days: For how many days records are kept, or None for ever.
        max_body: Bytes that the body of a request may have, before and after decompression.
        cors_origins: The origins of pages that may ask, such as ``https://shop.example``; ``*`` is all.
    """

    database: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None
    retention_days: int | None = None
    max_body: int = DEFAULT_MAX_BODY
    cors_origins: tuple[str, ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether nobody but this machine can ask."""
        return is_loopback(self.host)

    @property
    def names_database(self) -> str:
        """The database, as it may be shown: nothing of a connection."""
        return "PostgreSQL" if self.database.startswith(("postgresql://", "postgres://")) else self.database


def settings_of(options: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of the command line's ``options``, and of environment variables where these are None.

    Raises:
        ValueError: Something is not what it has to be; the message is one line.
    """
    given = {
        name: value if value is not None else environment.get(f"{PREFIX}{name.upper()}") or None
        for name, value in options.items()
    }
    settings = Settings(
        database=given.get("database") or str(_directory(given.get("data_directory")) / "logs.sqlite3"),
        host=given.get("host") or "127.0.0.1",
        port=_whole("port", given.get("port"), DEFAULT_PORT, range(65_536)) or 0,
        token=_token(given.get("token"), given.get("token_file")),
        retention_days=_whole("retention-days", given.get("retention_days"), None, range(1, 100_000)),
        max_body=_size("max-body", given.get("max_body"), DEFAULT_MAX_BODY),
        cors_origins=_origins(given.get("cors_origin")),
    )
    if not settings.is_local and settings.token is None:
        raise ValueError(
            f"everybody who reaches {settings.host} could read and write: set {PREFIX}TOKEN to a secret, "
            "or name a file with --token-file"
        )
    return settings


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is this machine, and cannot be reached from another one."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _directory(given: str | None) -> pathlib.Path:
    """Return the folder for what the server keeps: where the platform wants it."""
    if given:
        return pathlib.Path(given)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return pathlib.Path(base).expanduser() / "concurrent_log"


def _token(token: str | None, file: str | None) -> str | None:
    if token is None and file is not None:
        try:
            token = pathlib.Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise ValueError(f"the token's file cannot be read: {error}") from None
        if not token:
            raise ValueError(f"there is no token in {file}: write a secret into it")
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise ValueError("a token is of printable ASCII characters without spaces: take another one")
    return token


def _whole(name: str, given: str | None, default: int | None, allowed: range) -> int | None:
    if given is None:
        return default
    if re.fullmatch(r"[0-9]{1,9}", given) and int(given) in allowed:
        return int(given)
    raise ValueError(f"{name} is a whole number from {allowed[0]:,} to {allowed[-1]:,}, not {given!r}")


def _size(name: str, given: str | None, default: int) -> int:
    if given is None:
        return default
    found = re.fullmatch(r"([0-9]{1,12})([KMG]?)", given.upper())
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if 1024 <= size <= 1 << 30:
        return size
    raise ValueError(f"{name} is a size from 1K to 1G, such as 16M, not {given!r}")


def _origins(given: str | list[str] | None) -> tuple[str, ...]:
    origins = (given or "").split() if not isinstance(given, list) else given
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s]+", origin):
            raise ValueError(f"an origin is like https://shop.example, without a path, not {origin!r}")
    return tuple(origins)
