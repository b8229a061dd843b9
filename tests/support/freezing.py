"""Stopping processes by SIGSTOP, and waiting until they have stopped."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from support.deadlines import DEADLINE

_PROC = Path("/proc")
_STOPPED = "TtZX"  # stopped, traced, or no longer running


def freeze(*processes: int) -> None:
    """Stop processes, and return when none of their threads runs.

    SIGSTOP only asks for that: until one thread gets the processor and stops the others, they go on, and may answer
    requests. On a busy machine that takes as long as a check or a call of a test. Without ``/proc``, does not wait.
    """
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGSTOP)
    _wait_until_stopped(processes)


def freeze_group(group: int) -> None:
    """Do the same for all processes of a process group."""
    os.killpg(group, signal.SIGSTOP)
    _wait_until_stopped([process for process in _processes() if _status(_PROC / str(process))[2:3] == [str(group)]])


def _wait_until_stopped(processes: Iterable[int]) -> None:
    give_up_at = time.monotonic() + DEADLINE
    while running := [process for process in processes if not _is_stopped(process)]:
        assert time.monotonic() < give_up_at, f"the processes {running} did not stop within {DEADLINE} s"
        time.sleep(0.005)


def _is_stopped(process: int) -> bool:
    return all(_status(thread)[:1] in ([], *map(list, _STOPPED)) for thread in (_PROC / str(process)).glob("task/*"))


def _processes() -> Iterator[int]:
    return (int(path.name) for path in _PROC.glob("[0-9]*"))


def _status(folder: Path) -> list[str]:
    """Return state, parent, process group and more of a process or thread; nothing if it has ended."""
    try:
        content = (folder / "stat").read_text()
    except OSError:
        return []
    return content.rpartition(")")[2].split()  # the name before it may contain anything
