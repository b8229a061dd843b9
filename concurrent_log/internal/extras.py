"""A clear error if the packages of an extra are not installed."""

import contextlib
from collections.abc import Iterator

_PACKAGES = ("dotenv", "msgspec", "tenacity", "urllib3")


@contextlib.contextmanager
def needs_extra() -> Iterator[None]:
    """Raise an error with the install command if an import in the ``with`` statement fails without the extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _PACKAGES:
            raise
        raise ModuleNotFoundError(
            f"{error.name} is needed to send to a collector: pip install 'concurrent_log[collector]'", name=error.name
        ) from None
