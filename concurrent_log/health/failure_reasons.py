"""The reason of a failure in a few fixed words. Messages of client libraries are not used: they name hosts and users.

The reason follows from the class of the exception and from its error codes, or from those of its causes.
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

_REFUSED = "the user name or password was rejected"
_NO_DATABASE = "the database does not exist"
_FORBIDDEN = "the user lacks a permission"
_TOO_MANY = "the server has too many connections"
_NOT_READY = "the server is starting up or shutting down"
_CLOSED = "the connection was closed"
_TIMED_OUT = "timed out"
_NO_VHOST = "the virtual host does not exist, or the user has no access to it"
_UNKNOWN_HOST = "the host name cannot be resolved"

# X509_V_ERR_* of openssl/x509_vfy.h. All other codes concern the certificate authority.
_CERTIFICATES = {
    9: "the certificate is not valid yet",
    10: "the certificate has expired",
    62: "the certificate is for another host name",
    64: "the certificate is for another address",
}

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATES = {
    "28000": _REFUSED,
    "28P01": _REFUSED,
    "3D000": _NO_DATABASE,
    "42501": _FORBIDDEN,
    "42P01": "the table does not exist",
    "53100": "the server's disk is full",
    "53300": _TOO_MANY,
    "57014": _TIMED_OUT,
    "57P01": _NOT_READY,
    "57P03": _NOT_READY,
}

# https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html. Codes from 2000 on are
# those of the client.
_MYSQL = {
    1040: _TOO_MANY,
    1044: "the database does not exist, or the user has no access to it",
    1045: _REFUSED,
    1049: _NO_DATABASE,
    1053: _NOT_READY,
    1129: "the server has blocked this machine after many errors",
    1142: _FORBIDDEN,
    1146: "the table does not exist",
    1698: _REFUSED,
    3024: _TIMED_OUT,
}

# Exceptions of client libraries, by class name, because none of these libraries is imported here.
_CLASS_REASONS = {
    "AuthenticationError": _REFUSED,
    "AuthenticationException": _REFUSED,
    "AuthorizationError": _REFUSED,
    "ProbableAuthenticationError": _REFUSED,
    "SMTPAuthenticationError": _REFUSED,
    "AuthorizationException": _FORBIDDEN,
    "ChannelAccessRefused": _FORBIDDEN,
    "NoPermissionError": _FORBIDDEN,
    "ChannelNotFoundEntity": "the queue does not exist",
    "ConnectionNotAllowed": _NO_VHOST,
    "StreamNotFoundError": "the stream does not exist",
    "ServiceUnavailableError": "JetStream is not available",
    "BusyLoadingError": _NOT_READY,
    "MaxConnectionsError": _TOO_MANY,
    "OutOfMemoryError": "the server's memory is full",
    "ReadOnlyError": "the server rejects writes: it is a replica",
    "NoCredentialsError": "no credentials were given, and none were found in the environment",
    "SecureConnRequiredError": "the server requires TLS",
    "SecureConnWantedError": "the server does not speak TLS",
    "AlreadyLocked": "the lock is already held",
}

# Vague exceptions: their causes say more. These reasons apply only if no other does.
_VAGUE_REASONS = {
    "ConnectTimeoutError": _TIMED_OUT,  # of urllib3; also raised for a refused connection
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
    "ResponseError": "the server rejected a command",
    "SMTPNotSupportedError": "the server does not support a required feature",
    "ConnectionError": "the connection failed",
    "OSError": "operating system error",
    "InvalidURL": "the URL is not valid",
}

# Since Python 3.11, those of asyncio and concurrent.futures are the built-in TimeoutError.
_TIMEOUTS = (TimeoutError, asyncio.TimeoutError, concurrent.futures.TimeoutError)


def failure_reason(error: BaseException) -> str:
    """Return the reason of ``error`` in one short line that contains nothing of its message."""
    chain = list(_chain(error))
    for reason_of in (_precise_reason, _vague_reason):
        for each in chain:
            reason = reason_of(each)
            if reason is not None:
                return reason
    return _class_name_words(type(error).__name__)


def describe_http_status(status: int) -> str:
    """Return a description of an HTTP status, such as "the response has status 404 (Not Found)"."""
    try:
        return f"the response has status {status} ({http.HTTPStatus(status).phrase})"
    except ValueError:
        return f"the response has status {status}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and all its causes, the nearest first."""
    pending, seen = [error], set()
    while pending:
        each = pending.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        pending += [cause for cause in _causes(each) if isinstance(cause, BaseException)]


