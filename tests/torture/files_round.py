"""One round of the torture test: start the workers, and cause the faults of the round."""

import contextlib
import fcntl
import multiprocessing
import os
import pathlib
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any, BinaryIO

from concurrent_log.stress.sequence import Source
from torture import files_worker
from torture.files_journal import FAMILY, Clock, Journal
from torture.files_plan import Event, Fault, Round
from torture.files_worker import Job

_GRACE = 60.0  # seconds after which a worker that should have ended counts as hanging
_LONGEST_HOLE = 0.3  # seconds for which the disk is full


@dataclass
class Outcome:
    """The result of a round.

    Attributes:
        folder: Folder of the log file and its backups.
        outside: Folder of log files that were moved or removed.
        scratch: Folder of the workers' reports.
        journal: The states of all logging calls.
        clock: The clock of the workers.
        vanished: The workers' time at which each file in ``outside`` was removed, by its path.
        faults: How often each fault occurred.
        problems: Problems apart from the files.
    """

    folder: pathlib.Path
    outside: pathlib.Path
    scratch: pathlib.Path
    journal: Journal
    clock: Clock
    vanished: dict[pathlib.Path, float] = field(default_factory=dict)
    faults: Counter[Fault] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    def reports(self) -> list[str]:
        """Return the workers' reports: one line for each error that was reported or raised."""
        path = self.scratch / "reports"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def play(plan: Round, folder: pathlib.Path) -> Outcome:
    """Run one round in the empty ``folder``, and keep all its files."""
    with _disk(plan, folder) as disk:
        return _Conductor(plan, folder, disk).play()


@contextlib.contextmanager
def _disk(plan: Round, folder: pathlib.Path) -> Iterator[pathlib.Path | None]:
    """Mount a small disk on ``folder/logs`` if it is to become full; its files stay when it is unmounted."""
    logs = folder / "logs"
    logs.mkdir()
    if Fault.FULL_DISK not in plan.faults:
        yield None
        return
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", str(logs)], check=True)
    try:
        yield logs
        shutil.copytree(logs, folder / "copy")
    finally:
        subprocess.run(["umount", "--lazy", str(logs)], check=True)
    logs.rmdir()
    (folder / "copy").rename(logs)


