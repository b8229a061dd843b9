"""Every code block of the README and of the pages in docs/ runs, and what they state as facts is true.

A reader follows a page from top to bottom, in one folder; so do these tests, in a folder and a shell of their own.

- A block that begins with a comment of nothing but a file name, or follows ``<!-- file: NAME -->``, is that file.
- In a ``console`` block, lines after ``$`` are commands. Their output must be what stands below them, where
  ``...`` stands for anything, and a date and time for any other one of the same form.
- Any other Python block is run at once, in a process of its own, in which a warning is an error.
- A block after ``<!-- not run: REASON -->`` is not run. `_NOT_RUN` lists all of these.
"""

import importlib.util
import inspect
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType

import pytest
from markdown_it import MarkdownIt

import concurrent_log
from concurrent_log.health import ServiceMonitor

_ROOT = pathlib.Path(__file__).parent.parent
_DOCS = _ROOT / "docs"
_PAGES = [_ROOT / "README.md", *sorted(_DOCS.glob("*.md"))]

_IN_THE_PACKAGE = [getattr(concurrent_log, name) for name in concurrent_log.__all__]

# The first line of each block that is not run here.
_NOT_RUN = {
    ("benchmarks.md", "python tests/benchmarks --write"),
    ("health-endpoints.md", "python -m pip install '.[health]'"),
    ("health-endpoints.md", "livenessProbe:"),
    ("health-endpoints.md", "HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \\"),
    ("health-endpoints.md", "groups:"),
    ("monitor-command.md", "python -m pip install '.[health]'"),
    ("monitor-command.md", "*/10 * * * * cd /srv && concurrent-log monitor shop.toml --once > now.txt || cat now.txt"),
    ("monitor-command.md", "[services.database]"),
    ("README.md", "python -m pip install '.[stress]' && python -m concurrent_log stress"),
    ("README.md", "python -m pip install '.[test]' && python -m pytest"),
    ("contributing.md", "python -m pip install -e '.[test,lint,docs,benchmarks]'"),
    ("contributing.md", "for version in 3.10 3.11 3.12 3.13; do"),
    ("contributing.md", "ruff check . && ruff format --check ."),
    ("contributing.md", "python -m sphinx -W -b html docs docs/_build/html"),
    ("contributing.md", "python tests/torture files --minutes 10"),
    ("contributing.md", "python tests/torture collector --minutes 10"),
    ("contributing.md", "python tests/benchmarks --write"),
    ("contributing.md", ".ci/run"),
    ("collector.md", "python -m pip install '.[server,collector]'"),
    ("collector-client.md", "python -m pip install '.[collector]'"),
    ("contributing.md", "cd tests/javascript && npm ci && npm run check && npm run types"),
    ("javascript.md", "python -m concurrent_log demo"),
    ("javascript.md", '<script type="module">'),
    ("javascript.md", "const step = logger.withTrace();"),
    ("tutorial.md", "python -m pip install ."),
    ("collector-server.md", "python -m pip install '.[server]'"),
    ("collector-server.md", "createdb logs"),
    ("collector-server.md", "server {"),
    ("collector-server.md", "[Unit]"),
    ("health-checks.md", "from concurrent_log.health import checks"),
    ("files.md", "install -d -g logwriters -m 2775 /var/log/app"),
}

# What a page needs besides this package: commands, and modules that can be imported.
_NEEDS = {"celery.md": {"celery"}, "django.md": {"django"}, "gunicorn.md": {"gunicorn", "curl"}}
_NEEDS["async-log-client.md"] = {"fastapi", "uvicorn", "curl"}
_NEEDS["collector-page.md"] = {"curl", "fastapi", "fastapi_offline", "msgspec", "sse_starlette", "uvicorn"}
_NEEDS["health-endpoints.md"] = {"curl", "django", "fastapi", "flask", "gunicorn", "prometheus_client", "uvicorn"}
_NEEDS["monitor-command.md"] = {"curl", "rich"}
_NEEDS["uvicorn.md"] = {"uvicorn", "curl"}
_NEEDS["collector-client.md"] = _NEEDS["collector.md"] = {"fastapi", "msgspec", "urllib3", "tenacity", "curl"}
_NEEDS["collector-server.md"] = {"asyncpg", "curl", "fastapi", "fastapi_offline", "msgspec", "sse_starlette", "uvicorn"}
_NEEDS["javascript.md"] = {*_NEEDS["collector-server.md"], "node", "npm"}
_NEEDS["health-checks.md"] = {"curl", "urllib3"}
_NEEDS["collector-reading.md"] = _NEEDS["collector-server.md"]

