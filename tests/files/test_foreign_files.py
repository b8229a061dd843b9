"""Links, pipes and devices in the places of a handler's files: another user may write to the folder."""

import gzip
import os
import pathlib
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable

import pytest

from concurrent_log.files import compression
from concurrent_log.files.gzip_members import end_of_last_member
from support.records import HOUR, TEN, Watched, WatchedBySize, wait_until, write

if sys.platform == "win32":
    pytest.skip("Windows has no such links", allow_module_level=True)

_SECRET = "only for root"
_NINE, _TEN = "app.log.2024-05-17_09", "app.log.2024-05-17_10"


def _link(place: pathlib.Path, victim: pathlib.Path) -> None:
    place.symlink_to(victim)


def _link_of_a_link(place: pathlib.Path, victim: pathlib.Path) -> None:
    (victim.parent / "between").symlink_to(victim)
    place.symlink_to(victim.parent / "between")


def _link_to_a_device(place: pathlib.Path, victim: pathlib.Path) -> None:
    place.symlink_to("/dev/zero")


def _pipe(place: pathlib.Path, victim: pathlib.Path) -> None:
    os.mkfifo(place)


_KINDS = pytest.mark.parametrize("plant", [_link, _link_of_a_link, _link_to_a_device, _pipe])
_Plant = Callable[[pathlib.Path, pathlib.Path], None]


