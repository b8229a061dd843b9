"""The benchmarks work, and the documentation contains the measured figures (P5); nothing here is timed."""

import importlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parent / "benchmarks"
PROJECT = BENCHMARKS.parents[1]


def run(*arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    """Run the benchmarks with these arguments."""
    command = [sys.executable, str(BENCHMARKS), *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=100)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the results and the texts of this project."""
    shutil.copytree(PROJECT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build", "images"))
    shutil.copy(PROJECT / "README.md", tmp_path)
    return tmp_path


def is_not_installed(reason: str) -> bool:
    """Return whether a package is missing that comes with the extra "benchmarks"."""
    return any(
        f"No module named '{name}'" in reason
        for name in ("circuitbreaker", "concurrent_log_handler", "loguru", "pybreaker")
    )


@pytest.mark.parametrize(
    ("name", "rows", "curves", "lines", "points"),
    [
        pytest.param("one-process", 4, 0, 0, 0, marks=pytest.mark.slow),
        pytest.param("by-size", 4, 0, 0, 0, marks=pytest.mark.slow),
        pytest.param("eight-processes", 3, 0, 0, 0, marks=pytest.mark.long),
        pytest.param("longest-call", 3, 0, 0, 0, marks=pytest.mark.long),
        pytest.param("process-counts", 0, 2, 5, 2, marks=pytest.mark.slow),
        pytest.param("backup-counts", 0, 2, 7, 2, marks=pytest.mark.long),
        pytest.param("background", 17, 1, 6, 3, marks=pytest.mark.long),
        ("memory", 2, 2, 2, 10),
        pytest.param("health", 4, 0, 0, 0, marks=pytest.mark.slow),
    ],
)
def test_figure_is_measured_in_its_quick_form(
    name: str, rows: int, curves: int, lines: int, points: int, tmp_path: Path
) -> None:
    """Each figure has values for both sides and all points of its lines, and ours lost no record (P5)."""
    done = run("--quick", "--only", name, "--json", "results.json", cwd=tmp_path)
    measured = json.loads((tmp_path / "results.json").read_text())

    assert (len(measured["rows"]), len(measured["curves"])) == (rows, curves), done.stderr
    for row in measured["rows"]:
        if not is_not_installed(row["missing"]):
            assert row["missing"] == ""
            assert len(row["ours"]) == len(row["theirs"]) == 1
            assert row["lost"][0] == 0
    for curve in measured["curves"]:
        assert all(is_not_installed(reason) for reason in curve["missing"].values())
        assert len(curve["lines"]) + len(curve["missing"]) == lines
        assert all(len(line) == points and all(y > 0 for _, y in line) for line in curve["lines"].values())


def test_failed_measurement_is_reported(tmp_path: Path) -> None:
    """With a missing folder, every row has the reason, and the exit status is 1."""
    done = run("--quick", "--only", "one-process", "--directory", "missing", "--json", "results.json", cwd=tmp_path)
    measured = json.loads((tmp_path / "results.json").read_text())["rows"]

    assert done.returncode == 1
    assert all("No such file or directory" in row["missing"] for row in measured)


def run_child(script: str, arguments: dict[str, Any], folder: Path) -> Any:
    """Return the answer of a figure's child after one round."""
    command = [sys.executable, str(BENCHMARKS / script), json.dumps({**arguments, "folder": str(folder)})]
    done = subprocess.run(command, cwd=folder, input="\n", capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    ready, answer = done.stdout.splitlines()
    assert ready == "ready"
    return json.loads(answer)


def test_seed_test_loses_no_record(tmp_path: Path) -> None:
    """The child of the seed's test runs with our handler; the original would have to be downloaded (P1)."""
    arguments = {"handler": "concurrent_log.ConcurrentTimedRotatingFileHandler", "tasks": 3, "calls": 20}
    answer = run_child("seed_test.py", arguments, tmp_path)

    assert answer["lost"] == 0


@pytest.mark.parametrize(
    ("way", "handler"), [("ours", "stalling.StallingHandler"), ("queue", "stalling.StallingStandardHandler")]
)
def test_disk_is_slow_while_few_calls_are_timed(way: str, handler: str, tmp_path: Path) -> None:
    """A write waits for the slow disk before the first timed call, also if the worker would write only later (P5)."""
    arguments = {"way": way, "program": "flood", "value": "longest", "records": 20, "handler": handler}
    answer = run_child("background.py", arguments, tmp_path)

    assert 0 < answer["median"] <= answer["value"] == answer["longest"]


def test_page_is_what_the_results_make() -> None:
    """docs/benchmarks.md and the table in README.md are generated from docs/benchmarks.json."""
    done = run("--check", cwd=PROJECT)

    assert done.returncode == 0, done.stdout + done.stderr


def test_page_written_by_hand_is_noticed(project: Path) -> None:
    """A number that was edited by hand is noticed."""
    page = project / "docs" / "benchmarks.md"
    page.write_text(page.read_text(encoding="utf-8").replace("\N{MULTIPLICATION SIGN}", "x"), encoding="utf-8")
    done = run("--check", "--project", str(project), cwd=project)

    assert done.returncode == 1
    assert "benchmarks.md is not what" in done.stdout


def test_figures_in_the_readme_are_between_their_markers(project: Path) -> None:
    """The block in README.md is the generated one, and the text around it stays."""
    readme = project / "README.md"
    readme.write_text("before\n<!-- figures -->\nold\n<!-- /figures -->\nafter\n", encoding="utf-8")
    done = run("--check", "--project", str(project), cwd=project)

    assert done.returncode == 1
    assert "README.md is not what" in done.stdout


def test_readme_shows_a_row_that_we_lose(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table of the README has at most eight rows, names both values, and hides no loss (P5)."""
    monkeypatch.syspath_prepend(str(PROJECT / "tests" / "benchmarks"))
    results, page = (importlib.import_module(name) for name in ("results", "page"))
    measured = results.Results.load(PROJECT / "docs" / "benchmarks.json")
    rows = page.readme_table(measured).split("\n\n")[0].splitlines()[2:]

    assert 6 <= len(rows) <= 8
    assert len(rows) == len(page.README_ROWS), "a row of README_ROWS was not measured"
    assert any(" slower |" in row for row in rows)
    assert all(len(row.split(" | ")) == 5 for row in rows)


def test_check_judges_the_bars_and_names_missing_figures(project: Path) -> None:
    """The check reports a ratio and a difference beyond their bars, and a figure without results."""
    results = json.loads((project / "docs" / "benchmarks.json").read_text(encoding="utf-8"))
    row = {**results["rows"][0], "against": "theirs", "ours": [3.0], "theirs": [1.0], "ratios": [3.0]}
    results["rows"] = [
        {**row, "title": "slow", "bar": 2.0, "goal": None},
        {**row, "title": "late", "bar": 1.5, "goal": None, "compared": "difference"},
        {**row, "title": "near", "bar": 2.5, "goal": 2.0, "compared": "difference"},
    ]
    (project / "docs" / "benchmarks.json").write_text(json.dumps(results), encoding="utf-8")
    done = run("--check", "--project", str(project), cwd=project)

    assert "slow, against theirs: 3.00\N{MULTIPLICATION SIGN} missed" in done.stdout
    assert "late, against theirs: +2.00 \N{MICRO SIGN}s missed" in done.stdout
    assert "near, against theirs: +2.00 \N{MICRO SIGN}s goal met" in done.stdout
    assert "seed-test: not measured yet" in done.stdout


def test_bars_are_those_of_the_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A bar that is raised counts for what was measured before, and a new comparison is shown as not measured (P5)."""
    monkeypatch.syspath_prepend(str(PROJECT / "tests" / "benchmarks"))
    results, page, measuring = (importlib.import_module(name) for name in ("results", "page", "measuring"))
    before = results.Results.load(PROJECT / "docs" / "benchmarks.json")
    row = replace(before.rows[0], ours=[2.0], theirs=[1.0], ratios=[2.0], unit="s", title="old", against="it", bar=3.0)
    replace(before, rows=[row], curves=[]).save(tmp_path / "results.json")
    work = measuring.Work("background.py", {})
    figure = measuring.Figure(
        row.figure,
        "A figure",
        "",
        [measuring.Duel(title, "it", "s", work, work, 1, bar=1.5) for title in ("old", "new")],
    )
    judged = measuring.judged(results.Results.load(tmp_path / "results.json"), [figure])

    assert "bar" not in json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["rows"][0]
    assert [(each.title, each.bar, each.verdict) for each in judged.rows] == [("old", 1.5, "missed"), ("new", 1.5, "")]
    assert "not measured |" in page.benchmarks_page(judged, [figure])


def test_plan_is_below_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page shows the query plan of the database, line by line."""
    monkeypatch.syspath_prepend(str(PROJECT / "tests" / "benchmarks"))
    results, page, measuring = (importlib.import_module(name) for name in ("results", "page", "measuring"))
    before = results.Results.load(PROJECT / "docs" / "benchmarks.json")
    row = replace(before.rows[0], title="a question", plan="Limit (100 rows)\n  ->  Index Scan (100 rows)")
    text = page.benchmarks_page(replace(before, rows=[row], curves=[]), [measuring.Figure(row.figure, "A figure", "")])

    assert f"The plan of *a question*:\n\n```{{code-block}} text\n{row.plan}\n```\n" in text


def test_one_figure_measured_again_keeps_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page gives the dates of older figures; figures of another machine are rejected."""
    monkeypatch.syspath_prepend(str(PROJECT / "tests" / "benchmarks"))
    results, page, measuring = (importlib.import_module(name) for name in ("results", "page", "measuring"))
    before = results.Results.load(PROJECT / "docs" / "benchmarks.json")
    rows = [row for row in before.rows if row.figure == "memory"]
    newer = replace(before, date="2030-01-01", rows=rows, curves=[], earlier={})
    after = newer.with_earlier(before)
    text = page.benchmarks_page(after, [measuring.Figure(name, name, "") for name in ("one-process", "memory")])

    assert [row.title for row in after.rows] == [row.title for row in before.rows]
    assert text.count("Measured on ") == 1
    assert after.earlier["one-process"] == before.earlier.get("one-process", before.date)
    assert "memory" not in after.earlier

    another = replace(newer, machine={**before.machine, "CPU": "another"})
    with pytest.raises(ValueError, match="CPU: another now"):
        another.with_earlier(before)
