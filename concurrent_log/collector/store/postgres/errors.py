"""Turns exceptions of asyncpg into those of a store and of a reader.

The messages contain nothing about the connection: an exception's own message may name the host or the user.
"""

import asyncio
import contextlib
from collections.abc import Iterator

import asyncpg

from concurrent_log.collector.store.interface import DiskFull, QueryTimeout, StoreUnavailable, StoreUnusable

SCHEMA = "concurrent_log"

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
                raise StoreUnusable(message) from None
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
        raise StoreUnavailable(f"a table of the schema {SCHEMA} is missing ({type(error).__name__})") from None
    except tuple(kind for kind, _ in _UNUSABLE if issubclass(kind, asyncpg.PostgresError)) as error:
        raise StoreUnavailable(next(message for kind, message in _UNUSABLE if isinstance(error, kind))) from None


def _unavailable(error: Exception) -> StoreUnavailable:
    if isinstance(error, asyncpg.DiskFullError):
        return DiskFull("the disk of the database is full")
    return StoreUnavailable(f"the database is unavailable ({type(error).__name__})")
