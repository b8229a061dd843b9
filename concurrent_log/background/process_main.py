"""Writing records in a process of its own: the side of that process."""

import contextlib
import logging
import pickle
import signal
import sys
from typing import Any

from concurrent_log.background.local_writer import LocalWriter

if sys.platform == "win32":
    from multiprocessing.connection import PipeConnection as Connection
else:
    from multiprocessing.connection import Connection

_IGNORED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


def main(handle: int) -> None:
    """Write what comes through the connection, until the program at its other end ends.

    Signals that ask to end are ignored: the program may have something to say until its own end.
    """
    for name in _IGNORED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    connection: Any = Connection(handle)
    try:
        handlers = pickle.loads(connection.recv_bytes())
    except EOFError:
        return
    except Exception as error:
        connection.send_bytes(f"the handlers cannot be made: {error!r}".encode())
        return
    connection.send_bytes(b"")
    _serve(connection, LocalWriter(handlers))
    logging.shutdown()


def _serve(connection: Any, writer: LocalWriter) -> None:
    is_waiting = False  # for the program to send again what could not be read, and what it has sent since
    while True:
        try:
            data = connection.recv_bytes()
        except (EOFError, OSError):
            return
        is_waiting = is_waiting and data != b""
        if is_waiting or not data:
            continue
        answer = b"written"
        try:
            snapshots = pickle.loads(data)
        except Exception:
            answer = b"unreadable"
            is_waiting = True
        else:
            if snapshots:
                writer.write(snapshots)
            else:
                writer.flush()
        with contextlib.suppress(OSError):  # The program was killed; what it sent before is still to be read.
            connection.send_bytes(answer)
