"""The disk is full, also in the middle of a rollover, and then there is space again.

Every record that the handler did not report is in one file, whole. A reported record is missing, or nevertheless whole.
The part that a full disk accepted is on a line of its own (docs/guarantees.md, "A full disk").
"""

import contextlib
import errno
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

from concurrent_log.files import log_file
from concurrent_log.files import torn_records as appending
from support.records import HOUR, TEN, Watched, files, wait_until, write
from support.writers import ARMS, NOTICED, ROLLING, STEADY, Account, Writers, account_for, contents_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="mounts a disk"),
]

Disk = Callable[..., pathlib.Path]


@pytest.fixture
def disk(mount: Callable[..., None], tmp_path: pathlib.Path) -> Disk:
    """Return a function that mounts a small disk with options of tmpfs(5), and returns its folder."""

    def make(options: str) -> pathlib.Path:
        folder = tmp_path / "disk"
        folder.mkdir()
        mount(folder, "-t", "tmpfs", "-o", options, "tmpfs")
        return folder

    return make


def _ballast(folder: pathlib.Path, number: int, size: int) -> pathlib.Path:
    """Use up space."""
    path = folder / f".ballast-{number}"
    path.write_bytes(b"\0" * size)
    return path


def _use_up_inodes(folder: pathlib.Path) -> list[pathlib.Path]:
    """Create empty files until there is no space for another one."""
    made: list[pathlib.Path] = []
    with contextlib.suppress(OSError):
        while True:
            made.append(_ballast(folder, len(made), 0))
    assert os.statvfs(folder).f_ffree == 0
    return made


def _assert_nothing_glued(found: Account) -> None:
    """Check that unreported records are there, whole, and that each torn line is a part of one record."""
    assert found._replace(torn={}).is_perfect(), str(found)
    assert found.unexplained() == [], str(found)


