"""Writing records in a process of its own: the side of the program.

The process gets the pickled handlers first, and then batches of records, each of which it confirms when it is written.
A batch that a killed process did not confirm is sent to the next one.
"""

import contextlib
import logging
import multiprocessing
import os
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from multiprocessing import spawn
from time import monotonic
from typing import TYPE_CHECKING, Any

from concurrent_log.background.local_writer import LocalWriter
from concurrent_log.background.pickling import pack_handlers, pack_snapshots, plain
from concurrent_log.background.snapshot import Snapshot
from concurrent_log.internal import stderr

if TYPE_CHECKING:
    if sys.platform == "win32":
        from multiprocessing.connection import PipeConnection as Connection
    else:
        from multiprocessing.connection import Connection

_AHEAD = 4  # batches that are sent before the first of them is confirmed
_END = 1.0  # seconds for a process to end that does not answer
_MOST_LOSSES = 3  # processes that ended without confirming anything, after which this one writes by itself
_RETRY = 60.0  # seconds for which it does


class ProcessWriter:
    """Writes snapshots through copies of ``handlers`` in a process of its own, which begins with the first of them.

    Raises:
        TypeError: One of the handlers cannot be sent to a process.
    """

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        if getattr(sys, "frozen", False):
            raise TypeError("worker='process' needs an interpreter, and this program is frozen: use worker='thread'")
        self._handlers = handlers
        self._packed_handlers = pack_handlers(handlers)
        self._unsent: deque[list[Snapshot]] = deque()
        self._unconfirmed: deque[list[Snapshot]] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._losses = 0
        self._retry_at = 0.0  # by `time.monotonic`; until then, this process writes by itself

    def write(self, snapshots: list[Snapshot]) -> int:
        """Send the snapshots, and return how many have been confirmed meanwhile."""
        self._unsent.append(snapshots)
        return self._work_off(_AHEAD)

    def settle(self) -> int:
        """Wait until all are confirmed, and return how many have been since the last call."""
        return self._work_off(0)

    def pending(self) -> int:
        """Return how many are not confirmed."""
        return sum(map(len, self._unsent)) + sum(map(len, self._unconfirmed))

    def flush(self) -> None:
        """Let the process flush its handlers."""
        self._unsent.append([])  # which stands for that
        self._work_off(0)

    def close(self, timeout: float) -> None:
        """Let the process end; it closes its handlers."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                stderr.warn(f"the process {self._process.pid} still writes")

    def forget(self) -> None:
        """Leave the process to the parent, in the child after a fork; else it would not see the parent end."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.returncode = 0  # nobody here has to wait for it

    def _work_off(self, ahead: int) -> int:
        """Send all, let no more than ``ahead`` batches be unconfirmed, and return how many records were confirmed."""
        confirmed = 0
        while self._unsent or len(self._unconfirmed) > ahead:
            if monotonic() < self._retry_at:
                confirmed += self._write_here()
                continue
            try:
                connection = self._connection or self._start()
                if self._unsent and len(self._unconfirmed) <= _AHEAD:
                    connection.send_bytes(pack_snapshots(self._unsent[0]))
                    self._unconfirmed.append(self._unsent.popleft())
                else:
                    confirmed += self._confirm(connection)
            except (OSError, EOFError, RuntimeError) as error:
                confirmed += self._lose(error)
        return confirmed

    def _confirm(self, connection: "Connection") -> int:
        is_read = connection.recv_bytes() == b"written"
        batch = self._unconfirmed.popleft()
        self._losses = 0
        if is_read:
            return len(batch)
        # The process passes over what was sent behind it, up to an empty message.
        self._send_again()
        self._unsent.appendleft([plain(snapshot) for snapshot in batch])
        connection.send_bytes(b"")
        return 0

    def _send_again(self) -> None:
        self._unsent.extendleft(reversed(self._unconfirmed))
        self._unconfirmed.clear()

    def _lose(self, error: Exception) -> int:
        """Prepare to send again what a process that is gone has not confirmed; return how many records it had."""
        confirmed = 0
        if self._connection is not None:
            # What it said before its end is still to be read, also where it was sending that failed.
            with contextlib.suppress(OSError, EOFError):
                while self._unconfirmed and self._connection.poll():
                    confirmed += self._confirm(self._connection)
            self._connection.close()
            self._connection = None
        self._send_again()
        self._losses += 1
        is_final = not isinstance(error, (OSError, EOFError))
        if self._losses >= _MOST_LOSSES or is_final:
            self._retry_at = float("inf") if is_final else monotonic() + _RETRY
            if self._losses <= _MOST_LOSSES:
                stderr.warn(f"no process can write ({error!r}); this one writes by itself")
        return confirmed

    def _write_here(self) -> int:
        substitute = LocalWriter(self._handlers)
        batch = self._unsent.popleft()
        if batch:
            return substitute.write(batch)
        substitute.flush()
        return 0

    def _start(self) -> "Connection":
        """Start a process and return the connection to it, when it has the handlers.

        Raises:
            RuntimeError: The process cannot make the handlers.
            OSError, EOFError: No process can be started, or it ended.
        """
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_END)
        connection, theirs = multiprocessing.Pipe()
        code = (
            "import sys; sys.path[:] = {!r}; from concurrent_log.background import process_main; process_main.main({})"
        )
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
        command = [spawn.get_executable(), *flags, "-c", code.format(sys.path, theirs.fileno())]
        with theirs:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, **_inheriting(theirs.fileno()))
        self._connection = connection
        connection.send_bytes(self._packed_handlers)
        refusal = connection.recv_bytes().decode()
        if refusal:
            raise RuntimeError(refusal)
        return connection


def _inheriting(handle: int) -> dict[str, Any]:
    """Return the arguments of `subprocess.Popen` for a process that has the handle, and is not met by Ctrl-C."""
    if sys.platform == "win32":
        os.set_handle_inheritable(handle, True)
        startup = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [handle]})
        return {"startupinfo": startup, "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"pass_fds": (handle,), "start_new_session": True}
