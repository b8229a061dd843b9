"""The configuration file: its settings, and a one-line message for each error."""

import re
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from concurrent_log.__main__ import main
from concurrent_log.health.configuration import Configuration, ConfigurationError, monitor_from
from concurrent_log.health.configuration.toml_file import TomlFile
from support.processes import run

_SECRETS = {"DB_PASSWORD": "hunter2", "DATABASE_URL": "postgresql://shop:hunter2@db.internal/orders", "EMPTY": ""}
_ADDRESS = "tcp://127.0.0.1:1"


def saved(folder: Path, text: "str | bytes") -> Path:
    """Write ``text`` to a configuration file, and return its path."""
    path = folder / "services.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def error_message(folder: Path, text: "str | bytes") -> str:
    """Return the error message for an invalid file, without the folder. It must contain no secret."""
    with pytest.raises(ConfigurationError) as caught:
        monitor_from(saved(folder, text), _SECRETS)
    shown = "".join(traceback.format_exception(caught.value))

    assert not re.search("hunter2|db.internal|orders", shown)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{folder}/")


def test_settings_of_the_monitor_and_of_services(tmp_path: Path) -> None:
    """Settings at the top apply to all services, and those of a table to one service."""
    text = f"""
interval = 60
slow = 2
jitter = 0
report_interval = false

[services.database]
check = "{_ADDRESS}"
slow = 0.5
failure_threshold = 5
critical = false

[services]
disk.check = "disk:/"
disk.free_percent = 5
"""
    monitor = monitor_from(saved(tmp_path, text))
    database, disk = monitor.services["database"], monitor.services["disk"]

    assert (monitor.jitter, monitor.report_interval) == (0, None)
    assert (database.policy.interval, database.policy.slow, database.policy.failure_threshold) == (60, 0.5, 5)
    assert (disk.policy.interval, disk.policy.slow, disk.policy.failure_threshold) == (60, 2, 3)
    assert (database.health.critical, disk.health.critical) == (False, True)


def test_single_failure_is_enough_with_one_check(tmp_path: Path) -> None:
    """With one check only, the thresholds in the file are ignored."""
    text = f'failure_threshold = 9\n[services.a]\ncheck = "{_ADDRESS}"\n[services.b]\ncheck = "{_ADDRESS}"\n'
    configuration = Configuration(saved(tmp_path, text + "failure_threshold = 8\n"))
    once, repeatedly = (configuration.monitor(once=once).services for once in (True, False))

    assert {each.policy.failure_threshold for each in once.values()} == {1}
    assert [each.policy.failure_threshold for each in repeatedly.values()] == [9, 8]


def test_variables_are_expanded_in_every_string(tmp_path: Path) -> None:
    """Variables are expanded when the file is read. ``$${`` is a literal ``${``, and a variable may be empty."""
    text = """
[services.a]
check = "python:${MODULE}:dumps"
[logging]
version = 1
[logging.formatters.line]
format = "$${message}${EMPTY} $100"
style = "$"
[logging.handlers.null]
class = "logging.NullHandler"
args = ["${MODULE}"]
"""
    configuration = Configuration(saved(tmp_path, text), {"MODULE": "json", **_SECRETS})

    assert list(configuration.monitor().services) == ["a"]
    assert configuration._content["logging"]["formatters"]["line"]["format"] == "${message} $100"
    assert configuration._content["logging"]["handlers"]["null"]["args"] == ["json"]


def test_byte_order_mark_and_crlf_are_accepted(tmp_path: Path) -> None:
    """Editors on Windows may save a byte order mark and CRLF line endings."""
    text = f'interval = 7\r\n[services."데이터"]\r\ncheck = "{_ADDRESS}"\r\n'

    assert list(monitor_from(saved(tmp_path, b"\xef\xbb\xbf" + text.encode())).services) == ["데이터"]


def test_unreadable_file_is_reported(tmp_path: Path) -> None:
    """The error names the path and the reason."""
    with pytest.raises(ConfigurationError, match=r"none\.toml: cannot be read: no such file or directory$"):
        monitor_from(tmp_path / "none.toml")
    with pytest.raises(ConfigurationError, match=r"cannot be read: is a directory$"):
        monitor_from(tmp_path)
    with pytest.raises(ConfigurationError, match="not a valid file name"):
        monitor_from("a\0b.toml")


def in_service(*lines: str) -> str:
    """Return a configuration with one service, whose table contains ``lines``, from line 3 on."""
    return "\n".join(["interval = 30", "[services.database]", *lines, ""])