class TestNoSpace:
    """No block is left for a record."""

    @ARMS
    @pytest.mark.parametrize("options", STEADY + ROLLING)
    def test_full_disk_loses_only_reported_records(
        self, options: dict[str, Any], keep_file_open: bool | None, writers: Callable[..., Writers], disk: Disk
    ) -> None:
        """P1, P4: the disk is full three times and freed three times; nothing is raised, and every loss is reported."""
        folder = disk("size=2m")
        ballast = [_ballast(folder, number, 500_000) for number in range(3)]
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        team.start()
        for path in ballast:
            team.wait_for_more_reports(20)
            path.unlink()
            team.wait_for_any(50)
        found = account_for(team.finish(), contents_of(folder))

        _assert_nothing_glued(found)
        assert len(found.reported) > 100

    @ARMS
    @pytest.mark.parametrize("options", ROLLING)
    def test_full_disk_at_a_rollover_loses_only_reported_records(
        self, options: dict[str, Any], keep_file_open: bool | None, writers: Callable[..., Writers], disk: Disk
    ) -> None:
        """P1, P3, P4: a new file without space for its first record gets the next ones when there is space."""
        folder = disk("size=1m")
        ballast = _ballast(folder, 0, 500_000)
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        team.start()
        team.wait_for_reports(20)
        wait_until(lambda: (folder / "app.log").exists() and not (folder / "app.log").stat().st_size)
        full = _files(folder)
        ballast.unlink()
        team.wait_for_any(50)
        wait_until(lambda: len(_files(folder)) > len(full))
        found = account_for(team.finish(), contents_of(folder))

        _assert_nothing_glued(found)
        assert any(name in found.held for name in full)

    @ARMS
    @pytest.mark.parametrize("is_there", [True, False])
    def test_lock_file_without_space_for_its_state_costs_no_record(
        self, keep_file_open: bool | None, is_there: bool, disk: Disk
    ) -> None:
        """P4: records that fit are written, the cause is reported once, and later the file rolls over."""
        folder = disk("size=64k")
        (folder / "app.log").write_text("before\n")
        os.utime(folder / "app.log", (TEN, TEN))
        if is_there:
            (folder / ".__app.lock").touch()
        with pytest.raises(OSError, match="No space left"):
            _ballast(folder, 0, 100_000)
        handler = Watched(folder / "app.log", when="H", utc=True, keep_file_open=keep_file_open)
        for second in range(3):
            write(handler, f"ten {second}", TEN + second)
            os.utime(folder / "app.log", (TEN, TEN))
        (folder / ".ballast-0").unlink()
        reported = list(handler.problems)
        write(handler, "eleven", TEN + HOUR)
        handler.close()

        assert [getattr(problem, "errno", None) for problem in reported] == [errno.ENOSPC]
        assert files(folder) == {
            "app.log": ["eleven"],
            "app.log.2024-05-17_10": ["before", "ten 0", "ten 1", "ten 2"],
        }

    @ARMS
    def test_retention_frees_space_at_a_rollover(self, keep_file_open: bool | None, disk: Disk) -> None:
        """P4: the record that rolls over on a full disk is reported; deleted backups make space for the next."""
        folder = disk("size=64k")
        (folder / "app.log.2024-05-17_09").write_text("nine\n")
        handler = Watched(folder / "app.log", when="H", utc=True, backupCount=1, keep_file_open=keep_file_open)
        write(handler, "ten", TEN)
        with pytest.raises(OSError, match="No space left"):
            _ballast(folder, 0, 100_000)
        write(handler, "eleven", TEN + HOUR)
        write(handler, "still eleven", TEN + HOUR + 1)
        handler.close()

        assert [getattr(problem, "errno", None) for problem in handler.problems] == [errno.ENOSPC]
        assert files(folder) == {"app.log": ["still eleven"], "app.log.2024-05-17_10": ["ten"]}

    @ARMS
    def test_late_record_that_does_not_fit_leaves_no_empty_backup(
        self, keep_file_open: bool | None, disk: Disk
    ) -> None:
        """P3: an hour without records removes no backup from retention, not even on a full disk."""
        folder = disk("size=64k")
        handler = Watched(folder / "app.log", when="H", utc=True, backupCount=2, keep_file_open=keep_file_open)
        write(handler, "nine", TEN - HOUR)
        write(handler, "ten", TEN)
        with pytest.raises(OSError, match="No space left"):
            _ballast(folder, 0, 100_000)
        write(handler, "eleven", TEN + HOUR)
        write(handler, "twelve", TEN + 2 * HOUR)
        write(handler, "late eleven", TEN + HOUR + 1)
        (folder / ".ballast-0").unlink()
        write(handler, "still twelve", TEN + 2 * HOUR + 1)
        write(handler, "thirteen", TEN + 3 * HOUR)
        handler.close()

        assert files(folder) == {
            "app.log": ["thirteen"],
            "app.log.2024-05-17_10": ["ten"],
            "app.log.2024-05-17_12": ["still twelve"],
        }

    @ARMS
    def test_file_truncated_before_a_torn_record_is_closed_gets_no_hole(
        self, keep_file_open: bool | None, disk: Disk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """P1: a user runs ``: > app.log`` at the moment when a handler closes a torn record."""
        folder = disk("size=64k")
        handler = Watched(folder / "app.log", when="H", utc=True, keep_file_open=keep_file_open)
        write(handler, "before", TEN)
        with pytest.raises(OSError, match="No space left"):
            _ballast(folder, 0, 100_000)

        def too_late(*arguments: Any) -> None:
            os.truncate(folder / "app.log", 0)
            appending.close_torn_record(*arguments)

        monkeypatch.setattr(log_file, "close_torn_record", too_late)
        write(handler, "x" * 5000, TEN + 1)
        handler.close()

        assert b"\0" not in (folder / "app.log").read_bytes()


class TestNoFile:
    """No new file can be created, and the rollover has already moved the old one."""

    @ARMS
    @pytest.mark.parametrize("options", ROLLING)
    def test_rollover_without_a_new_file_loses_only_reported_records(
        self, options: dict[str, Any], keep_file_open: bool | None, writers: Callable[..., Writers], disk: Disk
    ) -> None:
        """P1, P4: records continue in the moved file; if each record opens the file, they are reported.

        Later new files are possible, and the file rolls over again.
        """
        folder = disk("size=64m,nr_inodes=1000")
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        team.start()
        ballast = _use_up_inodes(folder)
        team.wait_for_reports()
        team.wait_for_a_while(3 * NOTICED)
        full = _files(folder)
        for path in ballast:
            path.unlink()
        wait_until(lambda: len(_files(folder)) > len(full) + 3)
        found = account_for(team.finish(), contents_of(folder))
        missing = set(found.reported).difference(*found.held.values())

        assert found.is_perfect(), str(found)
        assert not missing


def _files(folder: pathlib.Path) -> set[str]:
    """Return the paths of the log file and its backups."""
    return {str(path) for path in folder.glob("app.log*")}
