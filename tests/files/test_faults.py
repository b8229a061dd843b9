"""Every system call of a rollover fails once, and the process is killed before and after each (P1, P3, P4)."""

import os
import pathlib
import tempfile

import pytest

from support.fault_injection import (
    BY_SIZE,
    LIMIT,
    TIMED,
    Calls,
    calls_of_a_rollover,
    make_handler,
    prepare,
    watched_calls,
)
from support.records import HOUR, TEN, all_lines, files, write

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*unclosed file:ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)


def _steps(arms: tuple[str, ...]) -> list[tuple[str, int, str]]:
    steps = []
    for arm in arms:
        with tempfile.TemporaryDirectory() as folder:
            names = calls_of_a_rollover(pathlib.Path(folder), arm)
        steps += [pytest.param(arm, number, id=f"{arm}-{number}-{name}") for number, name in enumerate(names)]
    return steps


STEPS, STEPS_BY_SIZE = _steps(TIMED), _steps(BY_SIZE)


def _count(folder: pathlib.Path) -> dict[str, int]:
    found = all_lines(folder)
    return {line: found.count(line) for line in found}


def test_a_rollover_has_many_steps() -> None:
    """The tests below stop at steps that exist: renaming, creating, writing the state, deleting."""
    names = " ".join(str(step.id) for step in STEPS)

    by_size = [str(step.id) for step in STEPS_BY_SIZE]

    assert len(STEPS) > 40
    assert all(name in names for name in ("move", "open", "pwrite", "remove", "lock", "unlock", "link", "fchmod"))
    assert [name.endswith("-move") for name in by_size].count(True) == 2 * 4  # three backups, the log


@pytest.mark.parametrize(("arm", "step"), STEPS)
def test_failing_call_loses_nothing_and_is_retried(arm: str, step: int, tmp_path: pathlib.Path) -> None:
    """P4: whichever call fails, each record is in exactly one file, and the next period has a file of its own."""
    handler, peer = prepare(tmp_path, arm), make_handler(tmp_path, arm)
    write(peer, "peer ten", TEN)
    with watched_calls(Calls(step, "error")):
        write(handler, "eleven", TEN + HOUR)
    for path in tmp_path.glob("app.log"):
        os.utime(path, (TEN + HOUR, TEN + HOUR))  # as if it were eleven o'clock
    write(handler, "more", TEN + HOUR + 2)
    write(peer, "peer eleven", TEN + HOUR + 3)
    write(handler, "twelve", TEN + 2 * HOUR)
    write(peer, "peer twelve", TEN + 2 * HOUR)
    handler.close()
    peer.close()

    count = _count(tmp_path)
    for name in ("ten", "peer ten", "eleven", "more", "peer eleven", "twelve", "peer twelve"):
        assert count.get(name) == 1, (name, files(tmp_path), handler.problems)
    assert files(tmp_path)["app.log"] == ["twelve", "peer twelve"]
    assert len(handler.problems) <= 2


@pytest.mark.parametrize("fault", ["killed before", "killed after"])
@pytest.mark.parametrize(("arm", "step"), STEPS)
def test_killed_process_loses_nothing_and_others_roll_over(
    arm: str, step: int, fault: str, tmp_path: pathlib.Path
) -> None:
    """P1, P3: wherever a process is killed in a rollover, acknowledged records are there once, and others continue."""
    peer = make_handler(tmp_path, arm)
    write(peer, "peer ten", TEN)
    acknowledged, acknowledge = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            handler = prepare(tmp_path, arm)
            with watched_calls(Calls(step, fault)):
                write(handler, "eleven", TEN + HOUR)
                os.write(acknowledge, b"eleven")
        finally:
            os._exit(0)
    os.close(acknowledge)
    os.waitpid(child, 0)
    returned = os.read(acknowledged, 100) == b"eleven"
    os.close(acknowledged)
    write(peer, "peer eleven", TEN + HOUR + 3)
    write(peer, "twelve", TEN + 2 * HOUR)
    late = make_handler(tmp_path, arm)
    write(late, "late twelve", TEN + 2 * HOUR + 1)
    peer.close()
    late.close()

    count = _count(tmp_path)
    for name in ("ten", "peer ten", "peer eleven", "twelve", "late twelve"):
        assert count.get(name) == 1, (name, files(tmp_path), peer.problems)
    assert count.get("eleven", 0) in ((1,) if returned else (0, 1))
    assert files(tmp_path)["app.log"] == ["twelve", "late twelve"]
    assert {"ten", "peer ten"} <= set(files(tmp_path)["app.log.2024-05-17_10"])
    assert peer.problems + late.problems == []