_CHECK = f'check = "{_ADDRESS}"'


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "no services: add a table [services.database] with check ="),
        ("interval = 30\n\n", 1, "no services"),
        ("interval = 30\nservices = 5", 2, "no services"),
        ("[services]\n", 1, "no services"),
        ("[services]\ndatabase = 5", 2, "'database' must be a table [services.database]"),
        ("interval = \n", 1, "invalid TOML: invalid value"),
        (
            f"[services.a]\n{_CHECK}\n[services.a]\n{_CHECK}",
            3,
            "invalid TOML: cannot declare ('services', 'a') twice",
        ),
        (f"[services.a]\n{_CHECK}\n{_CHECK}", 3, "invalid TOML: cannot overwrite a value"),
        ('[services.a]\ncheck = """redis://:hunter2@db.internal', 2, "invalid TOML: "),
        ("[services.a]\ncheck = redis://:hunter2@db.internal", 2, "invalid TOML: invalid value"),
        ("a = " + "[" * 9999, 1, "invalid TOML"),
        (b"[services.a]\ncheck = '\xff'", 2, "the file is not UTF-8: save it in that encoding"),
        (f"[service.a]\n{_CHECK}", 1, "unknown key 'service': use one of interval, timeout,"),
        (f"[services.a]\n{_CHECK}\n[loging]", 3, "unknown key 'loging'"),
        (f"logging = 1\n[services.a]\n{_CHECK}", 1, "logging must be a table"),
        (f"# all\n\ninterval = -1\n[services.a]\n{_CHECK}", 3, "interval=-1 must be more than 0 seconds"),
        (f"jitter = 2\n[services.a]\n{_CHECK}", 1, "jitter=2 must be from 0 to 1"),
        (f"slow = 'no'\n[services.a]\n{_CHECK}", 1, "slow must be a number of seconds, not 'no'"),
        (f"report_interval = true\n[services.a]\n{_CHECK}", 1, "report_interval must be a number"),
        (in_service("slow = 1"), 2, 'check must be a string, such as check = "tcp://'),
        (in_service("slow = 1", "check = 5"), 4, "check must be a string"),
        (in_service("check = []"), 3, "check must be a string"),
        (in_service('check = "hello"'), 3, "no scheme"),
        (in_service('check = ""'), 3, "no scheme"),
        (in_service('check = "gopher://old"'), 3, "gopher:// is not a known scheme"),
        (in_service('check = "gopher://a:hunter2@db.internal/orders"'), 3, "gopher:// is not a known scheme"),
        (in_service('check = "tcp://a:hunter2@db.internal:x"'), 3, "url must be of the form"),
        (in_service('check = "${DATABASE_URL}#b"'), 3, "url must be of the form"),
        (in_service('check = "gopher${DB_PASSWORD}://x"'), 3, "gopher…:// is not a known scheme"),
        (in_service('check = "${DB_PASSWORT}"'), 3, "the environment variable DB_PASSWORT is not set: set it"),
        (in_service('check = "${A-B}"'), 3, "${A-B} is not a valid variable name"),
        (in_service('check = "redis://:${DB_PASSWORD@db"'), 3, "${ without }: write"),
        (in_service('check = "python:no_such_module:check"'), 3, "no_such_module"),
        (in_service('check = "python:json:nothing"'), 3, "does not name a function"),
        (in_service(_CHECK, "", "statsu = 200"), 5, "'statsu' is not an option of the check tcp"),
        (in_service(_CHECK, "slow = -0.5"), 4, "slow=-0.5 must be more than 0 seconds"),
        (in_service(_CHECK, "timeout = inf"), 4, "timeout=inf must be"),
        (in_service(_CHECK, 'interval = "1"'), 4, "interval must be a number of seconds, not '1'"),
        (in_service(_CHECK, 'interval = "${DB_PASSWORD}"'), 4, "interval must be a number of seconds, not …"),
        (in_service(_CHECK, "failure_threshold = 1.5"), 4, "failure_threshold must be a whole number, not 1.5"),
        (in_service(_CHECK, 'critical = "no"'), 4, "critical must be true or false, not 'no'"),
        (in_service('check = "disk:/"', "free_percent = [", "  200,", "]"), 3, "not supported between"),
        (in_service('check = "disk:/"', "free_percent = 200"), 4, "free_percent=200 must be from 0 to less than 100"),
        (in_service('check = """', f'{_ADDRESS}x"""'), 3, ""),
        (f"[services]\na = {{{_CHECK}, slow = 0}}", 2, "slow=0 must be more than 0 seconds"),
        (f"[services]\na.{_CHECK}\na.slow = 0", 3, "slow=0 must be more than 0 seconds"),
        (f'[services."a\\u0007"]\n{_CHECK}', 2, "the name of a service must be printable"),
        (f'[services.""]\n{_CHECK}', 2, "the name of a service must be printable, and not empty"),
    ],
)
def test_error_message_is_one_line(tmp_path: Path, text: "str | bytes", line: int, message: str) -> None:
    """Each error message is one line with the file and the line number, and without secrets."""
    found = error_message(tmp_path, text)

    assert found.startswith(f"services.toml:{line}: ")
    assert message in found or re.search(message, found)


