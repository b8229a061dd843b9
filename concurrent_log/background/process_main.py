"""The main function of the process that `ProcessWriter` starts: receives batches of records and writes them."""

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

_IGNORED_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


def main(handle: int) -> None:
    """Write the records that arrive through the connection, until the program at its other end exits.

    Termination signals are ignored: the program may still log until its own exit.
    """
    for name in _IGNORED_SIGNALS:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    connection: Any = Connection(handle)
    try:
        handlers = pickle.loads(connection.recv_bytes())
    except EOFError:
        return
    except Exception as error:
        connection.send_bytes(f"the handlers cannot be created: {error!r}".encode())
        return
    with contextlib.suppress(OSError):  # The program was killed.
        connection.send_bytes(b"")
    _serve(connection, LocalWriter(handlers))
    logging.shutdown()


def _serve(connection: Any, writer: LocalWriter) -> None:
    # After a batch that cannot be unpickled, skip the batches up to an empty message: the program sends all of them
    # again, in order.
    is_skipping = False
    while True:
        try:
            data = connection.recv_bytes()
        except (EOFError, OSError):
            return
        is_skipping = is_skipping and data != b""
        if is_skipping or not data:
            continue
        response = b"written"
        try:
            snapshots = pickle.loads(data)
        except Exception:
            response = b"unreadable"
            is_skipping = True
        else:
            if snapshots:
                writer.write(snapshots)
            else:
                writer.flush()
        with contextlib.suppress(OSError):  # The program was killed. The pipe may still contain batches to write.
            connection.send_bytes(response)
