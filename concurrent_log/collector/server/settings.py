"""The settings of the server, from options and environment variables."""

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
MIN_TOKEN_LENGTH = 16  # characters
DEFAULT_MAX_BODY = 16 << 20
FORMATS = ("elasticsearch", "loki")  # of other systems; each can be disabled

_POSTGRES_SCHEMES = ("postgresql://", "postgres://")
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


@dataclass(frozen=True)
class ServerSettings:
    """The settings of the server.

    Attributes:
        database: The path of an SQLite file, or a ``postgresql://`` address.
        host: The address to listen on.
        port: The port to listen on; 0 chooses a free one.
        token: The secret that requests must send, or None.
        retention_days: The age in days after which records are removed; None keeps them indefinitely.
        service_retention: Pairs of a service and the age in days after which its records are removed.
        retention_size: The size of the store in bytes beyond which the oldest records are removed, or None.
        max_body: Maximum size of a request's body in bytes, before and after decompression.
        cors_origins: Allowed origins of pages, such as ``https://shop.example``; ``*`` allows all.
        trusted_proxies: The addresses or networks of reverse proxies, whose headers are trusted.
        user_header: The header in which these proxies send the name of the user, or None.
        admin_users: The names of those who are administrators; all others may read.
        disabled_formats: Some of `FORMATS`, which the server does not accept.
    """

    database: str
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = None
    retention_days: int | None = None
    retention_size: int | None = None
    service_retention: tuple[tuple[str, int], ...] = ()
    max_body: int = DEFAULT_MAX_BODY
    cors_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    user_header: str | None = None
    admin_users: tuple[str, ...] = ()
    disabled_formats: tuple[str, ...] = ()

    @property
    def is_local(self) -> bool:
        """Whether the server listens for this machine only."""
        return is_loopback(self.host)

    @property
    def needs_key(self) -> bool:
        """Whether requests need a key from the database even if there is none yet."""
        return self.token is None and not (self.is_local and self.user_header is None)

    @property
    def database_name(self) -> str:
        """The name of the database for messages, without the address of a PostgreSQL server."""
        return "PostgreSQL" if self.database.startswith(_POSTGRES_SCHEMES) else self.database


def load_settings(options: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> ServerSettings:
    """Return the settings from the command line's ``options``; for each that is None, from its environment variable.

    Raises:
        ValueError: A value is invalid; the message is one line.
    """
    given = {
        name: value if value is not None else environment.get(f"{PREFIX}{name.upper()}") or None
        for name, value in options.items()
    }
    settings = ServerSettings(
        database=_check_database(given.get("database"))
        or str(_data_directory(given.get("data_directory")) / "logs.sqlite3"),
        host=given.get("host") or "127.0.0.1",
        port=_parse_integer("port", given.get("port"), DEFAULT_PORT, range(65_536)) or 0,
        token=_load_token(given.get("token"), given.get("token_file")),
        retention_days=_parse_integer("retention-days", given.get("retention_days"), None, range(1, 100_000)),
        retention_size=_parse_large_size("retention-size", given.get("retention_size")),
        service_retention=_parse_service_retention(given.get("service_retention")),
        max_body=parse_size("max-body", given.get("max_body"), DEFAULT_MAX_BODY) or 0,
        cors_origins=_parse_origins(given.get("cors_origin")),
        trusted_proxies=_parse_networks(given.get("trusted_proxy")),
        user_header=_parse_header(given.get("user_header")),
        admin_users=_parse_list(given.get("admin_user")),
        disabled_formats=_parse_formats(given.get("disable_format")),
    )
    if settings.user_header is not None and not settings.trusted_proxies:
        raise ValueError("user-header needs trusted-proxy: otherwise everyone could send the header and be anybody")
    if settings.admin_users and settings.user_header is None:
        raise ValueError("admin-user needs user-header, the header in which a reverse proxy names the user")
    return settings


def is_loopback(host: str) -> bool:
    """Return whether ``host`` is reachable from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == "localhost"


def _data_directory(given: str | None) -> pathlib.Path:
    """Return the data folder: ``given``, or the platform's default."""
    if given:
        return pathlib.Path(given)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return pathlib.Path(base).expanduser() / "concurrent_log"


def _load_token(token: str | None, file: str | None) -> str | None:
    if token is None and file is not None:
        try:
            token = pathlib.Path(file).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeError) as error:
            raise ValueError(f"the token file cannot be read: {error}") from None
        if not token:
            raise ValueError(f"the token file {file} is empty: write a secret into it")
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise ValueError("a token must have only printable ASCII characters and no spaces: choose another one")
    if token is not None and len(token) < MIN_TOKEN_LENGTH:
        raise ValueError(
            f"a token must have at least {MIN_TOKEN_LENGTH} characters, not {len(token)}, or it can be guessed: "
            "choose another one, or create a key with concurrent-log key create admin"
        )
    return token


