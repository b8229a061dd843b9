"""The packages of the extra ``collector``."""

from contextlib import AbstractContextManager

from concurrent_log.internal.extras import needs_packages

_MODULES = ("dotenv", "msgspec", "tenacity", "urllib3")


def needs_extra() -> AbstractContextManager[None]:
    """Return a context in which a failed import names the command that installs the packages of the extra."""
    return needs_packages("to send logs to a collector", "msgspec python-dotenv tenacity urllib3", modules=_MODULES)
