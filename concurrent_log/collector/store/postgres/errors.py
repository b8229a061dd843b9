"""Turns exceptions of asyncpg into those of a store and of a reader.

The messages contain nothing about the connection: an exception's own message may name the host or the user. What
PostgreSQL says is in `reason`, for the server's own log, without the names of hosts and without addresses.
"""

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Iterator
from typing import TypeVar

import asyncpg

from concurrent_log.collector.store.interface import DiskFull, QueryTimeout, StoreUnavailable, StoreUnusable

SCHEMA = "concurrent_log"

_Raised = TypeVar("_Raised", StoreUnavailable, StoreUnusable)
_HOST = re.compile(r'(?:host(?: name)?|server at|server on) "[^"]*"')
_IPV4 = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b")
_IPV6 = re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])")

# The database closed a connection, or cannot be reached. asyncpg raises InternalClientError if this happens in the
# middle of its own work.
UNAVAILABLE = (
    OSError,
    asyncio.TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
# The database, or asyncpg, cannot store a row.
ROW_ERRORS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
    asyncpg.UntranslatableCharacterError,
    OverflowError,
    TypeError,
    UnicodeError,
)
_MISSING = (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError)
# Errors that last until an operator acts, and the message for each.
_UNUSABLE: list[tuple[type[Exception], str]] = [
    (asyncpg.InvalidAuthorizationSpecificationError, "the database refuses the user or the password"),
    (asyncpg.InvalidCatalogNameError, "there is no such database: create it with createdb"),
    (asyncpg.InsufficientPrivilegeError, f"the user may not create the schema {SCHEMA}: GRANT CREATE ON DATABASE"),
    (asyncpg.ClientConfigurationError, "the address of the database is not a valid PostgreSQL address"),
    (ValueError, "the address of the database is not a valid PostgreSQL address"),
]


@contextlib.contextmanager
def store_errors() -> Iterator[None]:
    """Raise `StoreUnavailable` or `StoreUnusable` instead of exceptions of asyncpg."""
    try:
        yield
    except (StoreUnavailable, StoreUnusable):
        raise
    except (*UNAVAILABLE, ValueError) as error:
        for kind, message in _UNUSABLE:
            if isinstance(error, kind):
                raise _with_reason(StoreUnusable(message), error) from None
        raise _unavailable(error) from None


@contextlib.contextmanager
def reader_errors() -> Iterator[None]:
    """Raise `QueryTimeout` or `StoreUnavailable` instead of exceptions of asyncpg.

    Errors of the SQL itself pass unchanged, because they are defects.
    """
    try:
        yield
    except asyncpg.QueryCanceledError:
        raise QueryTimeout("it takes too long: narrow the time range, with since and until") from None
    except (asyncpg.OperatorInterventionError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
        raise _unavailable(error) from None
    except (OSError, asyncio.TimeoutError, asyncpg.InternalClientError, asyncpg.InsufficientResourcesError) as error:
        raise _unavailable(error) from None
    except _MISSING as error:
        missing = StoreUnavailable(f"a table of the schema {SCHEMA} is missing ({type(error).__name__})")
        raise _with_reason(missing, error) from None
    except tuple(kind for kind, _ in _UNUSABLE if issubclass(kind, asyncpg.PostgresError)) as error:
        message = next(message for kind, message in _UNUSABLE if isinstance(error, kind))
        raise _with_reason(StoreUnavailable(message), error) from None


def _unavailable(error: Exception) -> StoreUnavailable:
    message = f"the database is unavailable ({type(error).__name__})"
    if isinstance(error, asyncpg.TooManyConnectionsError):
        message = "the database has too many connections: raise max_connections, or use a pooler"
    unavailable = StoreUnavailable(message)
    if isinstance(error, asyncpg.DiskFullError):
        unavailable = DiskFull("the disk of the database is full")
    return _with_reason(unavailable, error)


def _with_reason(raised: _Raised, error: Exception) -> _Raised:
    raised.reason = _describe(error)
    return raised


def _describe(error: Exception) -> str:
    """Return what PostgreSQL or the system says, in one line, without hosts and addresses."""
    if isinstance(error, (asyncpg.ClientConfigurationError, ValueError)):
        return ""  # It may quote the address, with the password.
    if isinstance(error, socket.gaierror):
        return "the name of its host cannot be resolved"
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno else ""
    message = " ".join(str(error).split())
    message = _HOST.sub('host "…"', message)
    for pattern in (_IPV4, _IPV6):
        message = pattern.sub("…", message)
    state = getattr(error, "sqlstate", None)
    return f"{message} ({state})" if state and message else message
