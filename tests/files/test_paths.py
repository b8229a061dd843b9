"""Processes reach one log file by different paths: links and mounts.

They must agree on one lock file. The exceptions are in docs/guarantees.md, under "Several paths to one file".
"""

import fcntl
import os
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

from support.records import HOUR, TEN, Watched, wait_until, write
from support.writers import ARMS, NOTICED, ROLLING, ROUNDING, Clock, Writers, account_for, contents_of

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
    pytest.mark.skipif(sys.platform == "win32", reason="links and mounts are others there"),
]


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return the folder of the log file."""
    path = tmp_path / "logs"
    path.mkdir()
    return path


def _lock_files(*folders: pathlib.Path) -> set[tuple[int, int]]:
    found = [path.stat() for folder in folders for path in folder.glob(".__*.lock")]
    return {(status.st_dev, status.st_ino) for status in found}


def _rolled_over(folder: pathlib.Path) -> bool:
    return len(list(folder.glob("app.log.*"))) > 30


def _assert_one_file(team: Writers, folder: pathlib.Path) -> None:
    """Check that all writers shared one log file and rolled it over together."""
    wait_until(lambda: _rolled_over(folder))
    found = account_for(team.finish(), contents_of(folder))
    shared = [calls for calls in found.held.values() if len({call.source for call in calls}) > 1]

    assert found.is_perfect(), str(found)
    assert found.reported == []
    assert shared
    assert not list(folder.glob("*.0001*"))


class TestSymbolicLink:
    """A folder or a file has a second name."""

    @ARMS
    @pytest.mark.parametrize("options", ROLLING)
    @pytest.mark.parametrize("locks", [False, True], ids=["beside", "lock-folder"])
    def test_linked_folder_shares_the_lock_file(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        locks: bool,
        writers: Callable[..., Writers],
        folder: pathlib.Path,
        tmp_path: pathlib.Path,
    ) -> None:
        """P1, P3: through the folder, a link to it and a link to the link, processes roll over once."""
        (tmp_path / "link").symlink_to(folder)
        (tmp_path / "link-of-link").symlink_to("link")
        lock_folder = tmp_path / "locks" if locks else folder
        if locks:
            options = {**options, "lock_file_directory": str(lock_folder)}
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        team.start(*(path / "app.log" for path in (folder, tmp_path / "link", tmp_path / "link-of-link")))
        _assert_one_file(team, folder)

        assert len(_lock_files(lock_folder)) == 1

    @ARMS
    @pytest.mark.parametrize("options", ROLLING)
    def test_linked_folder_may_be_replaced(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        clock: Clock,
        folder: pathlib.Path,
        tmp_path: pathlib.Path,
    ) -> None:
        """P1, P4: a deployment points the link at another folder, and within a second the records go there."""
        link, other = tmp_path / "current", tmp_path / "other"
        other.mkdir()
        link.symlink_to(folder)
        team = writers(link / "app.log", **options, keep_file_open=keep_file_open)
        team.start()
        (tmp_path / "next").symlink_to(other)
        os.replace(tmp_path / "next", link)
        moment = clock.time()
        team.wait_for_a_while(3 * NOTICED)
        found = account_for(team.finish(), contents_of(folder, other))
        old = [call for name, calls in found.held.items() if name.startswith(str(folder)) for call in calls]

        assert found.is_perfect(), str(found)
        assert found.reported == []
        assert max(call.created for call in old) < moment + NOTICED + ROUNDING
        assert any(name.startswith(str(other)) for name in found.held)

    def test_replaced_folder_has_one_lock_file_for_old_and_new_processes(
        self, folder: pathlib.Path, tmp_path: pathlib.Path
    ) -> None:
        """P3: a process from before the replacement waits for the lock of one that started after it."""
        link, other = tmp_path / "current", tmp_path / "other"
        other.mkdir()
        link.symlink_to(folder)
        old = Watched(link / "app.log", when="H", utc=True, lock_timeout=0.01)
        write(old, "before", TEN)
        link.unlink()
        link.symlink_to(other)
        write(old, "after", TEN + HOUR)
        (other / ".__app.lock").touch()  # A new process would create it here.
        with open(other / ".__app.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            write(old, "while the other rolls over", TEN + 2 * HOUR)
        old.close()

        assert [type(problem) for problem in old.problems] == [TimeoutError]

    @ARMS
    @pytest.mark.parametrize("options", ROLLING)
    def test_linked_file_shares_the_lock_file(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        folder: pathlib.Path,
        tmp_path: pathlib.Path,
    ) -> None:
        """P1, P3: a link to the file itself, from another folder, uses the file's own lock file and backups."""
        link = tmp_path / "link.log"
        link.symlink_to(folder / "app.log")
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        team.start(link, folder / "app.log", link)
        _assert_one_file(team, folder)

        assert link.is_symlink()
        assert len(_lock_files(folder, tmp_path)) == 1


