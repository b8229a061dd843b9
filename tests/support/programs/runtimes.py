"""Patches this process with gevent or eventlet: before the package is imported, after it, or in a forked worker."""

import ctypes
import os
import sys
import warnings
from collections.abc import Callable

WAYS = [(library, when) for library in ("gevent", "eventlet") for when in ("before", "after", "forked")]


def enter(library: str, when: str) -> None:
    """Import the package and patch, in the order that ``when`` names; in a forked child, whose parent exits like it.

    ``library`` may be ``none``, for a process that is not patched.
    """
    warnings.simplefilter("ignore")  # of eventlet, which announces its end, and of a fork beside threads
    if when == "before":
        patch(library)
    import concurrent_log.background
    import concurrent_log.internal.threads  # noqa: F401

    if when == "forked":
        child = os.fork()
        if child:
            os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    if when != "before":
        patch(library)


def patch(library: str) -> None:
    """Replace the primitives of the standard library."""
    if library == "gevent":
        from gevent import monkey

        monkey.patch_all()
    elif library == "eventlet":
        import eventlet

        eventlet.monkey_patch()


def count_turns(work: Callable[[], object], library: str) -> int:
    """Do ``work`` in this greenlet, and return how often another one has run meanwhile."""
    green = sys.modules[library]
    turns = [0]

    def turn() -> None:
        while True:
            turns[0] += 1
            green.sleep(0.001)

    other = green.spawn(turn)
    green.sleep(0)
    before = turns[0]
    work()
    other.kill()
    return turns[0] - before


def block_thread(seconds: float) -> None:
    """Wait in C code, as for a slow disk: no other greenlet of this thread runs."""
    ctypes.CDLL(None).usleep(int(seconds * 1e6))
