"""What to say where the packages of the extra are not installed."""

import contextlib
from collections.abc import Iterator

_OF_THE_EXTRA = ("dotenv", "msgspec", "tenacity", "urllib3")


@contextlib.contextmanager
def needs_extra() -> Iterator[None]:
    """Say how to install the extra, where an import in here fails for want of it."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in _OF_THE_EXTRA:
            raise
        raise ModuleNotFoundError(
            f"{error.name} is needed to send to a collector: pip install 'concurrent_log[collector]'", name=error.name
        ) from None
