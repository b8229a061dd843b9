"""A lock that a forked child can use, even if a thread of the parent held it at the fork."""

import os
import threading


class ForkSafeLock:
    """A re-entrant lock for each process.

    Use it as ``with lock.for_this_process():`` only. The `with` statement then enters and leaves the `threading.RLock`
    itself. With an ``__enter__`` written in Python, a signal handler could raise inside it, such as the one for Ctrl-C,
    and leave the lock held.
    """

    def __init__(self) -> None:
        self._locks = {os.getpid(): threading.RLock()}

    def for_this_process(self) -> "threading.RLock":
        """Return the lock of this process."""
        process = os.getpid()
        return self._locks.get(process) or self._locks.setdefault(process, threading.RLock())
