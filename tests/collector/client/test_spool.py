"""The spool: logged records survive a kill, an unreachable server and a bad disk, and are stored once."""

import contextlib
import logging
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.fake_collector import DEADLINE, Collector, Request, is_half_written
from support.processes import environment

pytest.importorskip("msgspec")
pytest.importorskip("urllib3")
pytest.importorskip("tenacity")

from concurrent_log.collector import CollectorHandler
from concurrent_log.collector.client.queue.segment import SpoolSegment, line_of

_UNREACHABLE = "http://127.0.0.1:9"  # no server listens here
_BEGINNING = """
import logging, os, signal, sys, time
from concurrent_log.collector import CollectorHandler
logger = logging.getLogger("app")
logger.setLevel(logging.INFO)
def attach(url, **options):
    handler = CollectorHandler(url, spool_directory="spool", **{"flush_interval": 0.05, **options})
    logger.handlers = [handler]
    return handler
def log(source, count):
    for number in range(count):
        logger.info("%s %d", source, number)
"""


def run(folder: Path, text: str, status: int = 0) -> "subprocess.CompletedProcess[str]":
    """Run a program that logs to a spool."""
    command = [sys.executable, "-c", _BEGINNING + textwrap.dedent(text)]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def numbered(source: str, count: int) -> list[str]:
    """Return the messages of ``log(source, count)``."""
    return [f"{source} {number}" for number in range(count)]


def send_orphans(folder: Path, collector: Collector) -> CollectorHandler:
    """Log one record with the spool of dead processes, and wait until all records are sent."""
    handler = CollectorHandler(collector.url, spool_directory=folder / "spool", flush_interval=0.05)
    handler.handle(logging.makeLogRecord({"msg": "living"}))
    handler.flush(DEADLINE)
    handler.close()
    assert handler.stats().queued == 0
    return handler


def left(folder: Path) -> list[str]:
    """Return the names of the files in the spool."""
    return sorted(path.name for path in (folder / "spool").iterdir())


def segments(folder: Path) -> list[Path]:
    """Return the segments in the spool."""
    return sorted((folder / "spool").glob("*.spool"))


_KILL = "os.kill(os.getpid(), signal.SIGKILL)"
_needs_sigkill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this platform knows no SIGKILL")


