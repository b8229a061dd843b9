"""The error message for a client library that is not installed."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def client_library(package: str, service: str) -> Iterator[None]:
    """Add to a failing import how to install ``package``, which is needed to check ``service``."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{package} is needed to check {service}: pip install {package}", name=error.name
        ) from None
