"""Links, pipes and devices in the places of a handler's files: another user may write to the folder."""

import gzip
import os
import pathlib
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