class TestSurvival:
    """A record whose logging call returned is sent, even if the process is killed."""

    @_needs_sigkill
    def test_killed_process_loses_nothing(self, tmp_path: Path, collector: Collector) -> None:
        """The server was never reachable; the next process sends all records."""
        run(tmp_path, f"attach({_UNREACHABLE!r}); log('killed', 2500); {_KILL}", -signal.SIGKILL)
        send_orphans(tmp_path, collector)

        assert collector.messages == [*numbered("killed", 2500), "living"]
        assert left(tmp_path) == []

    @_needs_sigkill
    def test_batch_stored_before_the_kill_is_stored_once(self, tmp_path: Path, collector: Collector) -> None:
        """The batch is sent again with the same id and the same records, although others were logged after it."""
        collector.behave = lambda request: "lose"
        script = f"attach({collector.url!r}, batch_size=300, flush_interval=3600.0); log('first', 300)\n"
        script += "while not os.path.exists('go'): time.sleep(0.01)\n"
        script += f"log('second', 300); {_KILL}"
        with subprocess.Popen([sys.executable, "-c", _BEGINNING + script], cwd=tmp_path, env=environment()):
            collector.wait_for(300)
            (tmp_path / "go").touch()
        collector.behave = lambda request: None
        send_orphans(tmp_path, collector)

        assert collector.messages == [*numbered("first", 300), *numbered("second", 300), "living"]

    def test_exit_with_an_unreachable_server_prints_the_number_of_records(
        self, tmp_path: Path, collector: Collector
    ) -> None:
        """The exit takes a limited time, and loses nothing."""
        done = run(tmp_path, f"attach({_UNREACHABLE!r}); log('waiting', 50)")
        send_orphans(tmp_path, collector)

        assert "50 records for http://127.0.0.1:9/logs stay in " in done.stderr
        assert collector.messages == [*numbered("waiting", 50), "living"]

    def test_healthy_run_leaves_no_file(self, tmp_path: Path, collector: Collector) -> None:
        """Acknowledged records are removed."""
        done = run(tmp_path, f"attach({collector.url!r}); log('sent', 1000)")

        assert sorted(collector.messages) == sorted(numbered("sent", 1000))
        assert left(tmp_path) == []
        assert done.stderr == ""

    def test_living_process_keeps_its_spool(self, tmp_path: Path, collector: Collector) -> None:
        """Another process adopts the records of dead processes only."""
        waiting = CollectorHandler(_UNREACHABLE, spool_directory=tmp_path / "spool", flush_interval=3600.0)
        waiting.handle(logging.makeLogRecord({"msg": "mine"}))
        send_orphans(tmp_path, collector)

        assert collector.messages == ["living"]
        assert len(segments(tmp_path)) == 1
        waiting.close()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform cannot fork")
    def test_forked_child_has_its_own_spool(self, tmp_path: Path, collector: Collector) -> None:
        """Neither of parent and child sends the records of the other."""
        run(
            tmp_path,
            f"""
            import warnings
            warnings.simplefilter("ignore", DeprecationWarning)
            attach({collector.url!r})
            log("before", 100)
            pid = os.fork()
            log("child" if pid == 0 else "parent", 100)
            if pid == 0:
                logger.handlers[0].close()
                os._exit(0)
            os.waitpid(pid, 0)
            """,
        )

        sent = [*numbered("before", 100), *numbered("child", 100), *numbered("parent", 100)]
        assert sorted(collector.messages) == sorted(sent)
        assert left(tmp_path) == []


@pytest.mark.slow
@_needs_sigkill
@pytest.mark.parametrize("rounds", [12, pytest.param(400, marks=[pytest.mark.long, pytest.mark.timeout(1800)])])
def test_random_kills_lose_nothing_and_store_nothing_twice(tmp_path: Path, collector: Collector, rounds: int) -> None:
    """Concurrent processes are killed; the server drops connections after it has stored, or is too busy.

    A record counts as logged if the process has printed its number after the call.
    """
    chance = random.Random(rounds)
    outcomes: list[Any] = [None, None, None, "lose", "lose", (503, {"Retry-After": "0"}), (500, {})]
    collector.behave = lambda request: (413, {}) if len(request.body["logs"]) > 15 else chance.choice(outcomes)
    script = f"""
attach({collector.url!r}, batch_size=20)
number = 0
while True:
    logger.info("%s %d", sys.argv[1], number)
    os.write(1, b"%d\\n" % number)
    number += 1
    time.sleep(0.0005)
"""
    logged: Counter[str] = Counter()
    for turn in range(rounds):
        command = [sys.executable, "-c", _BEGINNING + script]
        both = [
            subprocess.Popen([*command, f"{turn}{side}"], cwd=tmp_path, env=environment(), stdout=subprocess.PIPE)
            for side in "ab"
        ]
        for side, process in zip("ab", both, strict=True):
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(chance.uniform(0, 0.2))
            process.kill()
            lines = process.communicate(timeout=DEADLINE)[0].splitlines()
            logged[f"{turn}{side}"] = int(lines[-1]) if lines else 0
    collector.behave = lambda request: None
    send_orphans(tmp_path, collector)
    stored = Counter(collector.messages)

    assert {text for text, times in stored.items() if times > 1} == set()
    assert {f"{source} {n}" for source, last in logged.items() for n in range(last + 1)} - stored.keys() == set()
    assert [name for name in left(tmp_path) if not is_half_written(tmp_path / "spool" / name)] == []


