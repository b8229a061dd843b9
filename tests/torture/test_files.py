"""The torture test itself: it passes, its rounds are repeatable, and it finds damage."""

import dataclasses
import pathlib
import subprocess
import sys
from collections.abc import Callable

import pytest

if sys.platform == "win32":
    pytest.skip("sends signals and forks", allow_module_level=True)

from torture.files_check import Findings, check
from torture.files_plan import ENDLESS, Round, draw
from torture.files_round import Outcome, play

# A fork with live threads is one of the cases under test, and pytest-xdist has a thread of its own.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")

TORTURE = [str(pathlib.Path(__file__).parent), "files"]


@pytest.mark.slow
def test_nothing_is_wrong_after_some_rounds(tmp_path: pathlib.Path) -> None:
    """P1, P2, P3, P4: the files are correct after every fault; .ci/run repeats this for a minute."""
    command = [sys.executable, *TORTURE, "--minutes", "0.15", "--seed", "100", "--directory", str(tmp_path)]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert found.returncode == 0, found.stdout
    assert list(tmp_path.iterdir()) == []


def test_seed_determines_the_round() -> None:
    """A round that failed can be repeated."""
    assert [draw(seed) for seed in range(50)] == [draw(seed) for seed in range(50)]


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> tuple[Round, Outcome]:
    """Return a round without faults that rolls over a few times."""
    plan = dataclasses.replace(
        draw(0),
        handler="ConcurrentTimedRotatingFileHandler",
        options={
            "encoding": "utf-8",
            "terminator": "\n",
            "when": "S",
            "interval": 1,
            "utc": True,
            "backupCount": ENDLESS,
        },
        processes=2,
        threads=2,
        handlers=1,
        start_method="fork",
        inherited=False,
        speed=5.0,
        seconds=1.0,
        faults=(),
        events=(),
    )
    return plan, play(plan, tmp_path_factory.mktemp("quiet"))


def test_quiet_round_has_no_problem(quiet: tuple[Round, Outcome]) -> None:
    """The checks pass if nothing is wrong."""
    found = check(*quiet)

    assert found.problems == []
    assert found.records > 100
    assert found.files > 3


def lose(first: list[bytes], second: list[bytes]) -> None:
    """Remove a record."""
    del first[1]


def repeat(first: list[bytes], second: list[bytes]) -> None:
    """Write a record twice."""
    first.append(first[1])


def tear(first: list[bytes], second: list[bytes]) -> None:
    """Leave part of a record."""
    first[1] = first[1][:50] + b"\n"


def misplace(first: list[bytes], second: list[bytes]) -> None:
    """Move a record to the next period's file."""
    second.insert(0, first.pop())


def reorder(first: list[bytes], second: list[bytes]) -> None:
    """Change the order of the records in a file."""
    first.reverse()


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lose, "1 records lost"),
        (repeat, "1 records twice"),
        (tear, "1 half records"),
        (misplace, "1 records in the wrong period"),
        (reorder, "records out of order in one file"),
    ],
)
def test_damage_is_found(damage: Callable[..., None], problem: str, quiet: tuple[Round, Outcome]) -> None:
    """A check that cannot fail would prove nothing."""
    found = _check_damaged(damage, quiet)

    assert any(problem in one for one in found.problems), found.problems


def test_stray_file_is_found(quiet: tuple[Round, Outcome]) -> None:
    """Only the log file, its backups and the lock file may be left."""
    stray = quiet[1].folder / "app.log.rotating"
    stray.touch()
    found = check(*quiet)
    stray.unlink()

    assert found.problems == ["1 stray files: app.log.rotating"]


def _check_damaged(damage: Callable[..., None], quiet: tuple[Round, Outcome]) -> Findings:
    """Damage two backups of whole periods, run the checks, and restore them."""
    paths = sorted(quiet[1].folder.glob("app.log.*"))[1:3]
    contents = [path.read_bytes() for path in paths]
    lines = [content.splitlines(keepends=True) for content in contents]
    damage(*lines)
    for path, damaged in zip(paths, lines, strict=True):
        path.write_bytes(b"".join(damaged))
    try:
        return check(*quiet)
    finally:
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
