"""What to say where the client library of a check is not installed."""

import contextlib
from collections.abc import Iterator


@contextlib.contextmanager
def needed(package: str, service: str) -> Iterator[None]:
    """Say which ``package`` is needed to check ``service``, where an import in here finds nothing."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"{package} is needed to check {service}: pip install {package}", name=error.name
        ) from None
