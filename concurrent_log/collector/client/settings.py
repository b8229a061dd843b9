"""The settings of a client. Each argument is checked; an error names the argument and the remedy in one line."""

import errno
import os
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any
from urllib.parse import urlsplit

from concurrent_log.collector.client.queue.private_file import check_folder
from concurrent_log.internal.validation import check_choice, check_seconds

_MIB = 2**20
_TEXTS = ("service", "environment", "service_version", "log_type", "host", "token")
_COMMON = ("service", "environment", "service_version", "log_type", "host")
_PATHS = {"collector": "/logs", "otlp": "/v1/logs"}  # by the protocol
_OF_RESOURCE = {  # names of OpenTelemetry for arguments
    "service.name": "service",
    "deployment.environment.name": "environment",
    "deployment.environment": "environment",
    "service.version": "service_version",
    "host.name": "host",
}


@dataclass(kw_only=True)
class ClientSettings:
    """The arguments of `CollectorHandler`, which documents them, and those of the protocol.

    Args:
        protocol: ``collector``, or ``otlp`` for a server of OpenTelemetry's protocol.
        is_complete: Whether ``url`` is complete, so that the path of the protocol is not appended.
        resource_attributes: Further attributes of OpenTelemetry's resource, for ``otlp`` only.

    Raises:
        TypeError, ValueError: An argument has a wrong type or value.
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
    ca_file: "str | PathLike[str] | None" = None
    client_certificate: "str | PathLike[str] | Sequence[str | PathLike[str]] | None" = None
    protocol: str = "collector"
    is_complete: bool = False
    resource_attributes: Mapping[str, str] | None = None
    endpoint: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        check_choice("protocol", self.protocol, tuple(_PATHS))
        self.endpoint = _endpoint(self.url, "" if self.is_complete else _PATHS[self.protocol])
        self.resource_attributes = self._other_resource_attributes()
        for name in _TEXTS:
            _check_text(name, getattr(self, name))
        self._check_token()
        self.headers = _headers(self.headers)
        for name, unit in (("batch_size", "records"), ("capacity", "records"), ("capacity_bytes", "bytes")):
            _check_count(name, getattr(self, name), unit)
        _check_count("spool_bytes", self.spool_bytes, "bytes")
        if self.compress_from is not None:
            _check_count("compress_from", self.compress_from, "records; None disables compression")
        for name in ("flush_interval", "timeout", "stop_timeout"):
            check_seconds(name, getattr(self, name))
        if not self.timeout:
            raise ValueError("timeout=0 leaves no time for a request: use a number of seconds, such as 10")
        self.host = self.host or socket.gethostname()
        self.spool_directory = _path("spool_directory", self.spool_directory)
        if self.spool_directory is not None and os.path.isfile(self.spool_directory):
            raise NotADirectoryError(errno.ENOTDIR, "spool_directory is a file; name a folder", self.spool_directory)
        if self.spool_directory is not None:
            check_folder(self.spool_directory)
        self.ca_file = _path("ca_file", self.ca_file)
        self.client_certificate = _certificate_files(self.client_certificate)
        self.tls_context()  # Raises if a certificate cannot be read.

    def _check_token(self) -> None:
        token = self.token
        if token is not None and (not token or not token.isascii() or not token.isprintable() or " " in token):
            raise ValueError("token must consist of visible ASCII characters; omit it if the server has no token")

    def _other_resource_attributes(self) -> dict[str, str]:
        """Fill arguments that are None from the resource, and return its other attributes."""
        attributes = self.resource_attributes
        if attributes is None:
            return {}
        if self.protocol != "otlp":
            raise ValueError("resource_attributes need protocol='otlp': the collector's own protocol has none")
        if not isinstance(attributes, Mapping) or not all(
            isinstance(text, str) for pair in attributes.items() for text in pair
        ):
            raise TypeError(f"resource_attributes must be a dictionary of strings, not {attributes!r}")
        for name, argument in _OF_RESOURCE.items():
            if name in attributes and getattr(self, argument) is None:
                setattr(self, argument, attributes[name])
        return {name: value for name, value in attributes.items() if name not in _OF_RESOURCE}

    def common(self) -> dict[str, Any]:
        """Return the fields that all records share, without those that are None."""
        common = {name: value for name in _COMMON if (value := getattr(self, name)) is not None}
        return {**common, "resource": self.resource_attributes} if self.resource_attributes else common

    def tls_context(self) -> ssl.SSLContext | None:
        """Return the TLS context; None for a URL without encryption."""
        certificate: Any = self.client_certificate
        if not self.endpoint.startswith("https:"):
            if self.ca_file or certificate:
                raise ValueError(f"url={self.url!r} is not encrypted, so certificates have no effect: use https://")
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise _unreadable("ca_file", self.ca_file, error) from None
        try:
            if certificate:
                context.load_cert_chain(certificate[0], certificate[-1], password="")  # Without a prompt.
        except (OSError, ssl.SSLError) as error:
            raise _unreadable("client_certificate", certificate, error) from None
        return context


def _endpoint(url: str, path: str) -> str:
    """Return ``url``, with ``path`` appended if it is missing."""
    if not isinstance(url, str):
        raise TypeError(f"url must be a string such as 'https://logs.example.com', not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"url is invalid ({error}): use one such as 'https://logs.example.com:8000'") from None
    if parts.username is not None or parts.password is not None:
        raise ValueError("url must not contain a user name or password: use token, or headers")
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"url={url!r} must begin with http:// or https:// and a host")
    if parts.query or parts.fragment or any(char.isspace() or not char.isprintable() for char in url):
        raise ValueError("url must end with the path: it must not contain a query, a fragment or white space")
    if not path:
        return url
    return url.rstrip("/") if parts.path.rstrip("/").endswith(path) else f"{url.rstrip('/')}{path}"


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
            raise TypeError(f"headers must contain only strings; {name!r} does not")
        if not name.isascii() or any(char in name + value for char in "\r\n\0") or not _is_latin_1(value):
            raise ValueError(f"each of headers must be one line of ISO 8859-1; {name!r} is not")
    return dict(headers)


def _is_latin_1(text: str) -> bool:
    return all(ord(char) < 256 for char in text)


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


def _certificate_files(value: Any) -> tuple[str, ...] | None:
    """Return the file of the certificate and, if it is separate, that of the key."""
    if value is None:
        return None
    files = value if isinstance(value, (list, tuple)) else [value]
    if len(files) not in (1, 2):
        raise ValueError("client_certificate must be a path, or the two paths of the certificate and its key")
    return tuple(_path("client_certificate", each) or "" for each in files)


def _unreadable(name: str, value: object, error: Exception) -> Exception:
    kind = type(error) if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else ValueError
    return kind(f"{name}={value!r} cannot be used: {error}")
