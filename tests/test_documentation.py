"""Every code block of the README and of the pages in docs/ runs, and the facts that the pages state are true.

A reader follows a page from top to bottom, in one folder. So do these tests, in a new folder and shell per page.

- A block is saved as a file if its first line is a comment that contains only a file name, or if it follows
  ``<!-- file: NAME -->``.
- In a ``console`` block, lines that start with ``$`` are commands. Their output must match the lines below them, where
  ``...`` matches any text, and a date and time match any other date and time of the same form.
- Any other Python block runs immediately, in a separate process, and warnings are errors.
- A block after ``<!-- not run: REASON -->`` does not run. `_NOT_RUN` lists all of these blocks.
"""

import html
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

# The first line of each block that does not run here.
_NOT_RUN = {
    ("benchmarks.md", "python tests/benchmarks --write"),
    ("health-endpoints.md", "python -m pip install '.[health]'"),
    ("health-endpoints.md", "livenessProbe:"),
    ("health-endpoints.md", "HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \\"),
    ("health-endpoints.md", "groups:"),
    (
        "keys.md",
        "curl --silent -H \"Authorization: Bearer $ADMIN\" 'http://127.0.0.1:8000/deletion?where=user_id%3Danna'",
    ),
    ("keys.md", "concurrent-log serve --trusted-proxy 10.0.0.5 --user-header X-Remote-User --admin-user anna"),
    ("keys.md", "location / {"),
    ("monitor-command.md", "python -m pip install '.[health]'"),
    ("monitor-command.md", "*/10 * * * * cd /srv && concurrent-log monitor shop.toml --once > now.txt || cat now.txt"),
    ("monitor-command.md", "[services.database]"),
    ("collector-opentelemetry.md", "exporters:"),
    (
        "collector-formats.md",
        "curl --fail --retry 5 --retry-all-errors -H 'Authorization: Bearer KEY' "
        "-H 'Content-Type: application/x-ndjson' --data-binary @lines.ndjson https://logs.example.com/logs",
    ),
    ("collector-formats.md", "from elasticsearch import Elasticsearch"),
    ("collector-formats.md", 'module(load="omelasticsearch")'),
    ("collector-formats.md", "import logging_loki"),
    ("collector-formats.md", "const transport = pino.transport({"),
    ("collector-formats.md", "const transport = new LokiTransport({"),
    ("collector-formats.md", "pipeline:"),
    ("collector-formats.md", "sinks:"),
    ("collector-formats.md", "exporters:"),
    ("README.md", "python -m pip install '.[stress]' && python -m concurrent_log stress"),
    ("README.md", "python -m pip install '.[test]' && python -m pytest"),
    ("contributing.md", "python -m pip install -e '.[test,lint,docs,benchmarks]'"),
    ("contributing.md", "for version in 3.10 3.11 3.12 3.13 3.14 3.15; do"),
    ("contributing.md", "ruff check . && ruff format --check ."),
    ("contributing.md", "python -m sphinx -W -b html docs docs/_build/html"),
    ("contributing.md", "python tests/torture files --minutes 10"),
    ("contributing.md", "python tests/torture collector --minutes 10"),
    ("contributing.md", "python tests/benchmarks --write"),
    ("contributing.md", ".ci/run"),
    ("releasing.md", ".ci/run"),
    ("releasing.md", "python tests/benchmarks --write"),
    ("releasing.md", "python -m pip install '.[release]'"),
    ("releasing.md", 'python -m pip install "$(echo ./dist/*.whl)[stress]"'),
    ("releasing.md", 'git commit -am "Release 2.0.0"'),
    ("collector.md", "python -m pip install '.[server,collector]'"),
    ("collector-client.md", "python -m pip install '.[collector]'"),
    ("otlp-handler.md", "python -m pip install '.[otlp]'"),
    ("contributing.md", "cd tests/javascript && npm ci && npm run check && npm run types"),
    ("javascript.md", "python -m concurrent_log demo"),
    ("javascript.md", '<script type="module">'),
    ("javascript.md", "const step = logger.withTrace();"),
    ("index.md", "python -m pip install ."),
    ("tutorial.md", "python -m pip install ."),
    ("collector-server.md", "python -m pip install '.[server]'"),
    ("collector-server.md", "createdb logs"),
    ("collector-server.md", "server {"),
    ("collector-server.md", "[Unit]"),
    ("health-checks.md", "from concurrent_log.health import checks"),
    ("daemons.md", "import logging"),
    ("daemons.md", "[Unit]"),
    ("files.md", "install -d -g logwriters -m 2775 /var/log/app"),
}

