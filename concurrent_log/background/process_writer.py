"""`ProcessWriter`: sends records to a separate process that writes them.

The process receives the pickled handlers first, and then batches of records. It confirms each batch when it is written.
If the process is killed, the next one receives the batches that were not confirmed.
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

from concurrent_log.background.exact_snapshot import Snapshot
from concurrent_log.background.local_writer import LocalWriter
from concurrent_log.background.pickling import pickle_handlers, pickle_snapshots, to_plain
from concurrent_log.internal import stderr
from concurrent_log.internal.greenlets import unpatched_copy
from concurrent_log.internal.lifecycle import is_forking

if TYPE_CHECKING:
    if sys.platform == "win32":
        from multiprocessing.connection import PipeConnection as Connection
    else:
        from multiprocessing.connection import Connection

_MAX_UNCONFIRMED = 4  # batches
_EXIT_TIMEOUT = 1.0  # seconds to wait for the exit of a process that no longer responds
_MAX_FAILURES = 3  # processes in a row that end without a confirmation; then this process writes
_PAUSE = 0.01  # seconds to wait for a confirmation before a fork
_RETRY_INTERVAL = 60.0  # seconds after which this process tries again to start one

_CODE = "import sys; sys.path[:] = {!r}; from concurrent_log.background.process_main import main; main({})"


class ProcessWriter:
    """Writes snapshots through copies of ``handlers`` in a separate process, which starts with the first snapshot.

    Raises:
        TypeError: A handler cannot be sent to a process.
    """

    def __init__(self, handlers: Sequence[logging.Handler]) -> None:
        if getattr(sys, "frozen", False):
            raise TypeError("worker='process' needs an interpreter, and this program is frozen: use worker='thread'")
        self._handlers = handlers
        self._pickled_handlers = pickle_handlers(handlers)
        self._unsent: deque[list[Snapshot]] = deque()
        self._unconfirmed: deque[list[Snapshot]] = deque()
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._failures = 0
        self._retry_at = 0.0  # by `time.monotonic`; this process writes until then

    def write(self, snapshots: list[Snapshot]) -> int:
        """Send the snapshots, and return how many were confirmed in the meantime."""
        self._unsent.append(snapshots)
        return self._send_batches(_MAX_UNCONFIRMED)

    def wait_until_written(self) -> int:
        """Wait until all snapshots are confirmed, and return how many were since the last call."""
        return self._send_batches(0)

    def pending(self) -> int:
        """Return how many snapshots are not confirmed."""
        return sum(map(len, self._unsent)) + sum(map(len, self._unconfirmed))

    def flush(self) -> None:
        """Let the process flush its handlers, and wait for it."""
        self._unsent.append([])  # An empty batch is the request to flush.
        self._send_batches(0, may_pause=False)

    def close(self, timeout: float) -> None:
        """Wait for the process to close its handlers and exit."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._process is not None:
            try:
                self._process.wait(timeout)
            except unpatched_copy(subprocess).TimeoutExpired:
                stderr.warn(f"process {self._process.pid} is still writing records")

    def detach_after_fork(self) -> None:
        """Close the child's copy of the connection; with a copy open, the process would not notice the parent's end."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.returncode = 0  # It is not a child of this process: nothing to wait for.

    def _send_batches(self, max_unconfirmed: int, *, may_pause: bool = True) -> int:
        """Send all batches, and wait until at most ``max_unconfirmed`` of them are not confirmed.

        If no process can be started, this process writes the batches itself. With ``may_pause``, returns earlier while
        this process is about to fork. Returns the number of confirmed records.
        """
        confirmed = 0
        while self._unsent or len(self._unconfirmed) > max_unconfirmed:
            if monotonic() < self._retry_at:
                confirmed += self._write_locally()
                continue
            try:
                connection = self._connection or self._start_process()
                if may_pause and is_forking() and not connection.poll(_PAUSE):
                    break
                if self._unsent and len(self._unconfirmed) <= _MAX_UNCONFIRMED:
                    connection.send_bytes(pickle_snapshots(self._unsent[0]))
                    self._unconfirmed.append(self._unsent.popleft())
                else:
                    confirmed += self._receive_confirmation(connection)
            except (OSError, EOFError, RuntimeError) as error:
                confirmed += self._handle_failure(error)
        return confirmed

    def _receive_confirmation(self, connection: "Connection") -> int:
        is_written = connection.recv_bytes() == b"written"
        batch = self._unconfirmed.popleft()
        self._failures = 0
        if is_written:
            return len(batch)
        # The process could not unpickle the batch. It skips all later batches, up to an empty message.
        self._requeue_unconfirmed()
        self._unsent.appendleft([to_plain(snapshot) for snapshot in batch])
        connection.send_bytes(b"")
        return 0

    def _requeue_unconfirmed(self) -> None:
        self._unsent.extendleft(reversed(self._unconfirmed))
        self._unconfirmed.clear()

    def _handle_failure(self, error: Exception) -> int:
        """Requeue the batches that a lost process did not confirm, and return the number of confirmed records."""
        confirmed = 0
        if self._connection is not None:
            # The process may have sent confirmations before its end, even if our own sending failed.
            with contextlib.suppress(OSError, EOFError):
                while self._unconfirmed and self._connection.poll():
                    confirmed += self._receive_confirmation(self._connection)
            self._connection.close()
            self._connection = None
        self._requeue_unconfirmed()
        self._failures += 1
        is_permanent = not isinstance(error, (OSError, EOFError))
        if self._failures >= _MAX_FAILURES or is_permanent:
            self._retry_at = float("inf") if is_permanent else monotonic() + _RETRY_INTERVAL
            if self._failures <= _MAX_FAILURES:
                stderr.warn(f"the process that writes cannot run ({error!r}); this process writes the records itself")
        return confirmed

    def _write_locally(self) -> int:
        writer = LocalWriter(self._handlers)
        batch = self._unsent.popleft()
        if batch:
            return writer.write(batch)
        writer.flush()
        return 0

    def _start_process(self) -> "Connection":
        """Start a process, send it the handlers, and return the connection to it.

        Raises:
            RuntimeError: The process cannot create the handlers.
            OSError, EOFError: The process cannot be started, or it ended.
        """
        module = unpatched_copy(subprocess)  # The processes of gevent and eventlet belong to the main thread.
        if self._process is not None:
            with contextlib.suppress(module.TimeoutExpired):
                self._process.wait(_EXIT_TIMEOUT)
        connection, theirs = _make_pipe()
        flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
        command = [spawn.get_executable(), *flags, "-c", _CODE.format(sys.path, theirs.fileno())]
        with theirs:
            self._process = module.Popen(command, stdin=subprocess.DEVNULL, **_popen_options(theirs.fileno()))
        self._connection = connection
        connection.send_bytes(self._pickled_handlers)
        error = connection.recv_bytes().decode()
        if error:
            raise RuntimeError(error)
        return connection


def _make_pipe() -> "tuple[Connection, Connection]":
    """Return two connections, as `multiprocessing.Pipe` does; without the sockets of gevent, which do not block."""
    if sys.platform == "win32":
        return multiprocessing.Pipe()
    import _socket
    from multiprocessing.connection import Connection

    ours, theirs = _socket.socketpair()
    return Connection(ours.detach()), Connection(theirs.detach())


def _popen_options(handle: int) -> dict[str, Any]:
    """Return arguments of `subprocess.Popen` that pass the handle on, and shield the process from Ctrl-C."""
    if sys.platform == "win32":
        os.set_handle_inheritable(handle, True)
        startup = subprocess.STARTUPINFO(lpAttributeList={"handle_list": [handle]})
        return {"startupinfo": startup, "creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"pass_fds": (handle,), "start_new_session": True}
