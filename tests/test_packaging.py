"""The metadata, the CI matrix, the changelog and the commit hook agree with each other."""

import configparser
import pathlib
import re
import subprocess
import sys

import pytest

import concurrent_log

_ROOT = pathlib.Path(__file__).parent.parent


def _read(path: str) -> str:
    return (_ROOT / path).read_text(encoding="utf-8")


def _metadata() -> configparser.SectionProxy:
    parser = configparser.ConfigParser()
    parser.read_string(_read("setup.cfg"))
    return parser["metadata"]


def _classifiers() -> list[str]:
    return _metadata()["classifiers"].split("\n")[1:]


def _supported() -> list[str]:
    """Return the Python versions of the classifiers, oldest first."""
    prefix = "Programming Language :: Python :: 3."
    return [line.rpartition(" ")[2] for line in _classifiers() if line.startswith(prefix)]


def test_ci_runs_on_every_supported_python() -> None:
    """A classifier promises only what CI tests, and CI tests nothing else."""
    (matrix,) = re.findall(r"^ +python: \[(.*)\]$", _read(".github/workflows/ci.yml"), re.MULTILINE)

    assert re.findall(r'"([^"]+)"', matrix) == _supported()
    assert len(_supported()) == 6


def test_contributing_names_every_supported_python() -> None:
    """The loop that runs the tests on each version has all versions, and so has the sentence above it."""
    page = _read("docs/contributing.md")

    assert f"for version in {' '.join(_supported())}; do" in page
    assert f"CPython {_supported()[0]} to {_supported()[-1]}" in page


def test_oldest_supported_python_is_the_required_one() -> None:
    """Installation, linter and classifiers agree on the oldest version."""
    oldest = _supported()[0]

    assert f"python_requires = >={oldest}\n" in _read("setup.cfg")
    assert f'target-version = "py{oldest.replace(".", "")}"' in _read("pyproject.toml")


def test_metadata_says_who_and_where() -> None:
    """Author, licence and links are present, and stated in setup.cfg only."""
    metadata = _metadata()

    assert all(metadata[name] for name in ("author", "author_email", "url", "project_urls", "license", "keywords"))
    assert "License :: OSI Approved :: MIT License" in _classifiers()
    assert "[project]" not in _read("pyproject.toml")


def test_changelog_has_the_version_with_its_date() -> None:
    """Keep a Changelog: the newest version has a date, and each version has a link."""
    page = _read("docs/changelog.md")
    versions = re.findall(r"^## \[([^\]]+)\](?: - (\S+))?$", page, re.MULTILINE)

    assert versions[0] == ("Unreleased", "")
    assert versions[1][0] == concurrent_log.__version__
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for _, date in versions[1:])
    assert all(f"\n[{version}]: https://" in page for version, _ in versions)
    assert {*re.findall(r"^### (.*)$", page, re.MULTILINE)} <= {
        "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security",
    }  # fmt: skip


def test_hooks_need_no_network() -> None:
    """All hooks are local, and run tools of the extra lint."""
    hooks = _read(".pre-commit-config.yaml")

    assert re.findall(r"repo: (.*)", hooks) == ["local"]
    assert {*re.findall(r"language: (.*)", hooks)} == {"system"}


@pytest.mark.parametrize(
    ("message", "is_accepted"),
    [
        ("x" * 72, True),
        ("x" * 73, False),
        ("ä" * 72 + "\n\nThe body may have longer lines. " + "x" * 100 + "\n", True),
        ("A subject\nwithout an empty line", False),
        ("A subject\n# a comment of git\n", True),
    ],
)
def test_subject_of_a_commit_is_short(message: str, is_accepted: bool, tmp_path: pathlib.Path) -> None:
    """The hook accepts subjects of at most 72 characters, and an empty line after them."""
    (tmp_path / "message").write_text(message, encoding="utf-8")
    run = subprocess.run([sys.executable, str(_ROOT / ".ci" / "check-subject"), str(tmp_path / "message")], check=False)

    assert (run.returncode == 0) == is_accepted
