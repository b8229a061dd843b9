"""Rename a file without replacing another one."""

import errno
import os
import sys
from collections.abc import Callable

try:
    # At the top, not at the first rename: if a signal handler raises in the middle of an import, the import lock stays
    # held, and a rollover would wait for it indefinitely while it holds the lock of all writers.
    import ctypes
except ImportError:  # Some Pythons are built without it.
    ctypes = None  # type: ignore[assignment]

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def move(source: str, destination: str) -> None:
    """Rename ``source`` to ``destination``, which must not exist.

    Raises:
        FileExistsError: ``destination`` exists. A process with another lock file may have created it, if the lock file
            was removed. On a platform without an atomic rename that replaces nothing, this is checked beforehand.
    """
    code = errno.ENOSYS if _renameat2 is None else _renameat2(source, destination)
    if code in (errno.ENOSYS, errno.EINVAL):  # The kernel or the file system does not support it.
        code = errno.EEXIST if os.path.lexists(destination) else 0
        if code == 0:
            os.rename(source, destination)
    if code:
        raise OSError(code, os.strerror(code), source, None, destination)


def _load_renameat2() -> Callable[[str, str], int] | None:
    """Return renameat2(2), which can rename without replacing, as a function that returns an error number."""
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