_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[ _T]\d\d(?:[:-]\d\d){0,2}(?:[.,]\d+)?)?")
_DONE = "the command is done:"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with the comment before it, if there is one."""

    page: str
    line: int
    language: str
    text: str
    comment: str

    @property
    def is_run(self) -> bool:
        """Whether these tests run it, or save it for what they run."""
        return not self.comment.startswith("not run: ")

    @property
    def first_line(self) -> str:
        """The first line, or the first command of a console block."""
        return self.text.splitlines()[0].removeprefix("$ ")

    @property
    def file_name(self) -> str | None:
        """The name under which the block is saved, or None."""
        if self.comment.startswith("file: "):
            return self.comment.removeprefix("file: ")
        comment = re.fullmatch(r"# ([\w/]+(?:\.\w+)+)", self.first_line)
        return comment[1] if comment else None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def _blocks(page: pathlib.Path) -> list[Block]:
    found, comment = [], ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "fence" and token.map:
            found.append(Block(page.name, token.map[0] + 1, token.info, token.content, comment))
        comment = token.content.strip().removeprefix("<!--").removesuffix("-->").strip()
        comment = comment if token.type == "html_block" else ""
    # MyST's own blocks, such as {eval-rst}, are run by the build of the docs.
    return [block for block in found if not block.language.startswith("{")]


class Shell:
    """One bash, in which the commands of a page run one after the other; it ends all that they leave behind."""

    def __init__(self, folder: pathlib.Path) -> None:
        self._folder = folder
        scripts = os.pathsep.join((str(pathlib.Path(sys.executable).parent), sysconfig.get_path("scripts")))
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "FORCE_COLOR"))
        }
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=folder,
            env={**environment, "PATH": os.pathsep.join((scripts, os.environ["PATH"])), "LC_ALL": "C.UTF-8"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __enter__(self) -> "Shell":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with self._bash:
            os.killpg(self._bash.pid, signal.SIGKILL)

    def run(self, command: str) -> str:
        """Run ``command``, which must succeed, and return its output; what it leaves in the background has none."""
        if command.endswith("&"):
            command = f"exec 3>&1 >> background.txt 2>&1\n{command}\nexec >&3 2>&1"
        script = self._folder / ".command"
        script.write_text(f"{command}\n", encoding="utf-8")
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        self._bash.stdin.write(f". ./.command </dev/null\necho '{_DONE}' $?\n")
        self._bash.stdin.flush()
        output = ""
        for line in self._bash.stdout:
            before, done, status = line.partition(_DONE)
            output += before
            if done:
                assert status.strip() == "0", f"{command}\n{output}{self._of_background()}"
                return output
        raise AssertionError(f"{command}\nended the shell\n{output}")

    def _of_background(self) -> str:
        found = self._folder / "background.txt"
        return found.read_text(encoding="utf-8") if found.exists() else ""


def _commands(block: Block) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block with the output that the page shows."""
    assert block.text.startswith("$ "), f"{block}: a console block begins with a command"
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        yield command, output


def _matches(shown: str, output: str) -> bool:
    pattern = re.escape(_TIME.sub("TIME", shown))
    pattern = pattern.replace(re.escape("...\n"), r"(?:.*\n)*").replace(re.escape("..."), ".*")
    return re.fullmatch(pattern, _TIME.sub("TIME", output)) is not None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _require(page: str) -> None:
    missing = [
        name for name in sorted(_NEEDS.get(page, set())) if not (shutil.which(name) or importlib.util.find_spec(name))
    ]
    if missing and os.environ.get("CONCURRENT_LOG_REQUIRE_ALL"):
        pytest.fail(f"{page} needs {missing}")
    elif missing:
        pytest.skip(f"{page} needs {missing}")


