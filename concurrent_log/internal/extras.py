"""Missing optional packages: the error names the command that installs them, and is the last line that a user reads."""

import atexit
import contextlib
import sys
from collections.abc import Collection, Iterator

from concurrent_log.internal import stderr


class MissingPackageError(ModuleNotFoundError):
    """A package that an optional part of this package needs is not installed."""


@contextlib.contextmanager
def needs_packages(purpose: str, packages: str, *, modules: Collection[str] | None = None) -> Iterator[None]:
    """Name the command that installs ``packages`` if an import in this block fails.

    Args:
        purpose: What the packages are needed for, such as ``"to check a Redis server"``.
        packages: The packages to install, separated by spaces. Never ``concurrent_log[...]``: PyPI has an unrelated
            package called concurrent-log.
        modules: The top-level modules of these packages. If another module is missing, its error is raised unchanged.
            None stands for any module.

    Raises:
        MissingPackageError: An import failed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if isinstance(error, MissingPackageError) or (modules is not None and name not in modules):
            raise
        subject = packages if modules is None else name
        hint = f"{subject} is needed {purpose}: pip install {packages}"
        atexit.unregister(_repeat_hint)
        atexit.register(_repeat_hint)
        raise MissingPackageError(hint, name=error.name) from None


def _repeat_hint() -> None:
    """Print the hint again if it ended the program, but inside another error.

    `logging.config.dictConfig` raises ``ValueError: Unable to configure handler`` from the error of the import, so that
    the hint would be in the middle of a long traceback.
    """
    error = getattr(sys, "last_value", None)
    while error is not None:
        error = error.__cause__ or error.__context__
        if isinstance(error, MissingPackageError):
            stderr.warn(str(error))
            return
