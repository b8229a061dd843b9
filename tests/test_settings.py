"""Settings from the command line, the environment, and files."""

import json
import logging
import pathlib

import pytest

from concurrent_log.loggers import LogLevel
from concurrent_log.settings import configuration_file, configure_logging, parse_app_env, parse_log_level


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no environment say anything."""
    monkeypatch.delenv("APP_ENV", raising=False)
    monkeypatch.delenv("LOG_LEVEL", raising=False)


@pytest.mark.parametrize(
    ("args", "level"),
    [
        (["logLevel=DEBUG", "other_arg=value"], LogLevel.DEBUG),
        (["other", "LOGLEVEL=warn"], LogLevel.WARN),
        (["--logLevel=trace"], LogLevel.TRACE),
        (["logLevel=FATAL", "logLevel=DEBUG"], LogLevel.FATAL),
        (["level=DEBUG", "logLevel"], LogLevel.ALL),
        (["logLevel="], LogLevel.ALL),
        ([], LogLevel.ALL),
    ],
)
def test_level_is_that_of_the_first_argument_that_names_one(args: list[str], level: LogLevel) -> None:
    """Case and other arguments do not matter, and without one everything is logged."""
    assert parse_log_level(args) is level


def test_level_of_the_environment_holds_where_no_argument_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is typed for one run comes before what holds for all."""
    monkeypatch.setenv("LOG_LEVEL", "error")

    assert parse_log_level([]) is LogLevel.ERROR
    assert parse_log_level(["logLevel=INFO"]) is LogLevel.INFO


def test_arguments_are_those_of_the_process_where_none_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program need not pass them on."""
    monkeypatch.setattr("sys.argv", ["main.py", "logLevel=INFO", "app_env=local"])

    assert parse_log_level() is LogLevel.INFO
    assert parse_app_env() == "LOCAL"


def test_unknown_level_of_an_argument_is_said() -> None:
    """A mistyped level is not taken for "everything"."""
    with pytest.raises(ValueError, match=r"^logLevel=DEBG is unknown: use FATAL, ERROR, .*ALL"):
        parse_log_level(["logLevel=DEBG"])


def test_unknown_level_of_the_environment_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names where it stands."""
    monkeypatch.setenv("LOG_LEVEL", "loud")

    with pytest.raises(ValueError, match=r"^LOG_LEVEL=loud is unknown"):
        parse_log_level([])


def test_environment_comes_before_the_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    """APP_ENV, then app_env=, then RELEASE."""
    assert parse_app_env([]) == "RELEASE"
    assert parse_app_env(["APP_ENV=local"]) == "LOCAL"

    monkeypatch.setenv("APP_ENV", "prod")

    assert parse_app_env(["app_env=LOCAL"]) == "PROD"


@pytest.mark.parametrize(
    ("app_env", "name"),
    [
        ("LOCAL", "base_web_server-config_local.json"),
        ("debug", "base_web_server-config_debug.json"),
        ("STAGING", "base_web_server-config_staging.json"),
        ("PROD", "base_web_server-config.json"),
        ("RELEASE", "base_web_server-config.json"),
    ],
)
def test_each_environment_has_its_file(tmp_path: pathlib.Path, app_env: str, name: str) -> None:
    """RELEASE and PROD share the file without a suffix."""
    (tmp_path / name).touch()

    assert configuration_file(tmp_path / "base_web_server-config.json", app_env) == tmp_path / name


def test_environment_of_blanks_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that is set to nothing says nothing."""
    monkeypatch.setenv("APP_ENV", "  ")

    assert parse_app_env(["app_env=LOCAL"]) == "LOCAL"
    assert parse_app_env(["app_env= "]) == "RELEASE"


@pytest.mark.parametrize("app_env", ["../secret", "", "a b", "a/b"])
def test_environment_that_is_no_word_is_refused(tmp_path: pathlib.Path, app_env: str) -> None:
    """It is part of the name of a file, and leads to no other folder."""
    with pytest.raises(ValueError, match="must be a word, such as LOCAL"):
        configuration_file(tmp_path / "server.json", app_env)


def test_missing_file_is_named_with_its_environment(tmp_path: pathlib.Path) -> None:
    """Who reads the message knows which file to make, or which environment was meant."""
    with pytest.raises(
        FileNotFoundError, match=r"server_local\.json, the configuration for app_env=LOCAL, does not exist: create it$"
    ):
        configuration_file(tmp_path / "server.json", "LOCAL")


def test_logging_is_configured_by_the_section_of_the_file(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call chooses the file, configures, and returns the rest of the settings."""
    section = {"version": 1, "disable_existing_loggers": False, "loggers": {"tests.settings": {"level": "ERROR"}}}
    (tmp_path / "server_local.json").write_text(json.dumps({"port": 80, "logging": section}))

    settings = configure_logging(tmp_path / "server.json", ["app_env=LOCAL"])

    assert settings["port"] == 80
    assert logging.getLogger("tests.settings").level == logging.ERROR


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n  "logging": {,}\n}', r"server\.json:2:15: this is not JSON"),
        ('{"port": 80}', r"server\.json has no section 'logging'"),
        ("[1]", r"server\.json has no section 'logging'"),
        ('{"logging": {}}', r"server\.json, section 'logging': .*version"),
        ('{"logging": {"version": 1, "loggers": "cfg://no.such"}}', r"server\.json, section 'logging': 'no'"),
        (
            '{"logging": {"version": 1, "handlers": {"f": {"class": "logging.NoSuch"}}}}',
            r"server\.json, section 'logging': Unable to configure handler 'f': .*NoSuch",
        ),
    ],
)
def test_broken_file_is_named(tmp_path: pathlib.Path, text: str, message: str) -> None:
    """With the line, where it is not JSON, and with all that `logging.config` knows."""
    (tmp_path / "server.json").write_text(text)

    with pytest.raises(ValueError, match=message):
        configure_logging(tmp_path / "server.json", [])


def test_file_in_another_encoding_is_named(tmp_path: pathlib.Path) -> None:
    """UTF-8 is what JSON is in."""
    (tmp_path / "server.json").write_bytes(b'{"name": "caf\xe9"}')

    with pytest.raises(ValueError, match=r"server\.json: this is not UTF-8: .*, byte 13"):
        configure_logging(tmp_path / "server.json", [])
