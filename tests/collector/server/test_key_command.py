"""The command ``key``: what it prints, and what it leaves in the database."""

import json
import re

import pytest

from concurrent_log.__main__ import main

pytest.importorskip("asyncpg", reason="asyncpg is not installed: pip install asyncpg")
pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from support.collector_server import select


def key(capsys: pytest.CaptureFixture[str], database: str, *arguments: str) -> tuple[int, str, str]:
    """Run the command; return its status, its output and its errors."""
    command, *rest = arguments
    status = main(["key", command, *rest, "--database", database])
    found = capsys.readouterr()
    return status, found.out, found.err


def test_key_is_shown_once(capsys: pytest.CaptureFixture[str], database: str) -> None:
    """Stdout has the key alone, for scripts; the list and the database do not have it."""
    status, secret, errors = key(capsys, database, "create", "read", "--service", "shop", "--service", "web")
    _, listed, _ = key(capsys, database, "list")

    assert status == 0
    assert re.fullmatch(r"cl_read_[\w-]{43}\n", secret)
    assert "not shown again" in errors
    assert secret.strip() not in errors + listed
    assert re.search(r"^[0-9a-f]{8}  read  read shop web  shop web  .*  never      valid$", listed, re.MULTILINE)


def test_without_an_admin_key_the_command_says_how_to_create_one(
    capsys: pytest.CaptureFixture[str], database: str
) -> None:
    """A first key closes the server for requests without a key, so the command names the next step."""
    first = key(capsys, database, "create", "send", "--service", "shop")[2]
    key(capsys, database, "create", "admin")
    later = key(capsys, database, "create", "send", "--service", "web")[2]

    assert "concurrent-log key create admin" in first
    assert "create admin" not in later


def test_revoked_key_is_listed_as_revoked(capsys: pytest.CaptureFixture[str], database: str) -> None:
    """A key can be revoked once; an unknown id is an error that names the list."""
    key(capsys, database, "create", "admin", "--expires", "90d")
    (key_id,) = [row[0] for row in select(database, "SELECT id FROM keys")]
    assert "  until 20" in key(capsys, database, "list")[1]

    assert key(capsys, database, "revoke", key_id)[0] == 0
    assert key(capsys, database, "list")[1].rstrip().endswith("revoked")
    status, _, errors = key(capsys, database, "revoke", key_id)
    assert (status, errors.count("\n"), "concurrent-log key list" in errors) == (2, 1, True)


def test_each_use_is_recorded(capsys: pytest.CaptureFixture[str], database: str) -> None:
    """Creating and revoking leave a record that names the key and the user, without the secret."""
    secret = key(capsys, database, "create", "send", "--service", "shop")[1].strip()
    key(capsys, database, "revoke", select(database, "SELECT id FROM keys")[0][0])
    found = select(database, "SELECT service, logger, message, attributes FROM logs ORDER BY id")

    assert [row[:2] for row in found] == [("concurrent_log", "concurrent_log.audit")] * 2
    assert [row[2].partition(": ")[2] for row in found] == ["created a key", "revoked a key"]
    assert json.loads(found[0][3])["kind"] == "send"
    assert secret not in repr(found)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "admin", "--service", "shop"], "an admin key cannot be limited"),
        (["create", "send", "--expires", "soon"], "expires must be like 12h, 90d, 52w or 2027-01-31, not 'soon'"),
        (["create", "send", "--expires", "2001-01-01"], "must be in the future"),
        (["create", "send", "--bytes-per-minute", "lots"], "bytes-per-minute must be a size"),
        (["create", "send", "--origin", "https://a.example"], "needs a service"),
    ],
)
def test_invalid_key_has_a_one_line_message(
    capsys: pytest.CaptureFixture[str], tmp_path: object, arguments: list[str], message: str
) -> None:
    """An invalid option ends the command with status 2 and one line; nothing is created."""
    status, output, errors = key(capsys, f"{tmp_path}/logs.sqlite3", *arguments)

    assert (status, output, errors.count("\n")) == (2, "", 1)
    assert message in errors
