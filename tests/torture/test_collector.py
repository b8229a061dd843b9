"""The collector's torture test itself: it holds in both stores, it says the same twice, and it sees what is wrong."""

import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("sends signals, forks, and looks at /proc", allow_module_level=True)
for _name in ("asyncpg", "fastapi", "msgspec", "tenacity", "urllib3"):
    pytest.importorskip(_name, reason=f"{_name} is not installed: pip install 'concurrent_log[server]'")


from support.postgres_cluster import programs
from torture import collector_round
from torture.collector_check import check
from torture.collector_plan import Event, Fault, Round, Source, draw
from torture.collector_round import Outcome, play

_TORTURE = [str(Path(__file__).parent), "collector"]
_LONG = [pytest.mark.long, pytest.mark.timeout(1200)]


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
@pytest.mark.parametrize("minutes", [0.1, pytest.param(5, marks=_LONG)])
def test_nothing_is_wrong_after_some_rounds(
    tmp_path: Path, store: str, minutes: float, skip_or_fail: Callable[[str], None]
) -> None:
    """Acknowledged but missing = 0, stored twice = 0, and what is lost is what the clients say, whatever happens."""
    if store == "postgres" and programs() is None:
        skip_or_fail("there is no PostgreSQL whose programs could be started: install it")
    options = ["--minutes", str(minutes), "--seed", "7", "--store", store, "--directory", str(tmp_path)]
    found = subprocess.run([sys.executable, *_TORTURE, *options], cwd=tmp_path, capture_output=True, text=True)

    assert found.returncode == 0, found.stdout + found.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_seed_decides_what_a_round_is(store: str) -> None:
    """A round that failed can be played again."""
    first, second = ([draw(seed, store, can_mount=True) for seed in range(50)] for _ in range(2))

    assert first == second


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Round, Outcome]:
    """Return a round in which a program with a spool is killed, and one without ends by itself."""
    for seconds in (1.5, 6.0, 24.0):  # A machine that is busy takes a while to start programs.
        plan = _calm(seconds)
        outcome = play(plan, tmp_path_factory.mktemp("killed"), None)
        if len(outcome.stored) > 100 and {"p0.0", "p1.0"} <= {name for name, _, _ in outcome.stored}:
            break
    return plan, outcome


def _calm(seconds: float) -> Round:
    return dataclasses.replace(
        draw(0, "sqlite", can_mount=False),
        seconds=seconds,
        trouble=0.0,
        limit=1000,
        poison=0.0,
        servers=1,
        sources=tuple(
            Source("handler", spool, {"flush_interval": 0.05, "batch_size": 300}, 1, False, False, 0.05)
            for spool in (0, None)
        ),
        events=(Event(seconds * 2 / 3, Fault.KILL_CLIENT, 0.1, 0.0),),
    )


def test_round_without_damage_has_no_problem(killed: tuple[Round, Outcome]) -> None:
    """The checks pass where nothing is wrong."""
    found = check(*killed)

    assert found.problems == []
    assert found.logged == found.stored > 100
    assert killed[1].killed == {"p0"}


def lose_spooled(outcome: Outcome) -> None:
    """Lose a record that nobody knows to be acknowledged, of the program that was killed."""
    lost = next(row for row in outcome.stored if row[0] == "p0.0")
    outcome.stored.remove(lost)
    outcome.proxy.acknowledged.pop((lost[0], lost[1]), None)


def lose_acknowledged(outcome: Outcome) -> None:
    """Lose a record that was acknowledged."""
    outcome.stored.remove(next(row for row in outcome.stored if row[0] == "p1.0"))


def repeat(outcome: Outcome) -> None:
    """Store a record twice."""
    outcome.stored.append(next(row for row in outcome.stored if row[0] == "p1.0"))


def exchange(outcome: Outcome) -> None:
    """Store records in another order."""
    outcome.stored.reverse()


def invent(outcome: Outcome) -> None:
    """Store what nobody logged."""
    outcome.stored.append(("p1.0", 1_000_000, 1_000_000))


def forget_a_loss(outcome: Outcome) -> None:
    """Let the server know of losses that no client reports."""
    outcome.drops += 1
    outcome.killed.clear()


def complain(outcome: Outcome) -> None:
    """Let somebody show a traceback."""
    outcome.complaints += "Traceback (most recent call last):"


def leave(outcome: Outcome) -> None:
    """Leave a segment in a spool."""
    outcome.left["0"] += 1


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lose_spooled, "1 spooled records missing"),
        (lose_acknowledged, "1 records acknowledged but missing"),
        (lose_acknowledged, "p1: logged"),
        (repeat, "1 records stored twice"),
        (exchange, "sources out of order"),
        (invent, "1 records stored that nobody logged"),
        (forget_a_loss, "the server knows of 1"),
        (complain, "somebody complained"),
        (leave, "records left in spool 0: 1"),
    ],
)
def test_damage_is_seen(damage: Callable[[Outcome], None], problem: str, killed: tuple[Round, Outcome]) -> None:
    """A check that cannot fail would prove nothing."""
    plan, outcome = killed
    proxy = dataclasses.replace(outcome.proxy, acknowledged=dict(outcome.proxy.acknowledged))
    damaged = dataclasses.replace(
        outcome, stored=list(outcome.stored), left=dict(outcome.left), killed=set(outcome.killed), proxy=proxy
    )
    try:
        damage(damaged)
        found = check(plan, damaged)
    finally:
        proxy.stop()

    assert any(problem in one for one in found.problems), found.problems


@pytest.mark.parametrize(
    ("hows", "lost"), [([0.501], 1), ([0.509], 5), ([0.509, 0.509], 7)], ids=["a byte", "the end", "again"]
)
def test_damage_of_a_segment_is_known(tmp_path: Path, hows: list[float], lost: int) -> None:
    """Which records a damaged segment may have lost is what its lines said."""
    import logging

    from concurrent_log.collector import CollectorHandler

    handler = CollectorHandler("http://127.0.0.1:9", spool_directory=tmp_path, stop_timeout=0.1)
    for number in range(10):
        handler.handle(logging.makeLogRecord({"msg": "m", "source": "s", "number": number}))
    handler.close()
    (segment,) = tmp_path.glob("*.spool")
    before = segment.read_bytes()
    found = [collector_round._damage(tmp_path, how) for how in hows]

    assert len(set().union(*found)) == lost
    assert segment.read_bytes() != before
