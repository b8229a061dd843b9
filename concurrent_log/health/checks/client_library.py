"""The error message for a client library that is not installed."""

from contextlib import AbstractContextManager

from concurrent_log.internal.extras import needs_packages


def client_library(package: str, service: str) -> AbstractContextManager[None]:
    """Return a context in which a failed import names the command that installs ``package``, to check ``service``."""
    return needs_packages(f"to check {service}", package)
