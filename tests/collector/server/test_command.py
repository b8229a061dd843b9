"""The command ``serve``: its options, its output, and its shutdown."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from concurrent_log.__main__ import main
from support.deadlines import DEADLINE
from support.paths import DOCS

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from collector.server.conftest import TOKEN, StartServer
from concurrent_log.collector.server.settings import ServerSettings
from concurrent_log.collector.server.uvicorn_server import open_socket
from support.collector_server import Server
from support.processes import environment

_BEARER = {"Authorization": f"Bearer {TOKEN}"}


def test_output_shows_how_to_send_a_first_record(start: StartServer, tmp_path: Path) -> None:
    """The printed command works unchanged, also with a token in the environment."""
    server = start(str(tmp_path / "logs.sqlite3"), CONCURRENT_LOG_TOKEN=TOKEN)
    line = next(line for line in server.output.splitlines() if "curl" in line)
    command = line[line.index("curl") :].replace("curl", "curl -sS", 1)
    variables = {**environment(), "CONCURRENT_LOG_TOKEN": TOKEN}
    done = subprocess.run(["bash", "-c", command], env=variables, capture_output=True, text=True, timeout=DEADLINE)

    assert json.loads(done.stdout)["stored"] == 1
    assert server.select("SELECT level, message FROM logs") == [("INFO", "hello")]
    assert f"{server.url}/" in server.output
    assert TOKEN not in server.output


def test_default_database_is_created(tmp_path: Path) -> None:
    """Without --database, an SQLite file is created in the data directory."""
    with Server(tmp_path, "", "--data-directory", str(tmp_path / "data")) as server:
        server.send([{"message": "one"}])

        assert (tmp_path / "data" / "logs.sqlite3").exists()
        assert str(tmp_path / "data" / "logs.sqlite3") in server.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "port must be a whole number from 0 to 65,535, not '70000'"),
        (["--retention-days", "0"], "retention-days must be a whole number from 1"),
        (["--max-body", "lots"], "max-body must be a size from 1K to 1G, such as 16M, not 'lots'"),
        (["--cors-origin", "shop.example"], "an origin must be like https://shop.example"),
        (["--token-file", "missing.txt"], "the token file cannot be read"),
        (["--token", "a b"], "no spaces"),
        (["--token", "fifteen-letters"], "at least 16 characters, not 15"),
        (["--trusted-proxy", "10.0.0.1/8"], "trusted-proxy must be an address or a network"),
        (["--service-retention", "shop"], "service-retention must be a service and a number of days"),
        (["--user-header", "X-User"], "user-header needs trusted-proxy"),
        (["--admin-user", "anna"], "admin-user needs user-header"),
        (["--disable-format", "syslog"], "disable-format must be one of elasticsearch"),
        (["--database", "/dev/null/logs"], "cannot be opened as an SQLite database"),
        (["--database", "postgresql://anna:secret@127.0.0.1:notaport/x"], "not a valid PostgreSQL address"),
        (["--host", "203.0.113.1", "--token", TOKEN], "cannot listen at 203.0.113.1"),
    ],
)
def test_invalid_option_has_a_one_line_message(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An invalid option ends the server with status 2 and one line, which contains no secret."""
    status = main(["serve", "--data-directory", str(tmp_path), "--port", "0", *arguments])
    error = capsys.readouterr().err

    assert status == 2
    assert message in error
    assert error.count("\n") == 1
    assert "secret@" not in error


def test_token_can_be_in_a_file(start: StartServer, tmp_path: Path) -> None:
    """Other users can see the options of a process, but not the content of the token file."""
    (tmp_path / "token.txt").write_text(f"{TOKEN}\n", encoding="utf-8")
    server = start(str(tmp_path / "logs.sqlite3"), "--host", "0.0.0.0", "--token-file", str(tmp_path / "token.txt"))

    assert server.ask("POST", "/logs", b'{"logs": []}')[0] == 401
    assert server.ask("POST", "/logs", b'{"logs": []}', **_BEARER)[0] == 200


def test_missing_packages_are_named(tmp_path: Path) -> None:
    """The command line works without the server's packages, and says how to install them."""
    code = (
        "import sys\n"
        "for name in ('asyncpg', 'fastapi', 'msgspec', 'uvicorn', 'pydantic', 'urllib3', 'tenacity'):\n"
        "    sys.modules[name] = None\n"
        "from concurrent_log.__main__ import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code, *arguments], env=environment(), capture_output=True, text=True)
        for arguments in (["--help"], ["serve", "--help"], ["serve"])
    ]

    assert [run.returncode for run in runs] == [0, 0, 2]
    assert runs[2].stderr == (
        "concurrent-log serve: the server needs asyncpg, fastapi, msgspec, uvicorn: "
        "in a clone, run python -m pip install '.[server]'\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_the_server(new_server: Server, number: signal.Signals) -> None:
    """The server ends with status 0, without output, and the acknowledged batch is stored."""
    new_server.send([{"message": "one"}])

    assert new_server.stop(number) == 0
    assert new_server.count() == 1
    assert new_server.errors == ""


def test_shutdown_finishes_requests_in_progress(new_sqlite_server: Server) -> None:
    """A batch whose body is still arriving at shutdown is stored and acknowledged."""
    body = b'{"logs": [{"message": "slow"}]}'
    with socket.create_connection(("127.0.0.1", new_sqlite_server.port)) as connection:
        connection.sendall(b"POST /logs HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body))
        connection.sendall(body[:10])
        time.sleep(0.3)  # until the server waits for the rest; if it is slower, the test is weaker, but passes
        new_sqlite_server.process.send_signal(signal.SIGTERM)
        connection.sendall(body[10:])
        answer = connection.makefile("rb").read()

    assert b'"stored":1' in answer
    assert new_sqlite_server.process.wait(DEADLINE) == 0
    assert new_sqlite_server.count() == 1


def test_responses_are_not_delayed_by_nagle() -> None:
    """The socket's protocol is TCP, so that asyncio sets TCP_NODELAY; otherwise each response takes 40 ms."""
    with open_socket(ServerSettings("unused", port=0)) as where:
        assert where.proto == socket.IPPROTO_TCP


def test_documentation_lists_all_options(capsys: pytest.CaptureFixture[str]) -> None:
    """``--help`` and docs/collector-server.md list the same options, and the page has each variable."""
    with pytest.raises(SystemExit):
        main(["serve", "--help"])
    shown = set(re.findall(r"^ +(--[a-z-]+)", capsys.readouterr().out, re.MULTILINE))
    page = (DOCS / "collector-server.md").read_text(encoding="utf-8")
    listed = dict(re.findall(r"^\| `(--[a-z-]+)` \| `(\w+)` \|", page, re.MULTILINE))

    assert set(listed) == shown - {"--help"}
    assert all(listed[option] == f"CONCURRENT_LOG_{option[2:].replace('-', '_').upper()}" for option in listed)