class TestBadFiles:
    """A torn or corrupt segment loses its bad records only."""

    def spooled(self, folder: Path, count: int = 100) -> Path:
        """Return the segment of a process that could not send ``count`` records."""
        run(folder, f"attach({_UNREACHABLE!r}); log('kept', {count})")
        return segments(folder)[0]

    def test_segment_with_a_torn_last_record_is_renamed(self, tmp_path: Path, collector: Collector) -> None:
        """The machine crashed during a write."""
        segment = self.spooled(tmp_path)
        segment.write_bytes(segment.read_bytes()[:-10])
        handler = send_orphans(tmp_path, collector)

        assert collector.messages == [*numbered("kept", 99), "living"]
        assert left(tmp_path) == [segment.with_suffix(".corrupt").name]
        assert is_half_written(segment.with_suffix(".corrupt"))
        assert handler.stats().dropped == {"corrupt in the spool": 1}

    @_needs_sigkill
    def test_segment_truncated_after_the_server_stored_it_stores_nothing_twice(
        self, tmp_path: Path, collector: Collector
    ) -> None:
        """The batch was in flight when the process was killed; it keeps its id, although it is shorter now."""
        collector.behave = lambda request: "lose"
        script = (
            f"attach({collector.url!r}, batch_size=100, flush_interval=3600.0); log('kept', 100)\n"
            f"while not os.path.exists('go'): time.sleep(0.01)\n{_KILL}"
        )
        process = subprocess.Popen([sys.executable, "-c", _BEGINNING + script], cwd=tmp_path, env=environment())
        collector.wait_for(100)
        (tmp_path / "go").touch()
        process.wait(DEADLINE)
        collector.behave = lambda request: None
        (segment,) = segments(tmp_path)
        segment.write_bytes(segment.read_bytes()[:-500])
        send_orphans(tmp_path, collector)

        assert collector.messages == [*numbered("kept", 100), "living"]

    @_needs_sigkill
    @pytest.mark.parametrize(
        "damage",
        [lambda content: content.replace(b"kept 10", b"kept I0"), lambda content: content[:-500]],
        ids=["a byte", "the end"],
    )
    def test_damaged_divided_batch_stores_nothing_twice(
        self, tmp_path: Path, collector: Collector, damage: Callable[[bytes], bytes]
    ) -> None:
        """The halves were in flight when the process was killed; after the damage they have the same ids."""

        def behave(request: Request) -> "tuple[int, dict[str, str]] | str | None":
            count = len(request.body["logs"])
            return (413, {}) if count > 60 else "lose" if len(collector.batches) else None

        collector.behave = behave
        script = (
            f"attach({collector.url!r}, batch_size=100, flush_interval=3600.0); log('kept', 100)\n"
            f"while not os.path.exists('go'): time.sleep(0.01)\n{_KILL}"
        )
        process = subprocess.Popen([sys.executable, "-c", _BEGINNING + script], cwd=tmp_path, env=environment())
        collector.wait_for(100)
        (tmp_path / "go").touch()
        process.wait(DEADLINE)
        collector.behave = lambda request: None
        (segment,) = segments(tmp_path)
        segment.write_bytes(damage(segment.read_bytes()))
        send_orphans(tmp_path, collector)

        assert collector.messages == [*numbered("kept", 100), "living"]
        assert left(tmp_path) == [segment.with_suffix(".corrupt").name]

    def test_corrupt_record_loses_no_other(self, tmp_path: Path, collector: Collector) -> None:
        """One character is wrong, in the middle of the file."""
        segment = self.spooled(tmp_path)
        segment.write_bytes(segment.read_bytes().replace(b"kept 50", b"kept 5O"))
        send_orphans(tmp_path, collector)

        assert collector.messages == [*(text for text in numbered("kept", 100) if text != "kept 50"), "living"]
        assert left(tmp_path) == [segment.with_suffix(".corrupt").name]
        assert not is_half_written(segment.with_suffix(".corrupt"))

    @pytest.mark.parametrize(
        "content", [b"", b"\0" * 5000, b"no segment\n", b"\n\n\n"], ids=["empty", "zeros", "text", "lines"]
    )
    def test_segment_without_a_good_record_loses_no_other(
        self, tmp_path: Path, collector: Collector, content: bytes
    ) -> None:
        """The other segments are sent."""
        segment = self.spooled(tmp_path)
        segment.with_name(segment.name.replace("000001", "000000")).write_bytes(content)
        send_orphans(tmp_path, collector)

        assert collector.messages == [*numbered("kept", 100), "living"]

    def test_corrupt_journal_loses_nothing(self, tmp_path: Path, collector: Collector) -> None:
        """All records are sent again, because it is unknown which ones were sent."""
        segment = self.spooled(tmp_path)
        segment.with_suffix(".sent").write_bytes(b"begin 99999999 999999999\nbegin x\ndone")
        send_orphans(tmp_path, collector)

        assert collector.messages == [*numbered("kept", 100), "living"]

    @pytest.mark.parametrize("lost", ["begin", "divide"])
    def test_no_step_is_noted_after_one_that_could_not_be_written(self, tmp_path: Path, lost: str) -> None:
        """The disk is full for a moment; after a crash, records that are not noted as settled are sent again."""
        path = self.spooled(tmp_path)
        journal, aside = path.with_suffix(".sent"), tmp_path / "aside"
        journal.unlink(missing_ok=True)

        @contextlib.contextmanager
        def full(is_full: bool) -> Iterator[None]:
            if is_full:
                journal.rename(aside)
                journal.mkdir()
            yield
            if is_full:
                journal.rmdir()
                aside.rename(journal)

        segment = SpoolSegment.recover(path, b"{}")
        part = segment.take(60)
        segment.settle(part.stop)
        with full(lost == "begin"):
            batch = segment.batch(segment.take(40))
        with full(lost == "divide"):
            batch.divide()
        batch.pop()
        after = SpoolSegment.recover(path, b"{}")
        recovered = after.batch(after.take(1000))

        assert recovered.id == batch.id
        assert recovered.pending() == 40

    def test_removed_folder_is_created_again(self, tmp_path: Path, collector: Collector) -> None:
        """Records logged after the removal of the folder are sent."""
        collector.behave = lambda request: (503, {})
        handler = CollectorHandler(collector.url, spool_directory=tmp_path / "spool", spool_bytes=4000)
        handler.handle(logging.makeLogRecord({"msg": "in flight"}))
        collector.wait_until(lambda: len(collector.requests) > 0)
        for number in range(3):
            handler.handle(logging.makeLogRecord({"msg": f"removed {number}"}))
        for path in (tmp_path / "spool").iterdir():
            path.unlink()
        (tmp_path / "spool").rmdir()
        for number in range(20):
            handler.handle(logging.makeLogRecord({"msg": f"later {number}"}))
        collector.behave = lambda request: None
        handler.flush(DEADLINE)
        handler.close()
        stats = handler.stats()

        assert "in flight" in collector.messages
        assert "later 19" in collector.messages
        assert len(collector.messages) + sum(stats.dropped.values()) == 24


