"""Another program moves, truncates or deletes the log file of running writers, or makes its folder read-only.

The losses are counted, and may only be those in docs/guarantees.md, under "External tools".
"""

import contextlib
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from support.records import TEN, Watched, all_lines, wait_until, write
from support.selection import SHARED_FIRST, first_quick
from support.writers import (
    ARMS,
    NOTICED,
    ROLLING,
    ROUNDING,
    STEADY,
    Account,
    Clock,
    Logged,
    Writers,
    account_for,
    contents_of,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="open files cannot be moved there"),
]

NOBODY = 65534
RUNS = 10


class Run(NamedTuple):
    """One run of logrotate: its start, its end and its error output."""

    began: float
    ended: float
    said: str


class Logrotate:
    """The real logrotate for ``folder/app.log``; rotated files go to the folder ``folder/old``."""

    def __init__(self, program: str, folder: pathlib.Path, clock: Clock, *directives: str) -> None:
        self._old = folder / "old"
        self._old.mkdir()
        self._clock = clock
        configuration = folder.parent / "logrotate.conf"
        directives = ("rotate 1000", f"olddir {self._old}", *directives)
        configuration.write_text(f"{folder / 'app.log'} {{\n" + "\n".join(directives) + "\n}\n")
        self._command = [program, "--force", "--state", str(folder.parent / "logrotate.state"), str(configuration)]
        self._log_file = folder / "app.log"

    def run(self) -> Run:
        """Rotate once."""
        began = self._clock.time()
        run = subprocess.run(self._command, capture_output=True, text=True)
        ended = self._clock.time()
        # If a writer created the new file first, logrotate moves that file to this name, and would
        # overwrite it at the next run.
        for path in self._log_file.parent.glob("app.log-*.backup"):
            path.rename(self._old / f"in-the-way-{began}")
        return Run(began, ended, run.stderr)


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return the folder of the log file."""
    path = tmp_path / "logs"
    path.mkdir(mode=0o755)
    return path


@pytest.fixture
def logrotate(program: Callable[[str], str], folder: pathlib.Path, clock: Clock) -> Callable[..., Logrotate]:
    """Return a function that creates a logrotate with the given directives."""
    path = program("logrotate")
    return lambda *directives: Logrotate(path, folder, clock, *directives)


def _rotated(team: Writers, logrotate: Logrotate, folder: pathlib.Path) -> tuple[Account, list[Run]]:
    """Run logrotate while writers write, and account for all records."""
    team.start()
    runs = []
    for _ in range(RUNS):
        team.wait_for_records(50)
        runs.append(logrotate.run())
    team.wait_for_a_while(2 * NOTICED)
    logged = team.finish()
    return account_for(logged, contents_of(folder / "old", folder)), runs


class TestLogrotate:
    """The real logrotate, forced to run while three processes write."""

    @SHARED_FIRST
    @pytest.mark.parametrize("options", first_quick(ROLLING + STEADY))
    def test_nocreate_loses_nothing(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        logrotate: Callable[..., Logrotate],
        folder: pathlib.Path,
    ) -> None:
        """P1, P4: logrotate moves the file away, the next record creates a new one, and each is in one of them."""
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        found, _ = _rotated(team, logrotate("nocreate"), folder)

        assert found.is_perfect(), str(found)
        assert found.reported == []
        assert any(name.startswith(str(folder / "old")) for name in found.held)

    @SHARED_FIRST
    @pytest.mark.parametrize("options", first_quick(ROLLING + STEADY))
    def test_create_loses_only_what_logrotate_replaces(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        logrotate: Callable[..., Logrotate],
        folder: pathlib.Path,
    ) -> None:
        """P1, P4: logrotate moves the file away and creates a new one; it may replace one that a writer created."""
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        found, runs = _rotated(team, logrotate("create"), folder)
        replacing = [run for run in runs if run.said.count("renaming to") > 1]

        assert [call for call in found.lost if not _during(call, replacing)] == []
        assert found._replace(lost=[]).is_perfect(), str(found)
        assert found.reported == []

    @SHARED_FIRST
    @pytest.mark.parametrize("options", STEADY)
    def test_moved_file_gets_no_record_after_a_second(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        logrotate: Callable[..., Logrotate],
        folder: pathlib.Path,
    ) -> None:
        """P4: compressing the moved file a second later loses nothing; at once if each record opens the file."""
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        team.start()
        team.wait_for_records(50)
        run = logrotate("nocreate").run()
        team.wait_for_a_while(3 * NOTICED)
        found = account_for(team.finish(), contents_of(folder / "old", folder))
        moved = found.held[str(folder / "old" / "app.log.1")]
        window = NOTICED if keep_file_open is None else 0.0

        assert found.is_perfect(), str(found)
        assert max(call.created for call in moved) < run.ended + window + ROUNDING

    @SHARED_FIRST
    @pytest.mark.parametrize("options", first_quick(ROLLING + STEADY))
    def test_copytruncate_loses_only_records_of_its_run(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        logrotate: Callable[..., Logrotate],
        folder: pathlib.Path,
    ) -> None:
        """P1: lost records were logged while logrotate ran; at most the end of a copy is half a record."""
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        found, runs = _rotated(team, logrotate("copytruncate"), folder)

        assert [call for call in found.lost if not _during(call, runs)] == []
        assert all(name.startswith(str(folder / "old")) and len(torn) == 1 for name, torn in found.torn.items())
        assert found._replace(lost=[], torn={}).is_perfect(), str(found)
        assert found.reported == []
        assert any(name.startswith(str(folder / "old")) for name in found.held)


def _during(call: Logged, runs: list[Run]) -> bool:
    return any(call.created <= run.ended + ROUNDING and call.returned >= run.began - ROUNDING for run in runs)


class TestDeletion:
    """Another program deletes the log file."""

    @SHARED_FIRST
    @pytest.mark.parametrize("options", first_quick(ROLLING + STEADY))
    def test_deleted_log_file_loses_at_most_a_second(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        clock: Clock,
        folder: pathlib.Path,
    ) -> None:
        """P1, P4: its content is lost, and records logged before the deletion was noticed."""
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        window = NOTICED if keep_file_open is None else 0.0
        team.start()
        deleted = []
        with contextlib.ExitStack() as files:
            for _ in range(RUNS):
                team.wait_for_records(50)
                with contextlib.suppress(FileNotFoundError):
                    # Moved first, because the file may roll over between opening and deleting.
                    os.rename(folder / "app.log", folder / "doomed")
                    file = files.enter_context(open(folder / "doomed", "rb"))
                    os.unlink(folder / "doomed")
                    deleted.append((file, clock.time()))
                team.wait_for_a_while(2 * NOTICED)
            logged = team.finish()
            contents = [(f"deleted-{number}", file.read()) for number, (file, _) in enumerate(deleted)]
        found = account_for(logged, [*contents, *contents_of(folder)])
        last = {name: max(call.created for call in calls) for name, calls in found.held.items()}

        assert found.is_perfect(), str(found)
        assert found.reported == []
        assert len(deleted) > RUNS / 2
        for number, (_, moment) in enumerate(deleted):
            assert last.get(f"deleted-{number}", 0) < moment + window + ROUNDING

    @ARMS
    @pytest.mark.parametrize("options", STEADY + ROLLING)
    def test_deleted_folder_is_created_again(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        clock: Clock,
        folder: pathlib.Path,
    ) -> None:
        """P1, P4: also if the lock file is deleted with it; records logged more than a second later are complete."""
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        team.start()
        os.rename(folder, folder.with_name("deleted"))
        moment = clock.time()
        team.wait_for_a_while(3 * NOTICED)
        found = account_for(team.finish(), contents_of(folder, folder.with_name("deleted")))
        late = [call for call in found.logged if call.created > moment + NOTICED + ROUNDING]
        deleted = {call for name, calls in found.held.items() if "/deleted/" in name for call in calls}

        assert found.is_perfect(), str(found)
        assert late
        assert deleted.isdisjoint(late)


@pytest.fixture
def open_folder() -> Iterator[pathlib.Path]:
    """Return a folder that every user can reach, unlike those of pytest."""
    path = pathlib.Path(tempfile.mkdtemp())
    path.chmod(0o777)
    yield path
    shutil.rmtree(path)


@pytest.mark.usefixtures("root")
class TestReadOnlyFolder:
    """An ordinary user loses the permission to write the folder, and then gets it back."""

    @ARMS
    @pytest.mark.parametrize("options", ROLLING)
    def test_nothing_is_lost_and_the_file_rolls_over_later(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        open_folder: pathlib.Path,
    ) -> None:
        """P1, P4: records continue in the current file, each process reports it once, and then the file rolls over."""
        team = writers(open_folder / "app.log", **options, keep_file_open=keep_file_open)
        _make_shared(open_folder)
        team.start(user=NOBODY)
        wait_until(lambda: len(_backups(open_folder)) > 1)
        _make_read_only(open_folder)
        before = _backups(open_folder)
        team.wait_for_reports()
        team.wait_for_a_while(3 * NOTICED)
        meanwhile = _backups(open_folder)
        reports = team.reports()
        open_folder.chmod(0o777)
        wait_until(lambda: len(_backups(open_folder)) > len(meanwhile) + 1)
        found = account_for(team.finish(), contents_of(open_folder))

        assert found.is_perfect(), str(found)
        assert meanwhile == before
        assert reports == [1, 1, 1]
        assert len(found.reported) == 3

    @ARMS
    @pytest.mark.parametrize("options", ROLLING)
    def test_process_started_in_between_writes_too(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        open_folder: pathlib.Path,
    ) -> None:
        """P1, P4: a worker started while the folder is read-only logs into the existing file."""
        team = writers(open_folder / "app.log", **options, keep_file_open=keep_file_open)
        _make_shared(open_folder)
        team.start(user=NOBODY, count=2)
        _make_read_only(open_folder)
        team.start(user=NOBODY, count=1)
        team.wait_for_reports()
        open_folder.chmod(0o777)
        team.wait_for_a_while(3 * NOTICED)
        found = account_for(team.finish(), contents_of(open_folder))

        assert found.is_perfect(), str(found)

    def test_every_record_lost_with_a_deleted_file_is_reported(self, open_folder: pathlib.Path) -> None:
        """P4: if no new file can be created in place of a deleted one, each lost record is reported."""
        handler = Watched(open_folder / "app.log", when="H", utc=True)
        try:
            write(handler, "before", TEN)
            os.unlink(open_folder / "app.log")
            open_folder.chmod(0o555)
            os.seteuid(NOBODY)
            for second in range(1, 4):
                write(handler, f"lost {second}", TEN + second)
        finally:
            os.seteuid(0)
            handler.close()

        assert all_lines(open_folder) == []
        assert len(handler.problems) == 3


def _make_shared(folder: pathlib.Path) -> None:
    """Create a log file and a lock file that every user may write."""
    for name in ("app.log", ".__app.lock"):
        (folder / name).touch()
        (folder / name).chmod(0o666)


def _make_read_only(folder: pathlib.Path) -> None:
    """Remove the permission to write the folder while no process is in a rollover."""
    with open(folder / ".__app.lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_SH)
        folder.chmod(0o555)


def _backups(folder: pathlib.Path) -> set[str]:
    return {path.name for path in folder.glob("app.log.*")}
