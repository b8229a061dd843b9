"""What a client of the collector is told: what each argument may be, and one clear line for what it may not."""

import errno
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any
from urllib.parse import urlsplit

from concurrent_log.internal.validation import check_seconds

_MIB = 2**20
_TEXTS = ("service", "environment", "service_version", "log_type", "host", "token")
_COMMON = ("service", "environment", "service_version", "log_type", "host")


@dataclass(kw_only=True)
class Settings:
    """Where to send, as whom, and how much may wait meanwhile; see `CollectorHandler` for each of them.

    Raises:
        TypeError, ValueError: An argument is not of its kind.
        OSError: A certificate cannot be read.
    """

    url: str
    service: str | None = None
    environment: str | None = None
    service_version: str | None = None
    log_type: str | None = None
    host: str | None = None
    token: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    batch_size: int = 1000
    flush_interval: float = 1.0
    compress_from: int | None = 100
    capacity: int = 100_000
    capacity_bytes: int = 64 * _MIB
    spool_directory: "str | PathLike[str] | None" = None
    spool_bytes: int = 512 * _MIB
    timeout: float = 10.0
    stop_timeout: float = 5.0
    ca_certificate: "str | PathLike[str] | None" = None
    client_certificate: "str | PathLike[str] | Sequence[str | PathLike[str]] | None" = None
    endpoint: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.endpoint = _endpoint(self.url)
        for name in _TEXTS:
            _check_text(name, getattr(self, name))
        self._check_token()
        self.headers = _headers(self.headers)
        for name, unit in (("batch_size", "records"), ("capacity", "records"), ("capacity_bytes", "bytes")):
            _check_count(name, getattr(self, name), unit)
        _check_count("spool_bytes", self.spool_bytes, "bytes")
        if self.compress_from is not None:
            _check_count("compress_from", self.compress_from, "records; None is never")
        for name in ("flush_interval", "timeout", "stop_timeout"):
            check_seconds(name, getattr(self, name))
        if not self.timeout:
            raise ValueError("timeout=0 would let no request end: give it seconds, such as 10")
        self.host = self.host or socket.gethostname()
        self.spool_directory = _path("spool_directory", self.spool_directory)
        if self.spool_directory is not None and os.path.isfile(self.spool_directory):
            raise NotADirectoryError(errno.ENOTDIR, "spool_directory is a file; name a folder", self.spool_directory)
        self.ca_certificate = _path("ca_certificate", self.ca_certificate)
        self.client_certificate = _certificate(self.client_certificate)
        self.tls()  # Raises where a certificate cannot be read.

    def _check_token(self) -> None:
        token = self.token
        if token is not None and (not token or not token.isascii() or not token.isprintable() or " " in token):
            raise ValueError("token must be visible ASCII characters; leave it out where the server has none")

    def common(self) -> dict[str, Any]:
        """Return what holds for all records, as far as it is known."""
        return {name: value for name in _COMMON if (value := getattr(self, name)) is not None}

    def tls(self) -> ssl.SSLContext | None:
        """Return how the server is known, and how it knows us; None where nothing is encrypted."""
        certificate: Any = self.client_certificate
        if not self.endpoint.startswith("https:"):
            if self.ca_certificate or certificate:
                raise ValueError(f"url={self.url!r} is not encrypted, and needs no certificates: use https://")
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_certificate)
        except (OSError, ssl.SSLError) as error:
            raise _unreadable("ca_certificate", self.ca_certificate, error) from None
        try:
            if certificate:
                context.load_cert_chain(certificate[0], certificate[-1], password="")  # asks nobody
        except (OSError, ssl.SSLError) as error:
            raise _unreadable("client_certificate", certificate, error) from None
        return context


def _endpoint(url: str) -> str:
    if not isinstance(url, str):
        raise TypeError(f"url must be a string such as 'https://logs.example.com', not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"url cannot be read ({error}): use one such as 'https://logs.example.com:8000'") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("url must not have a user name or password in it: use token, or headers")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"url={url!r} must begin with http:// or https:// and a host")
    if parts.query or parts.fragment or any(sign.isspace() or not sign.isprintable() for sign in url):
        raise ValueError("url must end with the path: it may have no query, fragment or white space")
    return url.rstrip("/") if parts.path.rstrip("/").endswith("/logs") else f"{url.rstrip('/')}/logs"


def _check_text(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name} must be a string, not {type(value).__name__}")


def _headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise TypeError(f"headers must be a dictionary, not {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"headers must have strings only; {name!r} is otherwise")
        if not name.isascii() or any(sign in name + value for sign in "\r\n\0") or not _is_latin(value):
            raise ValueError(f"headers must fit in a line each, in ISO 8859-1; {name!r} does not")
    return dict(headers)


def _is_latin(text: str) -> bool:
    return all(ord(sign) < 256 for sign in text)


def _check_count(name: str, value: object, unit: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a whole number of {unit}, not {value!r}")
    if value < 1:
        raise ValueError(f"{name}={value} must be at least 1")


def _path(name: str, value: "str | PathLike[str] | None") -> str | None:
    if value is None:
        return None
    try:
        return os.path.abspath(os.fsdecode(value))
    except TypeError:
        raise TypeError(f"{name} must be a path, not {value!r}") from None


def _certificate(value: Any) -> tuple[str, ...] | None:
    """Return the file of the certificate, and that of its key where it has one of its own."""
    if value is None:
        return None
    files = value if isinstance(value, (list, tuple)) else [value]
    if len(files) not in (1, 2):
        raise ValueError("client_certificate must be a path, or the paths of the certificate and of its key")
    return tuple(_path("client_certificate", each) or "" for each in files)


def _unreadable(name: str, value: object, error: Exception) -> Exception:
    kind = type(error) if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else ValueError
    return kind(f"{name}={value!r} cannot be used: {error}")