@pytest.mark.skipif(sys.platform == "win32", reason="the pages are written for a POSIX shell")
@pytest.mark.parametrize("page", [page for page in _PAGES if _blocks(page)], ids=lambda page: page.name)
def test_page_does_what_it_shows(page: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """P7: a reader who follows a page sees what the page shows."""
    _require(page.name)
    port = str(_free_port())
    with Shell(tmp_path) as shell:
        for block in filter(lambda block: block.is_run, _blocks(page)):
            text = block.text.replace("8000", port)
            if block.file_name:
                path = tmp_path / block.file_name
                path.parent.mkdir(exist_ok=True)
                path.write_text(text, encoding="utf-8")
            elif block.language == "python":
                (tmp_path / ".block.py").write_text(text, encoding="utf-8")
                assert shell.run("python -W error .block.py") == "", block
            else:
                assert block.language == "console", f"{block}: nothing runs a block of {block.language!r}"
                for command, shown in _commands(block):
                    output = shell.run(command.replace("8000", port)).replace(port, "8000")

                    assert _matches(shown, output), f"{block}\n$ {command}\n{output}"


def test_no_other_block_is_left_out() -> None:
    """A block that does not run is one that we know of, and its page tells why."""
    left_out = [block for page in _PAGES for block in _blocks(page) if not block.is_run]

    assert {(block.page, block.first_line) for block in left_out} == _NOT_RUN
    assert len(left_out) == len(_NOT_RUN)
    assert all(block.comment.removeprefix("not run: ") for block in left_out)


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_every_file_of_a_page_is_used(page: pathlib.Path) -> None:
    """A block that is saved under a name is run, imported or read by what follows it."""
    blocks = _blocks(page)
    for number, block in enumerate(blocks):
        if block.file_name:
            stem = pathlib.PurePath(block.file_name).name.split(".")[0]
            assert any(stem in later.text for later in blocks[number + 1 :]), f"{block}: nothing uses {stem}"


@pytest.mark.parametrize(
    ("shown", "output", "same"),
    [
        ("6000\n", "6000\n", True),
        ("6000\n", "5999\n", False),
        ("app.log.2026-11-22_10\n", "app.log.2027-01-01_23\n", True),
        ("app.log.2026-11-22_10\n", "app.log.2027-01-01\n", True),
        ("", "Traceback\n", False),
        ("a\n...\nb\n", "a\nx\ny\nb\n", True),
        ("a\n...\nb\n", "a\nx\n", False),
    ],
)
def test_output_is_compared(shown: str, output: str, same: bool) -> None:
    """Only dates, times and what ``...`` stands for may differ from what a page shows."""
    assert _matches(shown, output) is same


def test_shell_notices_a_command_that_fails(tmp_path: pathlib.Path) -> None:
    """A command of a page that fails, fails the test of the page."""
    with Shell(tmp_path) as shell, pytest.raises(AssertionError):
        shell.run("python -c 'raise SystemExit(3)'")


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    """Every relative link of a page names a file of this project, and a heading of it where it names one."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, heading = target.partition("#")
        linked = page.parent / name if name else page

        assert linked.is_file(), target
        assert not heading or heading in _headings(linked), target


def _headings(page: pathlib.Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", _PAGES[1:], ids=lambda page: page.name)
def test_page_says_for_whom_it_is(page: pathlib.Path) -> None:
    """The first line below the title of every page of docs/ tells who should read it."""
    title, first = [line for line in page.read_text(encoding="utf-8").splitlines() if line][:2]

    assert title.startswith("# ")
    assert first.startswith("For "), first


@pytest.mark.parametrize("documented", [*_IN_THE_PACKAGE, ServiceMonitor], ids=lambda documented: documented.__name__)
def test_table_of_parameters_shows_the_defaults(documented: type) -> None:
    """The reference's tables name every parameter in order, with the default that the signature has."""
    text, name = (_DOCS / "reference.md").read_text("utf-8"), documented.__name__
    heads = [f"`{name}`", "Both"] if name.endswith("FileHandler") else [f"`{name}`"]
    tables = [re.search(rf"^\| {head} \| Default(.*?)\n\n", text, re.DOTALL | re.MULTILINE) for head in heads]
    rows = [
        row for table in tables for row in re.findall(r"^\| `(\w+)` \| (?:`(.+?)`|required) \|", table[1], re.MULTILINE)
    ]
    parameters = inspect.signature(documented).parameters.values()
    named = [p for p in parameters if p.kind is not p.VAR_KEYWORD and p.name != "clock"]

    assert rows == [(p.name, "" if p.default is p.empty else _as_written(p.default)) for p in named]


def _as_written(default: object) -> str:
    return f'"{default}"'.replace("\n", r"\n") if isinstance(default, str) else repr(default)


def test_changelog_begins_with_this_version() -> None:
    """The newest version in the changelog is the one that the package says it is."""
    versions = re.findall(r"^## \[?([\d.]+)", (_DOCS / "changelog.md").read_text("utf-8"), re.MULTILINE)

    assert versions[0] == concurrent_log.__version__


def test_ci_runs_the_command_of_the_readme() -> None:
    """What the README tells people to run is what CI runs, to the letter."""
    command = "python -m pip install '.[test]' && python -m pytest"

    assert f'bash -c "{command}"\n' in (_ROOT / ".ci" / "run").read_text("utf-8")
    assert ("README.md", command) in _NOT_RUN


def test_no_page_installs_from_pypi() -> None:
    """PyPI has another package of this name, so every install names a folder."""
    for page in _PAGES:
        for block in _blocks(page):
            for arguments in re.findall(r"pip install (.*)", block.text):
                assert re.search(r"(^|[\s'\"])\.", arguments), f"{block}: {arguments}"


def test_reference_lists_every_option_of_the_stress_test() -> None:
    """What ``--help`` shows and what the page says are the same set of options."""
    command = [sys.executable, "-m", "concurrent_log", "stress", "--help"]
    shown = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    rows = [line for line in (_DOCS / "reference.md").read_text().splitlines() if line.startswith("| `--")]
    listed = set(re.findall(r"--[a-z-]+", "".join(rows)))

    assert listed == set(re.findall(r"^ +(?:-h, )?(--[a-z-]+)", shown, re.MULTILINE)) - {"--help"}