def test_missing_library_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message for a missing client library ends with the command that installs it."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    found = error_message(tmp_path, in_service('check = "postgresql://shop:${DB_PASSWORD}@db.internal/orders"'))

    assert found.startswith("services.toml:3: ")
    assert found.endswith(": pip install asyncpg")


@pytest.mark.parametrize(
    "statement",
    ["raise SystemExit(3)", "raise ValueError('redis://:hunter2@db.internal/0')", "import no_such_module", "1 +"],
)
def test_module_of_a_check_may_raise_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str) -> None:
    """A module that exits, raises, or has a syntax error is reported like any other error."""
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "shop_checks.py").write_text(statement)

    assert error_message(tmp_path, in_service('check = "python:shop_checks:check"')).startswith("services.toml:3: ")


def test_timeout_is_passed_to_the_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The timeout of a service is also that of its check, if the check has one; that of a disk has none."""
    created: list[dict[str, Any]] = []
    from concurrent_log.health import configuration

    def recorded(text: str, **options: Any) -> Any:
        created.append(options)
        return real(text, **options)

    real = configuration.from_url
    monkeypatch.setattr(configuration, "from_url", recorded)
    text = (
        f'timeout = 20\n[services.a]\n{_CHECK}\n[services.b]\n{_CHECK}\ntimeout = 3\n[services.c]\ncheck = "disk:/"\n'
    )
    monitor = monitor_from(saved(tmp_path, text))

    assert [each.policy.timeout for each in monitor.services.values()] == [20, 3, 20]
    assert created == [{"timeout": 20}, {"timeout": 3}, {"timeout": 20}, {}]


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("first",), 2),
        (("services",), 6),
        (("services", "a b", "check"), 7),
        (("services", "a b", "text"), 8),
        (("services", "a b", "after"), 11),
        (("services", "a b", "sub", "key"), 13),
        (("services", "list"), 14),
        (("services", "a b", "nothing"), 6),
        (("nothing",), 1),
        ((), 1),
    ],
)
def test_line_number_of_a_key(tmp_path: Path, keys: tuple[str, ...], line: int) -> None:
    """The parser finds the line, so that strings that look like tables do not confuse it."""
    text = """# [services]
first = [
  1, # services
]

[services . "a b"] # comment
check = "x = 1"
text = '''
[services.c]
after = 1'''
after = 2
[services."a b".sub]
key = 1
[[services.list]]
"""

    assert TomlFile(saved(tmp_path, text)).line_of(*keys) == line


def test_command_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints only the error message, on stderr."""
    path = saved(tmp_path, "interval = 0\n[services.a]\n" + _CHECK)

    assert main(["monitor", str(path), "--once", "--json"]) == 2
    assert capsys.readouterr() == (
        "",
        f"concurrent-log monitor: {path}:1: interval=0 must be more than 0 seconds, and finite\n",
    )


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ("[logging]\n", 3, "dictionary doesn't specify a version"),
        ("[logging]\nversion = 1\n[logging.handlers.mail]\nclass = 'no.such'\n", 5, "configure handler 'mail'"),
        ("[logging]\nversion = 1\n[logging.loggers.x]\nhandlers = ['${TOKEN}']", 5, "configure logger 'x'"),
    ],
)
def test_logging_error_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, line: int, message: str
) -> None:
    """An error in the table [logging] is reported in one line, too."""
    monkeypatch.setenv("TOKEN", "hunter2")
    saved(tmp_path, f"[services.a]\n{_CHECK}\n{lines}")
    program = (
        "import sys; from concurrent_log.__main__ import main; sys.stderr = sys.stdout; sys.exit(main(sys.argv[1:]))"
    )
    output = run(tmp_path, "-c", program, "monitor", "services.toml", "--once", status=2)

    assert output.startswith(f"concurrent-log monitor: services.toml:{line}: ")
    assert message in output
    assert output.count("\n") == 1
    assert "hunter2" not in output
