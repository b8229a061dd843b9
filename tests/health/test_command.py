"""The command ``monitor``: in a terminal, in a pipe, with one check, and with its endpoints."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from concurrent_log.__main__ import main
from support.deadlines import DEADLINE
from support.processes import assert_quiet, environment

_COMMAND = ("-m", "concurrent_log", "monitor", "services.toml")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and terminals need POSIX")

_CHECKS = """
import asyncio

def healthy(): print("a check that prints")
async def unhealthy(): raise ConnectionRefusedError(111, "10.1.2.3")
"""

_FILE = """
interval = 0.1
slow = 120
timeout = 120
failure_threshold = 2
recovery_timeout = 240

[services.clock]
check = "python:checks:healthy"

[services.payments]
check = "python:checks:unhealthy"
critical = {critical}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a configuration of a service that works, and of one that does not."""
    (tmp_path / "checks.py").write_text(_CHECKS, encoding="utf-8")
    (tmp_path / "services.toml").write_text(_FILE.format(critical="true"), encoding="utf-8")
    return tmp_path


def run_once(folder: Path, *options: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run the command with one check of each service."""
    return subprocess.run(
        [sys.executable, *_COMMAND, "--once", *options],
        cwd=folder,
        env={**environment(), "COLUMNS": "80", **variables},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )


@pytest.mark.parametrize(("critical", "status", "exit_status"), [("true", "unhealthy", 1), ("false", "degraded", 0)])
def test_json_is_the_only_output(folder: Path, critical: str, status: str, exit_status: int) -> None:
    """``--json`` prints only the JSON of /health, even if checks print, and the exit status depends on the services."""
    to_stdout = '[logging.handlers.out]\nclass = "logging.StreamHandler"\nstream = "ext://sys.stdout"\n'
    root = '[logging.root]\nhandlers = ["out"]\nlevel = "INFO"\n'
    text = f"{_FILE.format(critical=critical)}\n[logging]\nversion = 1\n{to_stdout}{root}"
    (folder / "services.toml").write_text(text, encoding="utf-8")
    done = run_once(folder, "--json")
    found = json.loads(done.stdout)

    assert done.returncode == exit_status
    assert (found["status"], found["monitoring"]) == (status, False)
    assert [(each["service"], each["status"]) for each in found["services"]] == [
        ("clock", "healthy"),
        ("payments", "unhealthy"),
    ]
    assert "a check that prints" in done.stderr
    assert "payments is unhealthy: connection refused" in done.stderr
    assert_quiet(done.stderr)


def test_once_prints_a_table(folder: Path) -> None:
    """``--once`` prints a table with a symbol for each status, without colours in a pipe."""
    done = run_once(folder)
    lines = [line.strip() for line in done.stdout.splitlines()]

    assert done.returncode == 1
    assert lines[0].startswith("✘ unhealthy  services.toml")
    assert re.search(r"^payments  +✘ unhealthy  .* 1$", "\n".join(lines), re.MULTILINE)
    assert "connection refused" in lines
    assert re.search(r"^clock  +✔ healthy  .* ago$", "\n".join(lines), re.MULTILINE)
    assert "\x1b" not in done.stdout
    assert "next attempt" not in done.stdout


def test_table_uses_ascii_symbols_if_needed(folder: Path) -> None:
    """If the encoding of stdout has no other symbols, the table uses those of ASCII."""
    done = run_once(folder, PYTHONIOENCODING="ascii")

    assert "x unhealthy" in done.stdout
    assert "+ healthy" in done.stdout