def _causes(error: BaseException) -> Iterator[object]:
    """Yield the values of all attributes in which exceptions of Python and of the client libraries store causes."""
    for name in ("__cause__", "exceptions", "reason", "errors", "info", "original_exception", "args", "__context__"):
        value = getattr(error, name, None)
        yield from value if isinstance(value, list | tuple) else [value]
    kwargs = getattr(error, "kwargs", None)  # of botocore
    if isinstance(kwargs, dict):
        yield kwargs.get("error")


def _precise_reason(error: BaseException) -> str | None:
    names = [kind.__name__ for kind in type(error).__mro__]
    if isinstance(error, _TIMEOUTS):
        return _TIMED_OUT
    reason = next((_CLASS_REASONS[name] for name in names if name in _CLASS_REASONS), None)
    reason = reason or _error_code_reason(error, names)
    if reason is None and isinstance(error, OSError) and "AMQPError" not in names:  # Their errno is meaningless.
        return _os_error_reason(error)
    return reason


def _error_code_reason(error: BaseException, names: list[str]) -> str | None:
    """Return the reason that follows from the error code of the server."""
    sqlstate = getattr(error, "sqlstate", None)
    if "MySQLError" in names:
        return _mysql_reason(error.args[0]) if error.args and isinstance(error.args[0], int) else None
    if isinstance(sqlstate, str) and re.fullmatch(r"[0-9A-Z]{5}", sqlstate):
        return _SQLSTATES.get(sqlstate, f"the server returned SQLSTATE {sqlstate}")
    if "SMTPResponseException" in names:
        return f"the server returned code {int(error.smtp_code)}"  # type: ignore[attr-defined]  # an error of smtplib
    if "APIError" in names and getattr(error, "err_code", None) == 10059:  # of JetStream
        return _CLASS_REASONS["StreamNotFoundError"]
    if "ConnectionClosed" in names and error.args[:1] == (530,):  # of AMQP: not allowed
        return _NO_VHOST
    if "InvalidFrameError" in names and "Connection.OpenOk" in str(error):  # aiormq hides the frame that it received.
        return _NO_VHOST
    return _http_reason(error)


def _mysql_reason(code: int) -> str | None:
    return _MYSQL.get(code, f"the server returned error {code}") if 1000 <= code < 2000 or code > 3000 else None


def _http_reason(error: BaseException) -> str | None:
    response = getattr(error, "response", None)  # of botocore
    status = getattr(error, "status_code", None)  # of opensearch-py
    if isinstance(response, dict):
        status = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    return describe_http_status(status) if isinstance(status, int) else None


def _os_error_reason(error: OSError) -> str | None:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATES.get(error.verify_code, "the certificate is not signed by a trusted authority")
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {_lower(error.reason)}" if error.reason else None
    if isinstance(error, socket.gaierror):
        return _UNKNOWN_HOST
    number = _errno(error)
    return None if number is None else _lower(os.strerror(number))


def _errno(error: OSError) -> int | None:
    """Return the errno. After trying several addresses, asyncio gives it in the message only."""
    found = re.search(r"\[Errno (\d+)\]", str(error)) if error.errno is None else None
    number = error.errno if found is None else int(found[1])
    return number if number in errno.errorcode else None


def _vague_reason(error: BaseException) -> str | None:
    names = (kind.__name__ for kind in type(error).__mro__)
    return next((_VAGUE_REASONS[name] for name in names if name in _VAGUE_REASONS), None)


def _lower(text: str) -> str:
    return text.replace("_", " ").lower()


def _class_name_words(name: str) -> str:
    """Return the words of the name of a class, such as "pool timeout error" for ``PoolTimeoutError``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name.strip("_")).lower()
