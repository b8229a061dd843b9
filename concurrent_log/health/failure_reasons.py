"""Why something failed, in a few words that we choose, never in those of a library: they name hosts and users.

An exception says by its kind, and by the numbers that it carries, what went wrong. So do the ones that led to it.
"""

import asyncio
import concurrent.futures
import errno
import http
import os
import re
import socket
import ssl
from collections.abc import Iterator

_REFUSED = "the user or password is refused"
_NO_DATABASE = "there is no such database"
_FORBIDDEN = "the user may not do this"
_TOO_MANY = "the server has too many connections"
_NOT_READY = "the server is starting up or shutting down"
_CLOSED = "the connection was closed"
_TIMED_OUT = "timed out"
_NO_VHOST = "there is no such virtual host, or the user may not enter it"
_UNKNOWN_HOST = "the name of the host is not known"

# Of OpenSSL's X509_V_ERR_*, see openssl/x509_vfy.h; all others are of authorities.
_CERTIFICATES = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    62: "the certificate is for another name",
    64: "the certificate is for another address",
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATES = {
    "28000": _REFUSED,
    "28P01": _REFUSED,
    "3D000": _NO_DATABASE,
    "42501": _FORBIDDEN,
    "42P01": "there is no such table",
    "53100": "the server's disk is full",
    "53300": _TOO_MANY,
    "57014": _TIMED_OUT,
    "57P01": _NOT_READY,
    "57P03": _NOT_READY,
}

# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html; from 2000 on, they are of the client.
_MYSQL = {
    1040: _TOO_MANY,
    1044: "there is no such database, or the user may not enter it",
    1045: _REFUSED,
    1049: _NO_DATABASE,
    1053: _NOT_READY,
    1129: "the server has blocked this machine after many errors",
    1142: _FORBIDDEN,
    1146: "there is no such table",
    1698: _REFUSED,
    3024: _TIMED_OUT,
}

# The exceptions of client libraries by their names: none of them is imported here.
_NAMES = {
    "AuthenticationError": _REFUSED,
    "AuthenticationException": _REFUSED,
    "AuthorizationError": _REFUSED,
    "ProbableAuthenticationError": _REFUSED,
    "SMTPAuthenticationError": _REFUSED,
    "AuthorizationException": _FORBIDDEN,
    "ChannelAccessRefused": _FORBIDDEN,
    "NoPermissionError": _FORBIDDEN,
    "ChannelNotFoundEntity": "there is no such queue",
    "ConnectionNotAllowed": _NO_VHOST,
    "StreamNotFoundError": "there is no such stream",
    "ServiceUnavailableError": "JetStream is not available",
    "BusyLoadingError": _NOT_READY,
    "MaxConnectionsError": _TOO_MANY,
    "OutOfMemoryError": "the server's memory is full",
    "ReadOnlyError": "the server takes no writes: it is a replica",
    "NoCredentialsError": "no credentials are given, and none are found in the environment",
    "SecureConnRequiredError": "the server requires TLS",
    "SecureConnWantedError": "the server does not speak TLS",
    "AlreadyLocked": "the lock is held by another",
}

# What says less than what led to it, and is said only where nothing else is.
_VAGUE = {
    "ConnectTimeoutError": _TIMED_OUT,  # of urllib3; a refused connection is one as well
    "ConnectionTimeout": _TIMED_OUT,
    "ReadTimeoutError": _TIMED_OUT,
    "NameResolutionError": _UNKNOWN_HOST,
    "ConnectionDoesNotExistError": _CLOSED,
    "EOFError": _CLOSED,
    "IncompleteReadError": _CLOSED,
    "ProtocolError": _CLOSED,
    "RemoteDisconnected": _CLOSED,
    "SMTPServerDisconnected": _CLOSED,
    "UnexpectedEOF": _CLOSED,
    "ConnectionClosedError": _CLOSED,
    "ResponseError": "the server refuses a command",
    "SMTPNotSupportedError": "the server does not support what is asked of it",
    "ConnectionError": "the connection failed",
    "OSError": "an error of the operating system",
    "InvalidURL": "the URL is not valid",
}

# Those of asyncio and of threads became one with the built-in one in Python 3.11.
_TIMEOUTS = (TimeoutError, asyncio.TimeoutError, concurrent.futures.TimeoutError)