class _Conductor:
    def __init__(self, plan: Round, folder: pathlib.Path, disk: pathlib.Path | None) -> None:
        self._plan, self._disk = plan, disk
        logs, outside, scratch = folder / "logs" / "app", folder / "logs" / "outside", folder / "scratch"
        for path in (logs, outside, scratch):
            path.mkdir()
        self._job = Job(plan, str(logs / "app.log"), str(scratch), time.time())
        self._outcome = Outcome(logs, outside, scratch, self._job.journal(), self._job.clock())
        self._context: Any = multiprocessing.get_context(plan.start_method)
        self._handler = self._job.handler() if plan.inherited else None
        self._rows = iter(range(0, 10**6, FAMILY))
        self._workers: list[BaseProcess] = []
        self._stopped: list[tuple[float, BaseProcess]] = []
        self._removed: list[tuple[pathlib.Path, BinaryIO]] = []

    def play(self) -> Outcome:
        """Let the workers log until the end, then run a last one that rolls over."""
        try:
            for _ in range(self._plan.processes):
                self._start(files_worker.work, self._handler)
            self._wait_until_all_log()
            began = time.monotonic()
            for event in self._plan.events:
                self._wait_until(began + event.at)
                self._do(event)
            self._wait_until(began + self._plan.seconds)
            self._end()
            self._start(files_worker.finish)
            self._end()
        finally:
            for worker in self._workers:
                worker.kill()
        self._keep_removed()
        return self._outcome

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        worker: BaseProcess = self._context.Process(target=target, args=(self._job, next(self._rows), *arguments))
        worker.start()
        self._workers.append(worker)

    def _wait_until_all_log(self) -> None:
        """Wait until the slowest worker has started; it may first have to start a Python."""
        give_up_at = time.monotonic() + _GRACE
        rows = range(0, FAMILY * self._plan.processes, FAMILY)
        while not all(self._outcome.journal.states(Source(row, 0))[0] for row in rows):
            if time.monotonic() > give_up_at:
                self._outcome.problems.append("a worker does not start to log")
                return
            time.sleep(0.001)

    def _wait_until(self, moment: float) -> None:
        """Wait, and continue stopped workers in time."""
        while True:
            now = time.monotonic()
            for goes_on, worker in [one for one in self._stopped if one[0] <= now]:
                _send(worker, signal.SIGCONT)
                self._stopped.remove((goes_on, worker))
            if now >= moment:
                return
            time.sleep(max(0, min([moment, *(at for at, _ in self._stopped)]) - now))

    def _do(self, event: Event) -> None:
        faults = {
            Fault.KILL: self._kill,
            Fault.SHORT_STOP: self._stop,
            Fault.LONG_STOP: self._stop,
            Fault.CLOCK_STEP: self._step,
            Fault.FULL_DISK: self._fill,
            Fault.DELETED_LOCK: self._delete_lock,
            Fault.REMOVED_LOG: self._remove_log,
            Fault.MOVED_LOG: self._move_log,
        }
        with contextlib.suppress(FileNotFoundError):  # for example a log file between the two steps of a rollover
            faults[event.fault](event)
            self._outcome.faults[event.fault] += 1

    def _kill(self, event: Event) -> None:
        victim = self._workers.pop(int(event.target * len(self._workers)))
        self._stopped = [one for one in self._stopped if one[1] is not victim]
        victim.kill()
        victim.join()
        if victim.exitcode not in (0, -signal.SIGKILL):
            self._outcome.problems.append(f"a worker ended with {victim.exitcode} before it was killed")
        self._start(files_worker.work, self._handler)

    def _stop(self, event: Event) -> None:
        victim = self._workers[int(event.target * len(self._workers))]
        timeout = self._plan.options["lock_timeout"]
        seconds = (1 + 2 * event.amount) * timeout if event.fault is Fault.LONG_STOP else event.amount / 2
        _send(victim, signal.SIGSTOP)
        self._stopped.append((time.monotonic() + seconds, victim))

    def _step(self, event: Event) -> None:
        """Step the clock by up to a second, a minute, an hour … a month, and keep it safely in the past."""
        size = (1, 60, 3600, 86400, 20 * 86400)[int(event.target * 5)]
        self._outcome.clock.step((2 * event.amount - 1) * size)

    def _fill(self, event: Event) -> None:
        assert self._disk is not None
        ballast = self._disk / "ballast"
        status = os.statvfs(self._disk)
        leave = int(event.target * 20_000)
        with open(ballast, "wb") as file, contextlib.suppress(OSError):
            os.posix_fallocate(file.fileno(), 0, max(1, status.f_bavail * status.f_frsize - leave))
        self._wait_until(time.monotonic() + event.amount * _LONGEST_HOLE)
        ballast.unlink()

    def _delete_lock(self, event: Event) -> None:
        self._outcome.folder.joinpath(".__app.lock").unlink()

    def _remove_log(self, event: Event) -> None:
        """Remove the log file, but keep it open, to find the records that are still written to it."""
        kept = self._outcome.outside / f"removed-{len(self._removed)}"
        os.rename(self._job.log_file, kept)  # first, because a rollover may create another file there at any moment
        self._outcome.vanished[kept] = self._outcome.clock.now()
        self._removed.append((kept, open(kept, "rb")))  # noqa: SIM115 - until the end of the round
        kept.unlink()

    def _move_log(self, event: Event) -> None:
        kept = self._outcome.outside / f"moved-{len(self._outcome.vanished)}"
        os.rename(self._job.log_file, kept)
        self._outcome.vanished[kept] = self._outcome.clock.now()

    def _end(self) -> None:
        """Wait for the workers and for their forked children."""
        self._outcome.journal.end()
        self._wait_until(max([0.0, *(at for at, _ in self._stopped)]))
        give_up_at = time.monotonic() + _GRACE
        for worker in self._workers:
            worker.join(max(0, give_up_at - time.monotonic()))
            if worker.exitcode != 0:
                self._outcome.problems.append(self._describe(worker))
        self._workers.clear()
        self._wait_for_children()

    def _describe(self, worker: BaseProcess) -> str:
        """Return how a worker ended, or where its threads hang."""
        if worker.exitcode is not None:
            return f"a worker ended with {worker.exitcode}"
        _send(worker, signal.SIGUSR1)
        time.sleep(1)
        worker.kill()
        stacks = self._job.path(f"stacks-{worker.pid}")
        return f"a worker hangs:\n{pathlib.Path(stacks).read_text(encoding='utf-8')}"

    def _wait_for_children(self) -> None:
        """Wait for all processes that hold the lock of a running process, including children of killed workers."""
        give_up_at = time.monotonic() + _GRACE
        with open(self._job.path("present"), "a", encoding="utf-8") as present:
            while True:
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(present, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
                if time.monotonic() > give_up_at:
                    self._outcome.problems.append("a child of a worker hangs")
                    return
                time.sleep(0.01)

    def _keep_removed(self) -> None:
        for kept, file in self._removed:
            with file:
                kept.write_bytes(file.read())


def _send(worker: BaseProcess, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):  # It has ended.
        os.kill(worker.pid or 0, signum)