# The commands and importable modules that a page requires in addition to this package.
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
_NEEDS["keys.md"] = _NEEDS["collector-formats.md"] = _NEEDS["collector-server.md"]

# Pages that start servers or whole programs, and take seconds: the quick selection does not run their blocks.
_SLOW = {
    "async-log-client.md",
    "celery.md",
    "collector-client.md",
    "collector-formats.md",
    "collector-page.md",
    "collector-reading.md",
    "collector-server.md",
    "gunicorn.md",
    "health-checks.md",
    "health-endpoints.md",
    "health.md",
    "javascript.md",
    "keys.md",
    "monitor-command.md",
    "process-pools.md",
    "tutorial.md",
    "uvicorn.md",
}

# Pages whose first line still states the audience and not the benefit.
_WITH_AUDIENCE = {
    "async-log-client.md",
    "background.md",
    "changelog.md",
    "collector-client.md",
    "collector-formats.md",
    "collector-protocol.md",
    "collector-reading.md",
    "collector-server.md",
    "collector.md",
    "contributing.md",
    "health-checks.md",
    "health-endpoints.md",
    "health.md",
    "loggers.md",
    "monitor-command.md",
}

_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:[ _T]\d\d(?:[:-]\d\d){0,2}(?:[.,]\d+)?)?")
_DONE = "the command is done:"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, with the comment before it, if any."""

    page: str
    line: int
    language: str
    text: str
    comment: str

    @property
    def is_run(self) -> bool:
        """True if these tests run the block, or save it as a file."""
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
    # The build of the docs runs MyST's own blocks, such as {eval-rst}.
    return [block for block in found if not block.language.startswith("{")]


class Shell:
    """One bash that runs the commands of a page in sequence; on exit it kills all remaining processes."""

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
        """Run ``command``, which must succeed, and return its output, without that of background processes."""
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
                assert status.strip() == "0", f"{command}\n{output}{self._background_output()}"
                return output
        raise AssertionError(f"{command}\nended the shell\n{output}")

    def _background_output(self) -> str:
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
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[pytest.mark.slow] if page.name in _SLOW else [], id=page.name)
        for page in _PAGES
        if _blocks(page)
    ],
)
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


def test_every_block_that_does_not_run_is_listed() -> None:
    """Only the listed blocks do not run, and the page gives the reason for each."""
    skipped = [block for page in _PAGES for block in _blocks(page) if not block.is_run]

    assert {(block.page, block.first_line) for block in skipped} == _NOT_RUN
    assert len(skipped) == len(_NOT_RUN)
    assert all(block.comment.removeprefix("not run: ") for block in skipped)


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_every_file_of_a_page_is_used(page: pathlib.Path) -> None:
    """A later block runs, imports or reads each block that is saved as a file."""
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
    """Output may differ from the page only in dates, times and the text that ``...`` matches."""
    assert _matches(shown, output) is same


def test_failing_command_fails_the_test(tmp_path: pathlib.Path) -> None:
    """If a command of a page fails, the test of the page fails."""
    with Shell(tmp_path) as shell, pytest.raises(AssertionError):
        shell.run("python -c 'raise SystemExit(3)'")


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    """Every relative link of a page refers to an existing file, and to an existing heading if it has an anchor."""
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


@pytest.mark.parametrize(
    "page", [page for page in _PAGES[1:] if page.name not in _WITH_AUDIENCE], ids=lambda page: page.name
)
def test_page_opens_with_the_benefit(page: pathlib.Path) -> None:
    """The first line below the title of every page of docs/ states the benefit and not the audience."""
    title, first = [line for line in page.read_text(encoding="utf-8").splitlines() if line][:2]

    assert title.startswith("# ")
    assert re.match(r"[A-Z`]", first), first
    assert not re.match(r"(For|If you|Users|People|This (page|guide|chapter)) ", first), first


@pytest.mark.parametrize(
    ("page", "search"),
    [
        ("gunicorn.md", "gunicorn log rotation"),
        ("django.md", "Django runserver log rotation"),
        ("uvicorn.md", "uvicorn log rotation workers"),
        ("celery.md", "Celery log rotation"),
        ("process-pools.md", "multiprocessing logging RotatingFileHandler"),
        ("daemons.md", "log from a daemon python-daemon files_preserve systemd chroot"),
        ("javascript.md", "log from Node.js browser"),
        ("collector-page.md", "search logs browser trace live"),
        ("symptoms.md", "PermissionError: [WinError 32]"),
        ("symptoms.md", "log rotation loses lines"),
        ("symptoms.md", "multiprocessing RotatingFileHandler"),
        ("symptoms.md", "log lines are lost"),
        ("symptoms.md", "OSError: [Errno 9] Bad file descriptor after daemonizing"),
    ],
)
def test_page_contains_the_words_of_a_search(page: str, search: str) -> None:
    """The opening of a page contains the words that a reader with this problem searches for."""
    text = (_DOCS / page).read_text("utf-8")
    opening = text if page == "symptoms.md" else text.partition("```")[0]

    assert [word for word in search.split() if word.lower() not in opening.lower()] == []


def test_picture_of_the_stress_test_is_described() -> None:
    """The README and the index state the numbers of the picture, and the picture has the rows of the command."""
    pytest.importorskip("rich")
    from concurrent_log.stress import table

    rows = {row[0]: row[1:] for row in _rows_of_picture((_DOCS / "images" / "stress.svg").read_text("utf-8")) if row}
    records, lost, misplaced = rows["records"], rows["lost"], rows["wrong period"]

    assert {name for name, *_ in table._ROWS} <= set(rows), "update the picture: python tests/pictures/stress.py"
    assert (lost[1:], misplaced[2]) == (["0", "0"], "0")
    for page in (_ROOT / "README.md", _DOCS / "index.md"):
        text = " ".join(page.read_text("utf-8").split())
        assert f"the standard handler lost {lost[0]} of {records[0]} records" in text
        assert f"concurrent-log-handler lost none and wrote {misplaced[1]} into the wrong period" in text


def _rows_of_picture(picture: str) -> Iterator[list[str]]:
    """Yield the cells of each line of a table in an SVG by rich."""
    lines: dict[str, str] = {}
    for line, text in re.findall(r'clip-path="url\(#console-line-(\d+)\)">([^<]*)</text>', picture):
        lines[line] = lines.get(line, "") + html.unescape(text).replace("\N{NO-BREAK SPACE}", " ")
    for text in lines.values():
        yield [cell.strip() for cell in re.findall(r"(?<=\u2502)[^\u2502]+(?=\u2502)", text)]


@pytest.mark.parametrize("documented", [*_IN_THE_PACKAGE, ServiceMonitor], ids=lambda documented: documented.__name__)
def test_table_of_parameters_shows_the_defaults(documented: type) -> None:
    """The tables of the reference list every parameter in order, with the default of the signature."""
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
    """The newest version in the changelog is the version of the package."""
    versions = re.findall(r"^## \[?([\d.]+)", (_DOCS / "changelog.md").read_text("utf-8"), re.MULTILINE)

    assert versions[0] == concurrent_log.__version__


def test_ci_runs_the_command_of_the_readme() -> None:
    """CI runs the exact command of the README."""
    command = "python -m pip install '.[test]' && python -m pytest"

    assert f'bash -c "{command}"\n' in (_ROOT / ".ci" / "run").read_text("utf-8")
    assert ("README.md", command) in _NOT_RUN


def test_no_page_installs_from_pypi() -> None:
    """PyPI has another package of this name, so every install command names a folder."""
    for page in _PAGES:
        for block in _blocks(page):
            for arguments in re.findall(r"pip install (.*)", block.text):
                assert re.search(r"(^|[\s'\"])\.", arguments), f"{block}: {arguments}"
        named = re.findall(r"pip install[^`&\n]*concurrent[-_]log(?!-handler)[^`\n]*", page.read_text("utf-8"))
        assert named == [], page.name


def test_reference_lists_every_option_of_the_stress_test() -> None:
    """The reference lists exactly the options that ``--help`` shows."""
    command = [sys.executable, "-m", "concurrent_log", "stress", "--help"]
    shown = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=True).stdout
    rows = [line for line in (_DOCS / "reference.md").read_text().splitlines() if line.startswith("| `--")]
    listed = set(re.findall(r"--[a-z-]+", "".join(rows)))

    assert listed == set(re.findall(r"^ +(?:-h, )?(--[a-z-]+)", shown, re.MULTILINE)) - {"--help"}
