"""The collector's torture test: it passes with both databases, it is reproducible, and it notices each problem."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import portalocker
import pytest

if sys.platform != "linux":
    pytest.skip("sends signals, forks, and reads /proc", allow_module_level=True)
for _name in ("asyncpg", "fastapi", "msgspec", "tenacity", "urllib3"):
    pytest.importorskip(_name, reason=f"{_name} is not installed: pip install {_name}")

from support.postgres_cluster import programs
from support.processes import wait_until
from torture import collector_round
from torture.collector_check import check
from torture.collector_plan import Event, Fault, Round, Source, draw
from torture.collector_round import Outcome, run_round

_TORTURE = [str(Path(__file__).parent), "collector"]
_LONG = [pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.mark.slow
@pytest.mark.parametrize("store", ["sqlite", pytest.param("postgres", marks=pytest.mark.long)])
@pytest.mark.parametrize("minutes", [0.1, pytest.param(5, marks=_LONG)])
def test_rounds_have_no_problems(
    tmp_path: Path, store: str, minutes: float, skip_or_fail: Callable[[str], None]
) -> None:
    """No acknowledged record is missing, none is stored twice, and the losses are those that the clients report."""
    if store == "postgres" and programs() is None:
        skip_or_fail("no programs of PostgreSQL found: install it")
    options = ["--minutes", str(minutes), "--seed", "7", "--store", store, "--directory", str(tmp_path)]
    done = subprocess.run([sys.executable, *_TORTURE, *options], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_seed_determines_the_round(store: str) -> None:
    """A round that failed can be repeated."""
    first, second = ([draw(seed, store, can_mount=True) for seed in range(50)] for _ in range(2))

    assert first == second


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Round, Outcome]:
    """Return a round in which a program with a spool is killed, and one without a spool exits."""
    for seconds in (1.5, 6.0, 24.0):  # A busy machine starts programs slowly.
        plan = _round_without_faults(seconds)
        outcome = run_round(plan, tmp_path_factory.mktemp("killed"), None)
        if len(outcome.stored) > 100 and {"p0.0", "p1.0"} <= {name for name, _, _ in outcome.stored}:
            break
    return plan, outcome


def _round_without_faults(seconds: float) -> Round:
    return dataclasses.replace(
        draw(0, "sqlite", can_mount=False),
        seconds=seconds,
        fault_rate=0.0,
        limit=1000,
        bad_rate=0.0,
        servers=1,
        sources=tuple(
            Source("handler", spool, {"flush_interval": 0.05, "batch_size": 300}, 1, False, False, 0.05)
            for spool in (0, None)
        ),
        events=(Event(seconds * 2 / 3, Fault.KILL_CLIENT, 0.1, 0.0),),
    )


@pytest.mark.slow
def test_round_without_faults_has_no_problem(killed: tuple[Round, Outcome]) -> None:
    """All checks pass, and a record that a killed program has spooled is stored."""
    findings = check(*killed)

    assert findings.problems == []
    assert findings.logged == findings.stored > 100
    assert killed[1].killed == {"p0"}


def lose_spooled(outcome: Outcome) -> None:
    """Remove a record of the killed program, and its acknowledgement."""
    lost = next(row for row in outcome.stored if row[0] == "p0.0")
    outcome.stored.remove(lost)
    outcome.proxy.acknowledged.pop((lost[0], lost[1]), None)


def lose_acknowledged(outcome: Outcome) -> None:
    """Remove a record that was acknowledged."""
    outcome.stored.remove(next(row for row in outcome.stored if row[0] == "p1.0"))


def repeat(outcome: Outcome) -> None:
    """Store a record twice."""
    outcome.stored.append(next(row for row in outcome.stored if row[0] == "p1.0"))


def reorder(outcome: Outcome) -> None:
    """Reverse the order of the records."""
    outcome.stored.reverse()


def invent(outcome: Outcome) -> None:
    """Store a record that was never logged."""
    outcome.stored.append(("p1.0", 1_000_000, 1_000_000))


def add_a_loss(outcome: Outcome) -> None:
    """Add a loss on the server that no client reports."""
    outcome.drops += 1
    outcome.killed.clear()


def print_traceback(outcome: Outcome) -> None:
    """Add a traceback to the output."""
    outcome.errors += "Traceback (most recent call last):"


def leave_segment(outcome: Outcome) -> None:
    """Add a segment to a spool."""
    outcome.left["0"] += 1


@pytest.mark.slow
@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lose_spooled, "1 spooled records missing"),
        (lose_acknowledged, "1 records acknowledged but missing"),
        (lose_acknowledged, "p1: logged"),
        (repeat, "1 records stored twice"),
        (reorder, "sources out of order"),
        (invent, "1 records stored but never logged"),
        (add_a_loss, "losses, the server 1"),
        (print_traceback, "error on stderr"),
        (leave_segment, "records left in spool 0: 1"),
    ],
)
def test_check_notices(damage: Callable[[Outcome], None], problem: str, killed: tuple[Round, Outcome]) -> None:
    """Each check fails for the damage that it looks for."""
    plan, outcome = killed
    proxy = dataclasses.replace(outcome.proxy, acknowledged=dict(outcome.proxy.acknowledged))
    damaged = dataclasses.replace(
        outcome, stored=list(outcome.stored), left=dict(outcome.left), killed=set(outcome.killed), proxy=proxy
    )
    try:
        damage(damaged)
        findings = check(plan, damaged)
    finally:
        proxy.stop()

    assert any(problem in text for text in findings.problems), findings.problems


def _is_unlocked(segment: Path) -> bool:
    try:
        with portalocker.Lock(segment.parent / f"{segment.name[:32]}.lock", "ab", timeout=0, fail_when_locked=True):
            return True
    except (OSError, portalocker.exceptions.LockException):
        return False


@pytest.mark.parametrize(
    ("positions", "lost"), [([0.501], 1), ([0.509], 5), ([0.509, 0.509], 7)], ids=["a byte", "the end", "again"]
)
def test_damaged_records_of_a_segment_are_known(tmp_path: Path, positions: list[float], lost: int) -> None:
    """The damaged records are read from the lines before the damage."""
    import logging

    from concurrent_log.collector import CollectorHandler

    handler = CollectorHandler("http://127.0.0.1:9", spool_directory=tmp_path, stop_timeout=0.1)
    for number in range(10):
        handler.handle(logging.makeLogRecord({"msg": "m", "source": "s", "number": number}))
    handler.close()
    (segment,) = tmp_path.glob("*.spool")
    before = segment.read_bytes()
    wait_until(lambda: _is_unlocked(segment))  # The thread ends soon after `close` has given up.
    damaged = [collector_round._damage(tmp_path, position) for position in positions]

    assert len(set().union(*damaged)) == lost
    assert segment.read_bytes() != before
