"""Fault injection: the n-th system call of a rollover fails, or the process is killed right before or after it.

The arms of the protocol are the shared lock and the exclusive lock, each also with a file of limited size.
"""

import contextlib
import errno
import os
import pathlib
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from concurrent_log.files import lock_file
from concurrent_log.files import rollover as rolling
from concurrent_log.files.backups import numbered_names as numbered
from support.records import HOUR, TEN, Watched, WatchedBySize, write

# Every system call of the slow path, except the write of the record itself.
_NAMES = ["open", "close", "stat", "lstat", "fstat", "rename", "remove", "listdir", "scandir", "makedirs"]
_NAMES += ["fchmod", "fchown", "link", "pread", "pwrite", "ftruncate", "lseek"]

TIMED = ("shared", "exclusive")
BY_SIZE = ("shared by size", "exclusive by size")
LIMIT = 60  # size in bytes at which a file rolls over


class Calls:
    """Counts the system calls of a block, and causes the fault at the chosen one."""

    def __init__(self, at: int = -1, fault: str = "") -> None:
        self.names: list[str] = []
        self._at = at
        self._fault = fault

    def through(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return ``function`` with its calls counted under ``name``."""

        def call(*args: Any, **kwargs: Any) -> Any:
            here = len(self.names) == self._at
            self.names.append(name)
            if here and self._fault == "error":
                raise OSError(errno.EIO, os.strerror(errno.EIO), name)
            if here and self._fault == "killed before":
                os.kill(os.getpid(), signal.SIGKILL)
            result = function(*args, **kwargs)
            if here and self._fault == "killed after":
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return call


@contextlib.contextmanager
def watched_calls(calls: Calls) -> Iterator[None]:
    """Count the system calls of this process with ``calls`` during a ``with`` statement."""
    with pytest.MonkeyPatch.context() as patch:
        for name in _NAMES:
            patch.setattr(os, name, calls.through(name, getattr(os, name)))
        for module in (rolling, numbered):
            patch.setattr(module, "move", calls.through("move", module.move))
        patch.setattr(lock_file, "_lock", calls.through("lock", lock_file._lock))
        patch.setattr(lock_file, "_unlock", calls.through("unlock", lock_file._unlock))
        yield


def make_handler(folder: pathlib.Path, arm: str) -> Watched | WatchedBySize:
    """Return a handler of ``folder/app.log`` on that arm of the protocol, with two backups; by size, three."""
    keep_open = None if arm.startswith("shared") else False
    arguments: dict[str, Any] = {"encoding": "utf-8", "keep_file_open": keep_open, "lock_timeout": 0.2}
    if arm in BY_SIZE:
        return WatchedBySize(folder / "app.log", maxBytes=LIMIT, backupCount=3, **arguments)
    return Watched(folder / "app.log", when="H", utc=True, backupCount=2, **arguments)


def prepare(folder: pathlib.Path, arm: str) -> Watched | WatchedBySize:
    """Return a handler whose next record, of eleven o'clock, rolls the file over and deletes a backup."""
    names = ("1", "2", "3") if arm in BY_SIZE else ("2024-05-17_07", "2024-05-17_08")
    for name in names:
        (folder / f"app.log.{name}").write_text(f"backup {name}\n")
    handler = make_handler(folder, arm)
    write(handler, "ten", TEN)
    if arm in BY_SIZE:
        write(handler, "x" * (LIMIT - len("peer ten+ten++eleven+")), TEN)
    return handler


def calls_of_a_rollover(folder: pathlib.Path, arm: str) -> list[str]:
    """Return the names of a rollover's system calls."""
    handler = prepare(folder, arm)
    calls = Calls()
    if arm in BY_SIZE:
        write(handler, "peer ten", TEN)
    with watched_calls(calls):
        write(handler, "eleven", TEN + HOUR)
    handler.close()
    return calls.names