@contextlib.contextmanager
def piped(folder: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """Run the command with its output in a pipe."""
    process = subprocess.Popen(
        [sys.executable, *_COMMAND, *options],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def line_with(process: "subprocess.Popen[str]", words: str) -> str:
    """Return the next line that contains ``words``."""
    assert process.stdout is not None
    return next(line for line in process.stdout if words in line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_pipe_gets_a_line_for_each_change(folder: Path, number: signal.Signals) -> None:
    """Without a terminal, each alert is a line. SIGINT and SIGTERM end the command with status 0 and a last line."""
    with piped(folder) as process:
        started = line_with(process, "has started")
        unhealthy = line_with(process, "payments is unhealthy")
        process.send_signal(number)
        rest, errors = process.communicate(timeout=DEADLINE)

    assert re.match(r"[\d-]+ [\d:,]+ INFO    monitoring has started: clock unknown, payments unknown$", started)
    assert "ERROR   payments is unhealthy: connection refused (2 failures in a row)" in unhealthy
    assert rest.splitlines()[-1].split(None, 3)[3].startswith("monitoring has stopped: payments unhealthy")
    assert process.returncode == 0
    assert "Traceback" not in errors


def test_closed_pipe_ends_the_command(folder: Path) -> None:
    """When the reader of the lines ends, such as ``head``, the command ends without an error message."""
    text = _FILE.format(critical="true").replace("interval = 0.1", "interval = 0.1\nreport_interval = 0.1")
    (folder / "services.toml").write_text(text, encoding="utf-8")
    with piped(folder) as process:
        line_with(process, "has started")
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        errors = process.stderr.read()

        assert process.wait(DEADLINE) == 1
    assert_quiet(errors)


def test_alerts_go_to_the_configured_handlers(folder: Path) -> None:
    """The table [logging] configures handlers and levels for alerts, and existing loggers stay enabled."""
    handler = '[logging.handlers.file]\nclass = "concurrent_log.ConcurrentRotatingFileHandler"\nfilename = "a.log"\n'
    root = '[logging.root]\nhandlers = ["file"]\nlevel = "${LEVEL}"\n'
    with (folder / "services.toml").open("a", encoding="utf-8") as file:
        file.write(f"[logging]\nversion = 1\n{handler}{root}")
    done = run_once(folder, "--json", LEVEL="ERROR")

    assert done.returncode == 1
    assert (folder / "a.log").read_text(encoding="utf-8").startswith("payments is unhealthy: connection refused")


def test_command_serves_the_endpoints(folder: Path) -> None:
    """With ``--listen 0``, the first line contains the URL of the endpoints, which respond."""
    with piped(folder, "--listen", "0") as process:
        address = line_with(process, "http://").split()[-1]
        line_with(process, "payments is unhealthy")
        with pytest.raises(urllib.error.HTTPError, match="503") as response:
            urllib.request.urlopen(address, timeout=DEADLINE)
        with response.value as body:
            found: Any = json.load(body)
        process.terminate()

        assert process.wait(DEADLINE) == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/health", address)
    assert (found["status"], found["monitoring"]) == ("unhealthy", True)


def test_used_port_is_reported(folder: Path) -> None:
    """A port that another program uses is reported in one line."""
    with (
        socket.create_server(("127.0.0.1", 0)) as used,
        piped(folder, "--listen", str(used.getsockname()[1])) as process,
    ):
        output, errors = process.communicate(timeout=DEADLINE)

    assert (process.returncode, output) == (2, "")
    assert re.fullmatch(r"concurrent-log monitor: cannot listen on 127\.0\.0\.1:\d+: address already in use\n", errors)


def test_terminal_shows_a_table_until_ctrl_c(folder: Path) -> None:
    """On a terminal, the command updates a table of 80 columns, which stays there after Ctrl-C."""
    from support.terminal import in_terminal

    with in_terminal(folder, _COMMAND) as terminal:
        screen = terminal.wait_until(lambda shown: "next attempt in 4 min" in shown and "alerts" in shown)
        status = terminal.end(signal.SIGINT)

    assert status == 0
    assert max(map(len, screen.splitlines())) <= 80
    assert re.search(r"payments  +✘ unhealthy  .* 2 *\n +connection refused; next attempt in 4 min *\n", screen)
    assert re.search(r"clock  +✔ healthy ", screen)
    assert re.search(r"alerts *\n  \d\d:\d\d:\d\d WARNING the circuit breaker of payments is open", screen)
    assert "\x1b[1;31m✘ unhealthy" in terminal.screen
    assert re.search(r"payments  +✘ unhealthy ", terminal.final_text)
    assert "; next attempt" not in terminal.final_text
    assert "monitoring has stopped" in terminal.final_text
    assert_quiet(terminal.output)


def test_sigterm_restores_the_terminal(folder: Path) -> None:
    """SIGTERM ends the command with status 0, and restores the terminal, with a visible cursor."""
    from support.terminal import in_terminal

    with in_terminal(folder, _COMMAND, columns=60, rows=8) as terminal:
        screen = terminal.wait_until(lambda shown: "payments" in shown)
        status = terminal.end(signal.SIGTERM)

    assert status == 0
    assert max(map(len, screen.splitlines())) <= 60
    assert terminal.output.count("\x1b[?25h") == terminal.output.count("\x1b[?25l") == 1
    assert_quiet(terminal.output)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--json"], "--json needs --once"),
        (["--once", "--listen", "80"], "--listen and --once cannot be combined"),
        (["--listen", "here"], "must be PORT or HOST:PORT"),
        (["--listen", "99999"], "must be PORT or HOST:PORT"),
        (["--listen", ":80"], "must be PORT or HOST:PORT"),
        (["--twice"], "unrecognized arguments: --twice"),
    ],
)
def test_invalid_command_line(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    """An invalid command line is reported in one line, before the file is read."""
    try:
        status = main(["monitor", "none.toml", *arguments])
    except SystemExit as end:
        status = int(end.code or 0)
    output, errors = capsys.readouterr()

    assert (status, output) == (2, "")
    assert message in errors
    assert errors.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "address"),
    [("80", ("127.0.0.1", 80)), ("0.0.0.0:0", ("0.0.0.0", 0)), ("[::1]:80", ("::1", 80)), ("db.lan:1", ("db.lan", 1))],
)
def test_address_to_listen_on(text: str, address: tuple[str, int]) -> None:
    """The address is a port, or a host and a port; an IPv6 address is in brackets."""
    from concurrent_log.health.command import _address

    assert _address(text) == address


def test_missing_rich_is_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without rich, the error ends with the command that installs it. JSON does not need it."""
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "rich" else real(name))
    path = str(folder / "services.toml")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])

    assert main(["monitor", path, "--once"]) == 2
    assert capsys.readouterr().err.endswith(", or pip install rich\n")
    assert main(["monitor", path, "--once", "--json"]) == 1


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (0, "0 s"),
        (42.4, "42 s"),
        (99, "99 s"),
        (100, "2 min"),
        (239, "4 min"),
        (7200, "2 h"),
        (1e6, "12 d"),
    ],
)
def test_duration_has_about_two_digits(seconds: float, text: str) -> None:
    """The unit of a duration depends on its length."""
    from concurrent_log.health.command.status_table import format_duration

    assert format_duration(seconds) == text