def _check_database(given: str | None) -> str | None:
    """Refuse the address of another kind of database, which would be the path of a file; it may have a password."""
    if given and re.match(r"[A-Za-z][A-Za-z0-9+.-]+:/", given) and not given.startswith(_POSTGRES_SCHEMES):
        raise ValueError(
            "database must be the path of an SQLite file, or begin with postgresql://, not with another scheme"
        )
    return given


def _parse_integer(name: str, given: str | None, default: int | None, allowed: range) -> int | None:
    if given is None:
        return default
    if re.fullmatch(r"[0-9]{1,9}", given) and int(given) in allowed:
        return int(given)
    raise ValueError(f"{name} must be a whole number from {allowed[0]:,} to {allowed[-1]:,}, not {given!r}")


def parse_size(name: str, given: str | None, default: int | None) -> int | None:
    """Return the bytes of a size such as ``16M``; ``default`` for None. Raises `ValueError` with one line."""
    if given is None:
        return default
    found = re.fullmatch(r"([0-9]{1,12})([KMG]?)", given.upper())
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if 1024 <= size <= 1 << 30:
        return size
    raise ValueError(f"{name} must be a size from 1K to 1G, such as 16M, not {given!r}")


def _parse_list(given: str | list[str] | None) -> tuple[str, ...]:
    """Return the values of an option that may be repeated, or of its variable, which separates them by spaces."""
    return tuple(given if isinstance(given, list) else (given or "").split())


def _parse_formats(given: str | list[str] | None) -> tuple[str, ...]:
    formats = _parse_list(given)
    for name in formats:
        if name not in FORMATS:
            raise ValueError(f"disable-format must be one of {', '.join(FORMATS)}, not {name!r}")
    return formats


def _parse_service_retention(given: str | list[str] | None) -> tuple[tuple[str, int], ...]:
    pairs = []
    for text in _parse_list(given):
        found = re.fullmatch(r"(.{1,200})=([1-9][0-9]{0,4})", text)
        if found is None:
            raise ValueError(f"service-retention must be a service and a number of days, such as shop=7, not {text!r}")
        pairs.append((found[1], int(found[2])))
    return tuple(pairs)


def _parse_networks(given: str | list[str] | None) -> tuple[str, ...]:
    networks = _parse_list(given)
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            message = f"trusted-proxy must be an address or a network like 10.0.0.0/8, not {network!r}"
            raise ValueError(message) from None
    return networks


def _parse_header(given: str | None) -> str | None:
    if given is not None and not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,99}", given):
        raise ValueError(f"user-header must be the name of a header, such as X-Remote-User, not {given!r}")
    return given


def _parse_large_size(name: str, given: str | None) -> int | None:
    if given is None:
        return None
    found = re.fullmatch(r"([0-9]{1,15})([KMGT]?)", given.upper())
    size = int(found[1]) * _UNITS[found[2]] if found else 0
    if size >= 1 << 20:
        return size
    raise ValueError(f"{name} must be a size of at least 1M, such as 50G, not {given!r}")


def _parse_origins(given: str | list[str] | None) -> tuple[str, ...]:
    origins = _parse_list(given)
    for origin in origins:
        if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s]+", origin):
            raise ValueError(f"an origin must be like https://shop.example, without a path, not {origin!r}")
    return origins
