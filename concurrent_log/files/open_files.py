"""Open files: a program with more log files than descriptors closes those that it used least recently.

A writer that looks at its file, which it does at most once a second while it logs, counts as used. Beyond a quarter of
the descriptors that the process may have, the writers that were used least recently set their files aside: they close
the log file and the lock file, two descriptors, and open them again for the next record.

No lock is needed: each change is one step of a dictionary, and a writer that another thread uses is left alone.
"""

import errno
import os
import sys
import weakref
from collections.abc import Callable
from typing import Protocol, TypeVar

_Result = TypeVar("_Result")

_SHARE = 4  # the part of all descriptors that writers may use: one in four
_TRIES = 2  # writers that are asked for one that is used: the number goes down, and no record waits for many
_MOST_AT_ONCE = 16  # writers that close their files when no descriptor is left


class FileUser(Protocol):
    """A writer with open files."""

    def set_aside(self) -> bool:
        """Close the files until they are needed, and return whether that was possible."""


Reference = weakref.ReferenceType[FileUser]


class OpenFiles:
    """The writers of this process whose files are open, in the order of their use.

    Safe to use from threads, signal handlers and finalizers, and in the child after a fork.

    Args:
        most: Returns how many writers may keep their files open.
    """

    def __init__(self, most: Callable[[], float]) -> None:
        self._most = most
        self._writers: dict[Reference, None] = {}

    def reference(self, writer: FileUser) -> Reference:
        """Return the reference under which ``writer`` is known here; it does not keep the writer alive."""
        writers = self._writers
        reference = weakref.ref(writer, lambda reference: writers.pop(reference, None))
        hash(reference)  # It keeps this for the function above, which is called when the writer no longer exists.
        return reference

    def used(self, reference: Reference) -> None:
        """Note that the writer uses its files now; the files of others may be closed for that."""
        self._writers.pop(reference, None)
        self._writers[reference] = None
        if len(self._writers) > self._most():
            self._close(len(self._writers) - self._most(), _TRIES, reference)

    def closed(self, reference: Reference) -> None:
        """Note that the writer closed its files."""
        self._writers.pop(reference, None)

    def make_room(self) -> bool:
        """Close the files of some writers, because no descriptor is left; return whether any could be closed."""
        return self._close(_MOST_AT_ONCE, len(self._writers), None) > 0

    def __len__(self) -> int:
        """Return the number of writers whose files are open."""
        return len(self._writers)

    def _close(self, most: float, tries: int, but: Reference | None) -> int:
        """Let at most ``most`` writers close their files, and return how many did."""
        done = 0
        for reference in list(self._writers)[:tries]:
            writer = reference()
            if writer is None or reference is but:
                continue
            self._writers.pop(reference, None)
            if writer.set_aside():
                done += 1
            else:
                self._writers[reference] = None  # In use, or impossible to open again: it is not asked soon.
            if done >= most:
                break
        return done


def with_room(open_file: Callable[[], _Result]) -> _Result:
    """Return what ``open_file`` returns. If no descriptor is left, close files that are rarely used, and try again.

    Raises:
        OSError: The file cannot be opened.
    """
    try:
        return open_file()
    except OSError as error:
        if error.errno not in (errno.EMFILE, errno.ENFILE) or not open_files.make_room():
            raise
    return open_file()


def may_reopen(path: str, mode: int) -> bool:
    """Return whether this process could open the existing file at ``path`` now, with the ``mode`` of `os.access`."""
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


if sys.platform == "win32":

    def _most_open() -> float:
        return float("inf")  # No file stays open between two records.

else:
    import resource

    def _most_open() -> float:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return float("inf") if limit == resource.RLIM_INFINITY else max(1, limit // _SHARE)


open_files = OpenFiles(_most_open)
