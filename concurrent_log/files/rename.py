"""Renaming a file to a name that must be free."""

import errno
import os
import sys
from collections.abc import Callable

try:
    # Here, and not when the first file is moved: an exception of a signal handler that comes in the middle of an
    # import leaves the import locked, and a rollover would wait for it for ever, with the lock of all writers.
    import ctypes
except ImportError:  # Some Pythons are built without it.
    ctypes = None  # type: ignore[assignment]

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def move(source: str, destination: str) -> None:
    """Rename ``source`` to ``destination``, which must be free.

    Raises:
        FileExistsError: ``destination`` is taken: by a process that has another lock file, since somebody removed
            the one we hold. Where the platform has no rename that refuses to replace, this is only looked up.
    """
    code = errno.ENOSYS if _renameat2 is None else _renameat2(source, destination)
    if code in (errno.ENOSYS, errno.EINVAL):  # unknown to the kernel, or to this file system
        code = errno.EEXIST if os.path.lexists(destination) else 0
        if code == 0:
            os.rename(source, destination)
    if code:
        raise OSError(code, os.strerror(code), source, None, destination)


def _load_renameat2() -> Callable[[str, str], int] | None:
    """Return renameat2(2), which refuses to replace, as a function that returns an error number."""
    if not sys.platform.startswith("linux") or ctypes is None:
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]

    def rename_exclusively(source: str, destination: str) -> int:
        failed = function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(destination), _RENAME_NOREPLACE)
        return ctypes.get_errno() if failed else 0

    return rename_exclusively


_renameat2 = _load_renameat2()