@pytest.mark.parametrize(("arm", "step"), STEPS_BY_SIZE)
def test_failing_call_loses_nothing_by_size(arm: str, step: int, tmp_path: pathlib.Path) -> None:
    """P4: whichever call fails while backups are renumbered, each record and each kept backup is there once."""
    handler, peer = prepare(tmp_path, arm), make_handler(tmp_path, arm)
    write(peer, "peer ten", TEN)
    with watched_calls(Calls(step, "error")):
        write(handler, "eleven", TEN + HOUR)
    handler._log_file.view = handler._log_file.view._replace(expires=0, closes=0)  # as if the view had expired
    for writer, text in ((handler, "more"), (peer, "peer eleven"), (handler, "twelve"), (peer, "peer twelve")):
        write(writer, text)
    before, count = files(tmp_path), _count(tmp_path)
    write(peer, "x" * LIMIT)  # rolls over again, and deletes what could not be deleted
    handler.close()
    peer.close()

    for name in ("ten", "peer ten", "eleven", "more", "peer eleven", "twelve", "peer twelve", "backup 1"):
        assert count.get(name) == 1, (name, files(tmp_path), handler.problems)
    assert before["app.log"][-2:] == ["twelve", "peer twelve"]
    assert (tmp_path / "app.log.1").stat().st_size < LIMIT
    assert set(files(tmp_path)) == {"app.log", "app.log.1", "app.log.2", "app.log.3"}
    assert len(handler.problems) <= 2


@pytest.mark.parametrize("fault", ["killed before", "killed after"])
@pytest.mark.parametrize(("arm", "step"), STEPS_BY_SIZE)
def test_killed_process_loses_nothing_by_size(arm: str, step: int, fault: str, tmp_path: pathlib.Path) -> None:
    """P1, P3: wherever a process is killed in renumbering, acknowledged records are there once, and others continue."""
    peer = make_handler(tmp_path, arm)
    write(peer, "peer ten", TEN)
    acknowledged, acknowledge = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            handler = prepare(tmp_path, arm)
            with watched_calls(Calls(step, fault)):
                write(handler, "eleven", TEN + HOUR)
                os.write(acknowledge, b"eleven")
        finally:
            os._exit(0)
    os.close(acknowledge)
    os.waitpid(child, 0)
    returned = os.read(acknowledged, 100) == b"eleven"
    os.close(acknowledged)
    for text in ("peer eleven", "twelve"):
        write(peer, text)
    late = make_handler(tmp_path, arm)
    write(late, "peer twelve")
    write(late, "x" * LIMIT)
    peer.close()
    late.close()

    count = _count(tmp_path)
    for name in ("ten", "peer ten", "peer eleven", "twelve", "peer twelve"):
        assert count.get(name) == 1, (name, files(tmp_path), peer.problems)
    assert count.get("eleven", 0) in ((1,) if returned else (0, 1))
    assert files(tmp_path)["app.log"] == ["x" * LIMIT]
    assert all(path.stat().st_size <= LIMIT for path in tmp_path.glob("app.log.?"))
    assert set(files(tmp_path)) <= {"app.log", "app.log.1", "app.log.2", "app.log.3"}
    assert peer.problems + late.problems == []
