"""Renaming a file to a name that must be free."""

import errno
import functools
import os
import sys
from collections.abc import Callable

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def move(source: str, destination: str) -> None:
    """Rename ``source`` to ``destination``, which must be free.

    Raises:
        FileExistsError: ``destination`` is taken: by a process that has another lock file, since somebody removed
            the one we hold. Where the platform has no rename that refuses to replace, this is only looked up.
    """
    rename_exclusively = _renameat2()
    code = errno.ENOSYS if rename_exclusively is None else rename_exclusively(source, destination)
    if code in (errno.ENOSYS, errno.EINVAL):  # unknown to the kernel, or to this file system
        code = errno.EEXIST if os.path.lexists(destination) else 0
        if code == 0:
            os.rename(source, destination)
    if code:
        raise OSError(code, os.strerror(code), source, None, destination)


@functools.cache
def _renameat2() -> Callable[[str, str], int] | None:
    """Return renameat2(2), which refuses to replace, as a function that returns an error number."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        import ctypes  # only here: some Pythons are built without it

        function = ctypes.CDLL(None, use_errno=True).renameat2
    except (ImportError, OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]

    def rename_exclusively(source: str, destination: str) -> int:
        failed = function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(destination), _RENAME_NOREPLACE)
        return ctypes.get_errno() if failed else 0

    return rename_exclusively
