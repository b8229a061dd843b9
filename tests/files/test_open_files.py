"""Which writers close their files: those that were used least recently, never one that is in use."""

import errno
import gc

import pytest

from concurrent_log.files.open_files import OpenFiles, open_files, with_room


class _Files:
    """A writer whose files are open until it sets them aside."""

    def __init__(self, files: OpenFiles, is_busy: bool = False) -> None:
        self.reference = files.reference(self)
        self.is_busy = is_busy
        self.is_open = True
        self.asked = 0

    def set_aside(self) -> bool:
        self.asked += 1
        self.is_open = self.is_busy
        return not self.is_busy


def _use(files: OpenFiles, *writers: _Files) -> None:
    for writer in writers:
        writer.is_open = True
        files.used(writer.reference)


def test_least_recently_used_writer_closes_its_files() -> None:
    """Three may be open; the fourth closes the first, and a use makes a writer the most recent one."""
    files = OpenFiles(lambda: 3)
    writers = [_Files(files) for _ in range(5)]
    _use(files, *writers[:3], writers[0], *writers[3:])

    assert [writer.is_open for writer in writers] == [True, False, False, True, True]
    assert len(files) == 3


def test_writer_in_use_keeps_its_files_and_is_not_asked_at_once_again() -> None:
    """The oldest one is in use: the next one closes its files."""
    files = OpenFiles(lambda: 2)
    busy, *others = _Files(files, is_busy=True), _Files(files), _Files(files), _Files(files)
    _use(files, busy, *others)

    assert [writer.is_open for writer in (busy, *others)] == [True, False, False, True]
    assert busy.asked == 1


def test_writers_in_use_are_more_than_may_be_open() -> None:
    """No record waits for a writer: where all are in use, more are open; a use asks few of them."""
    files = OpenFiles(lambda: 2)
    writers = [_Files(files, is_busy=True) for _ in range(50)]
    _use(files, *writers)

    assert all(writer.is_open for writer in writers)
    assert sum(writer.asked for writer in writers) <= 2 * 50


def test_number_that_shrinks_is_reached_step_by_step() -> None:
    """The program lowers its limit: each use closes the files of some others."""
    most = 10
    files = OpenFiles(lambda: most)
    writers = [_Files(files) for _ in range(10)]
    _use(files, *writers)
    most = 3
    for _ in range(10):
        _use(files, writers[-1])

    assert sum(writer.is_open for writer in writers) == 3
    assert writers[-1].is_open


def test_deleted_writer_is_forgotten() -> None:
    """A writer is not kept alive, and leaves nothing behind."""
    files = OpenFiles(lambda: 3)
    writer = _Files(files)
    _use(files, writer)
    del writer
    gc.collect()

    assert len(files) == 0


def test_closed_writer_is_forgotten() -> None:
    """A writer that closed its files itself is not asked."""
    files = OpenFiles(lambda: 1)
    first, second = _Files(files), _Files(files)
    _use(files, first)
    files.closed(first.reference)
    files.closed(first.reference)
    _use(files, second)

    assert first.asked == 0


def test_use_inside_a_use_loses_no_writer() -> None:
    """A writer that logs while it closes its files uses another writer: all are known afterwards."""
    files = OpenFiles(lambda: 2)
    other = _Files(files)

    class Nested(_Files):
        def set_aside(self) -> bool:
            _use(files, other)
            return super().set_aside()

    writers = [Nested(files), _Files(files), _Files(files)]
    _use(files, *writers)
    _use(files, writers[-1])

    assert len(files) == 2
    assert sum(writer.is_open for writer in (*writers, other)) == 2


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_open_is_tried_again_after_others_closed_their_files(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """No descriptor is left: rarely used files are closed, then the file is opened."""
    made = OpenFiles(lambda: 100)
    writers = [_Files(made) for _ in range(3)]
    _use(made, *writers)
    monkeypatch.setattr("concurrent_log.files.open_files.open_files", made)
    failures = [OSError(number, "too many")]

    def opened() -> str:
        if failures:
            raise failures.pop()
        return "open"

    assert with_room(opened) == "open"
    assert not any(writer.is_open for writer in writers)


@pytest.mark.parametrize(("number", "has_others"), [(errno.EACCES, True), (errno.EMFILE, False)])
def test_open_raises_where_closing_does_not_help(
    monkeypatch: pytest.MonkeyPatch, number: int, has_others: bool
) -> None:
    """Another error, or nothing that could be closed: the error goes to the caller, after one attempt."""
    made = OpenFiles(lambda: 100)
    writer = _Files(made, is_busy=not has_others)
    _use(made, writer)
    monkeypatch.setattr("concurrent_log.files.open_files.open_files", made)
    attempts = []

    def opened() -> None:
        attempts.append(1)
        raise OSError(number, "no")

    with pytest.raises(OSError, match="no"):
        with_room(opened)
    assert len(attempts) == 1
    assert writer.is_open


def test_process_may_have_a_quarter_of_its_descriptors() -> None:
    """The limit is read anew, since a program may change it."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(400, hard), hard))
    try:
        assert open_files._most() == 100
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_writer_that_never_opened_its_files_is_forgotten_silently() -> None:
    """A reference whose hash was never needed has none when its writer is gone."""

    class Writer:
        def set_aside(self) -> bool:
            return False

    files, used, unused = OpenFiles(lambda: 10), Writer(), Writer()
    files.used(files.reference(used))
    reference = files.reference(unused)
    del unused

    assert reference() is None
    assert len(files) == 1