@pytest.fixture
def victim(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """Return a file of somebody else, outside the folder of the log."""
    path = tmp_path_factory.mktemp("elsewhere") / "victim"
    path.write_text(_SECRET)
    return path


@pytest.fixture(autouse=True)
def no_notice_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the compressor not wait until writers notice a removed lock file."""
    monkeypatch.setattr(compression, "_NOTICE_SECONDS", 0.0)


def _is_quiet() -> bool:
    return not any(thread.name == "concurrent-log-gzip" for thread in threading.enumerate())


def _regular_content(folder: pathlib.Path) -> str:
    """Return what the log and its backups in a folder contain, decompressed, without links."""
    files = [path for path in sorted(folder.glob("app.log*")) if path.is_file() and not path.is_symlink()]
    contents = [path.read_bytes() for path in files]
    return "".join(
        (gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content).decode("latin-1")
        for content in contents
    )


@_KINDS
@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("keep_file_open", [True, False])
def test_late_record_does_not_leave_the_folder(
    tmp_path: pathlib.Path, victim: pathlib.Path, plant: _Plant, suffix: str, keep_file_open: bool
) -> None:
    """It is written into the current file, and the obstacle is reported."""
    handler = Watched(tmp_path / "app.log", utc=True, keep_file_open=keep_file_open)
    write(handler, "ten", TEN)
    plant(tmp_path / f"{_NINE}{suffix}", victim)
    write(handler, "late for nine", TEN - HOUR)
    write(handler, "ten again", TEN)
    handler.close()

    assert victim.read_text() == _SECRET
    assert (tmp_path / "app.log").read_text().split("\n")[:-1] == ["ten", "late for nine", "ten again"]
    assert ["remove it" in str(problem) for problem in handler.problems] == [True]


@_KINDS
def test_backup_of_somebody_else_is_not_compressed(tmp_path: pathlib.Path, victim: pathlib.Path, plant: _Plant) -> None:
    """A link with the name of a backup would be copied into a file that others may read."""
    handler = Watched(tmp_path / "app.log", utc=True, use_gzip=True)
    write(handler, "ten", TEN)
    plant(tmp_path / _NINE, victim)
    write(handler, "eleven", TEN + HOUR)
    wait_until(_is_quiet)
    handler.close()

    assert _SECRET not in _regular_content(tmp_path)
    assert gzip.decompress((tmp_path / f"{_TEN}.gz").read_bytes()) == b"ten\n"
    assert victim.read_text() == _SECRET
    assert len(handler.problems) == 1


@_KINDS
def test_compressed_backup_of_somebody_else_is_not_read(
    tmp_path: pathlib.Path, victim: pathlib.Path, plant: _Plant
) -> None:
    """The plain backup stays as it is, beside what has its name."""
    handler = Watched(tmp_path / "app.log", utc=True, use_gzip=True)
    write(handler, "ten", TEN)
    plant(tmp_path / f"{_TEN}.gz", victim)
    write(handler, "eleven", TEN + HOUR)
    wait_until(_is_quiet)
    handler.close()

    assert sorted(_regular_content(tmp_path).split()) == ["eleven", "ten"]
    assert victim.read_text() == _SECRET


@_KINDS
def test_rotator_gets_no_file_of_somebody_else(tmp_path: pathlib.Path, victim: pathlib.Path, plant: _Plant) -> None:
    """A file that an interrupted rollover seems to have left is not given to the program's function."""
    rotated: list[str] = []

    def rotator(source: str, destination: str) -> None:
        rotated.append(pathlib.Path(source).read_text())
        os.rename(source, destination)

    handler = WatchedBySize(tmp_path / "app.log", maxBytes=10, backupCount=3)
    handler.rotator = rotator
    plant(tmp_path / "app.log.rotating", victim)
    for number in range(3):
        write(handler, f"number {number}")
    handler.close()

    assert rotated == []
    assert (tmp_path / "app.log").read_text() == "number 0\nnumber 1\nnumber 2\n"
    assert victim.read_text() == _SECRET
    assert "remove it" in str(handler.problems[0])


@pytest.mark.parametrize("level", [1, 9])
def test_small_file_with_much_in_it_needs_little_memory(tmp_path: pathlib.Path, level: int) -> None:
    """A late record for a compressed backup reads it in parts, whatever it contains."""
    path = tmp_path / "bomb.gz"
    packer = zlib.compressobj(level, wbits=16 + zlib.MAX_WBITS)
    with path.open("wb") as file:
        for _ in range(200):
            file.write(packer.compress(bytes(1 << 20)))
        file.write(packer.flush())
        file.write(b"half a member"[: -file.tell() % 4096])
    size = path.stat().st_size

    tracemalloc.start()
    try:
        end = end_of_last_member(str(path))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert end <= size
    assert gzip.decompress(path.read_bytes()[:end]) == bytes(200 << 20)
    assert peak < 10 << 20


# The log file itself: administrators make it a link.

_STRANGER, _NOBODY = 65533, 65534
_as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root gives files away")


def _link_to_a_missing_file(place: pathlib.Path, victim: pathlib.Path) -> None:
    victim.unlink()
    place.symlink_to(victim)


def _foreign(plant: _Plant, place: pathlib.Path, victim: pathlib.Path, owner: int = _STRANGER) -> None:
    plant(place, victim)
    os.lchown(place, owner, -1)


@_as_root
@pytest.mark.parametrize("delay", [True, False])
@pytest.mark.parametrize("plant", [_link, _link_of_a_link, _link_to_a_device, _link_to_a_missing_file])
def test_link_of_another_user_is_not_the_log_file(
    tmp_path: pathlib.Path, victim: pathlib.Path, plant: _Plant, delay: bool
) -> None:
    """The constructor says whose link it is."""
    _foreign(plant, tmp_path / "app.log", victim)

    with pytest.raises(PermissionError, match=f"link of user {_STRANGER}"):
        Watched(tmp_path / "app.log", delay=delay)
    assert not victim.exists() or victim.read_text() == _SECRET


@_as_root
@pytest.mark.parametrize("plant", [_link, _link_of_a_link, _link_to_a_missing_file])
@pytest.mark.parametrize(
    ("of_link", "of_folder", "configured"), [(0, 0, None), (_NOBODY, _NOBODY, None), (_NOBODY, 0, (_NOBODY, None))]
)
def test_link_of_root_or_of_an_owner_is_followed(
    tmp_path: pathlib.Path,
    victim: pathlib.Path,
    plant: _Plant,
    of_link: int,
    of_folder: int,
    configured: tuple[int, None] | None,
) -> None:
    """So is one that was made by the owner of the folder, or by the configured owner."""
    _foreign(plant, tmp_path / "app.log", victim, of_link)
    os.chown(tmp_path, of_folder, -1)
    handler = Watched(tmp_path / "app.log", owner=configured)
    write(handler, "one")
    handler.close()

    assert victim.read_text().endswith("one\n")
    assert handler.problems == []


def _foreign_link(place: pathlib.Path, victim: pathlib.Path) -> None:
    _foreign(_link, place, victim)


def _link_to_a_pipe(place: pathlib.Path, victim: pathlib.Path) -> None:
    os.mkfifo(victim.parent / "pipe")
    place.symlink_to(victim.parent / "pipe")


@_as_root
@pytest.mark.parametrize("plant", [_foreign_link, _link_to_a_device, _link_to_a_pipe, _pipe])
def test_log_file_that_is_exchanged_while_it_is_open_goes_on(
    tmp_path: pathlib.Path, victim: pathlib.Path, plant: _Plant
) -> None:
    """The records go to the file that was the log, and nothing waits for the reader of a pipe."""
    handler = Watched(tmp_path / "app.log", utc=True, keep_file_open=True)
    write(handler, "before", TEN)
    os.rename(tmp_path / "app.log", tmp_path / "moved")
    plant(tmp_path / "app.log", victim)
    write(handler, "after", TEN + 2)
    write(handler, "later", TEN + 4)
    os.remove(tmp_path / "app.log")
    write(handler, "again", TEN + 6)
    handler.close()

    assert (tmp_path / "moved").read_text() == "before\nafter\nlater\n"
    assert (tmp_path / "app.log").read_text() == "again\n"
    assert victim.read_text() == _SECRET
    assert len(handler.problems) == 1


@_KINDS
def test_lock_file_of_another_kind_is_reported(tmp_path: pathlib.Path, victim: pathlib.Path, plant: _Plant) -> None:
    """The records are written without the lock, and no descriptor is left behind."""
    plant(tmp_path / ".__app.lock", victim)
    handler = Watched(tmp_path / "app.log")
    write(handler, "first")
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for number in range(3):
        write(handler, f"number {number}")
    after = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    handler.close()

    assert (tmp_path / "app.log").read_text() == "first\nnumber 0\nnumber 1\nnumber 2\n"
    assert victim.read_text() == _SECRET
    assert after == before
    assert ["remove it" in str(problem) for problem in handler.problems] == [True]


@_as_root
def test_process_without_privileges_follows_links_of_root_and_its_own(tmp_path: pathlib.Path) -> None:
    """It refuses those of other users, and writes nothing through them."""
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:-1]:
        parent.chmod(parent.stat().st_mode | 0o011)
    for name, owner in (("root", 0), ("own", _NOBODY), ("stranger", _STRANGER)):
        target = tmp_path / f"{name}.target"
        target.touch()
        target.chmod(0o666)
        _foreign(_link, tmp_path / f"{name}.log", target, owner)
    program = (
        "import logging, os, sys\n"
        "from concurrent_log import ConcurrentTimedRotatingFileHandler as Handler\n"
        f"os.setgid({_NOBODY}); os.setuid({_NOBODY})\n"
        "for name in ('root', 'own', 'stranger'):\n"
        "    try:\n"
        "        handler = Handler(f'{name}.log')\n"
        "    except PermissionError as error:\n"
        "        print(name, 'refused', 'link of user' in str(error))\n"
        "    else:\n"
        "        handler.emit(logging.makeLogRecord({'msg': 'one'}))\n"
        "        handler.close()\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert (ran.stdout, ran.stderr) == ("stranger refused True\n", "")
    assert [(tmp_path / f"{name}.target").read_text() for name in ("root", "own", "stranger")] == ["one\n", "one\n", ""]
