"""The disk is full, also in the middle of a rollover, and then there is room again.

Every record that the handler did not report stands in one file, whole; those it reported are missing, or whole all the
same. What a full disk let through of a record is gone, or stands on a line of its own (docs/guarantees.md, "A full
disk").
"""

import contextlib
import errno
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

from concurrent_log.files import open_file
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
    """Return a function that makes a small disk, with the options that tmpfs(5) takes, and returns its folder."""

    def make(options: str) -> pathlib.Path:
        folder = tmp_path / "disk"
        folder.mkdir()
        mount(folder, "-t", "tmpfs", "-o", options, "tmpfs")
        return folder

    return make


def _ballast(folder: pathlib.Path, number: int, size: int) -> pathlib.Path:
    """Take up room."""
    path = folder / f".ballast-{number}"
    path.write_bytes(b"\0" * size)
    return path


def _use_up_inodes(folder: pathlib.Path) -> list[pathlib.Path]:
    """Make empty files until there is no room for another one."""
    made: list[pathlib.Path] = []
    with contextlib.suppress(OSError):
        while True:
            made.append(_ballast(folder, len(made), 0))
    assert os.statvfs(folder).f_ffree == 0
    return made


def _assert_nothing_glued(found: Account) -> None:
    """Check that records that were not reported are there, whole, and that what is torn is a piece of one record."""
    assert found._replace(torn={}).is_perfect(), str(found)
    assert found.unexplained() == [], str(found)


class TestNoRoom:
    """No block is left for a record."""

    @ARMS
    @pytest.mark.parametrize("options", STEADY + ROLLING)
    def test_full_disk_costs_only_the_records_that_are_reported(
        self, options: dict[str, Any], keep_file_open: bool | None, writers: Callable[..., Writers], disk: Disk
    ) -> None:
        """P1, P4: three times full, three times freed; nothing raised, nothing glued, and every loss is reported."""
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
    def test_disk_that_is_full_at_a_rollover_costs_only_the_records_that_are_reported(
        self, options: dict[str, Any], keep_file_open: bool | None, writers: Callable[..., Writers], disk: Disk
    ) -> None:
        """P1, P3, P4: a new file that has no room for its first record takes the next ones when there is room."""
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
    def test_lock_file_without_room_for_its_state_costs_no_record(
        self, keep_file_open: bool | None, is_there: bool, disk: Disk
    ) -> None:
        """P4: what fits into the log file is written, the cause is reported once, and later the file rolls over."""
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
    def test_rollover_makes_room_by_retention(self, keep_file_open: bool | None, disk: Disk) -> None:
        """P4: the record that rolls a full disk over is reported; the backups that go then are room for the next."""
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
    def test_late_record_that_does_not_fit_makes_no_empty_backup(self, keep_file_open: bool | None, disk: Disk) -> None:
        """P3: an hour without records pushes no backup out of retention, on a full disk either."""
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
    def test_file_truncated_before_half_a_record_is_removed_gets_no_hole(
        self, keep_file_open: bool | None, disk: Disk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """P1: somebody makes room with ``: > app.log`` just when a handler removes what did not fit."""
        folder = disk("size=64k")
        handler = Watched(folder / "app.log", when="H", utc=True, keep_file_open=keep_file_open)
        write(handler, "before", TEN)
        with pytest.raises(OSError, match="No space left"):
            _ballast(folder, 0, 100_000)

        def too_late(*arguments: Any) -> None:
            os.truncate(folder / "app.log", 0)
            appending.remove_torn_record(*arguments)

        monkeypatch.setattr(open_file, "remove_torn_record", too_late)
        write(handler, "x" * 5000, TEN + 1)
        handler.close()

        assert b"\0" not in (folder / "app.log").read_bytes()


class TestNoFile:
    """No new file can be made, and the rollover has moved the old one aside already."""

    @ARMS
    @pytest.mark.parametrize("options", ROLLING)
    def test_rollover_without_a_new_file_costs_only_the_records_that_are_reported(
        self, options: dict[str, Any], keep_file_open: bool | None, writers: Callable[..., Writers], disk: Disk
    ) -> None:
        """P1, P4: records go on in the file that was moved aside; where each record opens the file, they are reported.

        Later there is room for files, and the file rolls over again.
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