class TestMount:
    """A folder or a file is mounted at a second place."""

    @ARMS
    @pytest.mark.parametrize("options", ROLLING)
    def test_mounted_folder_shares_the_lock_file(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        mount: Callable[..., None],
        folder: pathlib.Path,
        tmp_path: pathlib.Path,
    ) -> None:
        """P1, P3: two containers see a volume at different places, and both roll the file over."""
        (tmp_path / "volume").mkdir()
        mount(tmp_path / "volume", "--bind", str(folder))
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        team.start(folder / "app.log", tmp_path / "volume" / "app.log", folder / "app.log")
        _assert_one_file(team, folder)

        assert len(_lock_files(folder, tmp_path / "volume")) == 1

    def test_mounted_folder_has_its_own_lock_files_in_lock_file_directory(
        self, mount: Callable[..., None], folder: pathlib.Path, tmp_path: pathlib.Path
    ) -> None:
        """P7: the limit that the docs state; these lock files are named after the path of the folder."""
        (tmp_path / "volume").mkdir()
        mount(tmp_path / "volume", "--bind", str(folder))
        for path in (folder, tmp_path / "volume"):
            handler = Watched(path / "app.log", when="H", lock_file_directory=tmp_path / "locks")
            write(handler, "hello")
            handler.close()

        assert len(_lock_files(tmp_path / "locks")) == 2

    @ARMS
    @pytest.mark.parametrize("options", ROLLING)
    def test_mounted_file_is_written_and_stays(
        self,
        options: dict[str, Any],
        keep_file_open: bool | None,
        writers: Callable[..., Writers],
        mount: Callable[..., None],
        folder: pathlib.Path,
    ) -> None:
        """P1, P4: a file that is itself a mount cannot be renamed: each process reports it once, and continues."""
        (folder / "outer.log").touch()
        (folder / "app.log").touch()
        mount(folder / "app.log", "--bind", str(folder / "outer.log"))
        team = writers(folder / "app.log", **options, keep_file_open=keep_file_open)
        team.start()
        team.wait_for_reports()
        team.wait_for_a_while(3 * NOTICED)
        found = account_for(team.finish(), contents_of(folder))

        assert found.is_perfect(), str(found)
        assert len(found.reported) == 3
        assert os.path.samefile(folder / "app.log", folder / "outer.log")


class TestHardLink:
    """A file has two equal names: the only promise is that no record is lost."""

    @pytest.mark.parametrize("options", ROLLING)
    def test_second_name_loses_nothing(
        self, options: dict[str, Any], writers: Callable[..., Writers], folder: pathlib.Path
    ) -> None:
        """P1: each name has a lock file and backups of its own; every record is in one file."""
        (folder / "app.log").touch()
        os.link(folder / "app.log", folder / "other.log")
        team = writers(folder / "app.log", **options)
        team.start(folder / "app.log", folder / "other.log", folder / "app.log", folder / "other.log")
        wait_until(lambda: _rolled_over(folder))
        found = account_for(team.finish(), contents_of(folder))

        assert found.is_perfect(), str(found)
        assert found.reported == []
        assert len(_lock_files(folder)) == 2