def reason(error: BaseException) -> str:
    """Return in one short line why ``error`` was raised, without a word of its text."""
    chain = list(_chain(error))
    for described in (_described, _vaguely_described):
        for each in chain:
            said = described(each)
            if said is not None:
                return said
    return _words(type(error).__name__)


def status_words(status: int) -> str:
    """Return what a status of HTTP says."""
    try:
        return f"the answer has the status {status} ({http.HTTPStatus(status).phrase})"
    except ValueError:
        return f"the answer has the status {status}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and all that led to it, the nearest first."""
    waiting, seen = [error], set()
    while waiting:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        waiting += [found for found in _inside(each) if isinstance(found, BaseException)]


def _inside(error: BaseException) -> Iterator[object]:
    """Yield where exceptions, and the libraries that they come from, keep what led to them."""
    for name in ("__cause__", "exceptions", "reason", "errors", "info", "original_exception", "args", "__context__"):
        found = getattr(error, name, None)
        yield from found if isinstance(found, list | tuple) else [found]
    kwargs = getattr(error, "kwargs", None)  # of botocore
    if isinstance(kwargs, dict):
        yield kwargs.get("error")


def _described(error: BaseException) -> str | None:
    names = [kind.__name__ for kind in type(error).__mro__]
    if isinstance(error, _TIMEOUTS):
        return _TIMED_OUT
    said = next((_NAMES[name] for name in names if name in _NAMES), None) or _of_numbers(error, names)
    if said is None and isinstance(error, OSError) and "AMQPError" not in names:  # Their errno is that of anything.
        return _of_system(error)
    return said


def _of_numbers(error: BaseException, names: list[str]) -> str | None:
    """Return what the number says that the server gave."""
    sqlstate = getattr(error, "sqlstate", None)
    if "MySQLError" in names:
        return _of_mysql(error.args[0]) if error.args and isinstance(error.args[0], int) else None
    if isinstance(sqlstate, str) and re.fullmatch(r"[0-9A-Z]{5}", sqlstate):
        return _SQLSTATES.get(sqlstate, f"the server answers with SQLSTATE {sqlstate}")
    if "SMTPResponseException" in names:
        return f"the server answers with {int(error.smtp_code)}"  # type: ignore[attr-defined]  # it is one of smtplib
    if "APIError" in names and getattr(error, "err_code", None) == 10059:  # of JetStream
        return _NAMES["StreamNotFoundError"]
    if "ConnectionClosed" in names and error.args[:1] == (530,):  # of AMQP: not allowed
        return _NO_VHOST
    if "InvalidFrameError" in names and "Connection.OpenOk" in str(error):  # aiormq does not look at what came instead.
        return _NO_VHOST
    return _of_http(error)


def _of_mysql(code: int) -> str | None:
    return _MYSQL.get(code, f"the server answers with error {code}") if 1000 <= code < 2000 or code > 3000 else None


def _of_http(error: BaseException) -> str | None:
    response = getattr(error, "response", None)  # of botocore
    status = getattr(error, "status_code", None)  # of opensearch-py
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return status_words(status) if isinstance(status, int) else None


def _of_system(error: OSError) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(error.verify_code, "the certificate is of an authority that is not trusted")
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {_lower(error.reason)}" if error.reason else None
    if isinstance(error, socket.gaierror):
        return _UNKNOWN_HOST
    number = _number(error)
    return None if number is None else _lower(os.strerror(number))


def _number(error: OSError) -> int | None:
    """Return the errno; asyncio has it in the text only, where it tried more than one address."""
    found = re.search(r"\[Errno (\d+)\]", str(error)) if error.errno is None else None
    number = error.errno if found is None else int(found[1])
    return number if number in errno.errorcode else None


def _vaguely_described(error: BaseException) -> str | None:
    return next((_VAGUE[kind.__name__] for kind in type(error).__mro__ if kind.__name__ in _VAGUE), None)


def _lower(text: str) -> str:
    return text.replace("_", " ").lower()


def _words(name: str) -> str:
    """Return the words of the name of a class: those of ``PoolTimeoutError`` are "pool timeout error"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name.strip("_")).lower()