class TestLimits:
    """The limit of the spool, and disks that are full or read-only."""

    def test_full_spool_drops_the_oldest_records(self, tmp_path: Path, collector: Collector) -> None:
        """The limit is respected, and the losses are counted."""
        handler = CollectorHandler(_UNREACHABLE, spool_directory=tmp_path / "spool", spool_bytes=100_000)
        for number in range(2000):
            handler.handle(logging.makeLogRecord({"msg": f"record {number}"}))
        size = sum(path.stat().st_size for path in segments(tmp_path))
        stats = handler.stats()
        handler.close()
        send_orphans(tmp_path, collector)
        sent = collector.messages[:-1]

        assert size <= 100_000
        assert stats.dropped["spool full"] > 0
        assert len(set(sent)) == len(sent) == 2000 - stats.dropped["spool full"]
        assert sent[-1] == "record 1999"

    def test_records_are_queued_in_memory_if_the_disk_is_full(
        self, tmp_path: Path, collector: Collector, mount: Callable[..., None], capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Nothing is lost, and one line is printed."""
        folder = tmp_path / "spool"
        folder.mkdir()
        mount(folder, "-t", "tmpfs", "-o", "size=64k", "tmpfs")
        handler = CollectorHandler(collector.url, spool_directory=folder, flush_interval=3600.0, batch_size=5000)
        for number in range(2000):
            handler.handle(logging.makeLogRecord({"msg": f"record {number}"}))

        assert handler.flush(DEADLINE)
        handler.close()
        assert Counter(collector.messages) == Counter(f"record {number}" for number in range(2000))
        assert capfd.readouterr().err.count("cannot write to the spool") == 1

    def test_records_are_queued_in_memory_if_the_spool_is_read_only(
        self, tmp_path: Path, collector: Collector, mount: Callable[..., None], capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Nothing is lost, and one line is printed."""
        folder = tmp_path / "spool"
        folder.mkdir()
        mount(folder, "-t", "tmpfs", "-o", "ro", "tmpfs")
        handler = CollectorHandler(collector.url, spool_directory=folder, flush_interval=0.05)
        for number in range(100):
            handler.handle(logging.makeLogRecord({"msg": f"record {number}"}))

        assert handler.flush(DEADLINE)
        handler.close()
        assert collector.messages == [f"record {number}" for number in range(100)]
        assert capfd.readouterr().err.count("cannot write to the spool") == 1

    def test_file_in_place_of_the_folder_raises(self, tmp_path: Path) -> None:
        """The constructor raises immediately."""
        (tmp_path / "spool").touch()

        with pytest.raises(NotADirectoryError, match="spool_directory"):
            CollectorHandler(_UNREACHABLE, spool_directory=tmp_path / "spool")


def _link(path: Path) -> None:
    path.with_suffix(".target").write_text("untouched")
    path.symlink_to(path.with_suffix(".target"))


@pytest.mark.skipif(os.name == "nt", reason="Windows has no FIFOs")
@pytest.mark.parametrize("suffix", [".lock", "-000001.spool", "-000001.sent"])
@pytest.mark.parametrize("put", [os.mkfifo, _link, Path.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_something_else_in_the_folder_is_left_alone(
    tmp_path: Path, collector: Collector, put: Callable[[Path], None], suffix: str
) -> None:
    """A FIFO, a link or a folder neither stops sending nor is written, read or removed."""
    name = "0" * 32
    folder = tmp_path / "spool"
    folder.mkdir(0o700)
    (folder / f"{name}.lock").touch()
    strange = folder / f"{name}{suffix}"
    if suffix == ".lock":
        strange.unlink()
    put(strange)
    handler = CollectorHandler(collector.url, spool_directory=folder)
    handler.emit(logging.makeLogRecord({"msg": "sent"}))
    is_flushed = handler.flush(DEADLINE)
    handler.close()

    assert is_flushed
    assert collector.messages == ["sent"]
    for target in folder.glob("*.target"):
        assert target.read_text() == "untouched"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="only root can create files of another user")
def test_forged_records_of_another_user_are_not_sent(tmp_path: Path, collector: Collector) -> None:
    """Only segments of this user are adopted."""
    name, folder = "0" * 32, tmp_path / "spool"
    folder.mkdir(0o700)
    (folder / f"{name}.lock").touch()
    forged = folder / f"{name}-000001.spool"
    forged.write_bytes(line_of(b"{}") + line_of(b'{"message":"forged"}'))
    os.chown(forged, 65534, 65534)
    handler = CollectorHandler(collector.url, spool_directory=folder)
    handler.emit(logging.makeLogRecord({"msg": "own"}))
    is_flushed = handler.flush(DEADLINE)
    handler.close()

    assert is_flushed
    assert collector.messages == ["own"]
    assert forged.exists()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("mode", [0o777, 0o702])
def test_folder_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    """The error names the remedy."""
    folder = tmp_path / "spool"
    folder.mkdir()
    folder.chmod(mode)

    with pytest.raises(PermissionError, match="other users may write to spool_directory"):
        CollectorHandler("http://127.0.0.1:1", spool_directory=folder)
