"""Settings from the command line, the environment, and files."""

import json
import logging
import pathlib

import pytest

from concurrent_log.loggers import LogLevel
from concurrent_log.settings import configuration_file, configure_logging, parse_app_env, parse_log_level


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the variables from the environment."""
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
def test_level_is_that_of_the_first_matching_argument(args: list[str], level: LogLevel) -> None:
    """Case and other arguments do not matter, and by default everything is logged."""
    assert parse_log_level(args) is level


def test_argument_takes_precedence_over_log_level(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument is for one run, the variable for all."""
    monkeypatch.setenv("LOG_LEVEL", "error")

    assert parse_log_level([]) is LogLevel.ERROR
    assert parse_log_level(["logLevel=INFO"]) is LogLevel.INFO


def test_arguments_are_those_of_the_process_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program does not have to pass them."""
    monkeypatch.setattr("sys.argv", ["main.py", "logLevel=INFO", "app_env=local"])

    assert parse_log_level() is LogLevel.INFO
    assert parse_app_env() == "LOCAL"


def test_unknown_level_of_an_argument_is_an_error() -> None:
    """A misspelt level does not mean "everything"."""
    with pytest.raises(ValueError, match=r"^logLevel=DEBG is unknown: use FATAL, ERROR, .*ALL"):
        parse_log_level(["logLevel=DEBG"])


def test_unknown_level_of_the_environment_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable."""
    monkeypatch.setenv("LOG_LEVEL", "loud")

    with pytest.raises(ValueError, match=r"^LOG_LEVEL=loud is unknown"):
        parse_log_level([])


def test_app_env_takes_precedence_over_the_argument(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_blank_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that contains only blanks counts as unset."""
    monkeypatch.setenv("APP_ENV", "  ")

    assert parse_app_env(["app_env=LOCAL"]) == "LOCAL"
    assert parse_app_env(["app_env= "]) == "RELEASE"


@pytest.mark.parametrize("app_env", ["../secret", "", "a b", "a/b"])
def test_environment_that_is_not_a_word_is_rejected(tmp_path: pathlib.Path, app_env: str) -> None:
    """It is part of a file name, and must not lead to another folder."""
    with pytest.raises(ValueError, match="must be a word, such as LOCAL"):
        configuration_file(tmp_path / "server.json", app_env)


def test_missing_file_is_named_with_its_environment(tmp_path: pathlib.Path) -> None:
    """The message names the missing file and the environment."""
    with pytest.raises(
        FileNotFoundError, match=r"server_local\.json, the configuration for app_env=LOCAL, does not exist: create it$"
    ):
        configuration_file(tmp_path / "server.json", "LOCAL")


def test_logging_is_configured_from_the_section_of_the_file(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One call selects the file, configures logging, and returns the settings."""
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
    """The message has the line, if the file is not JSON, and the causes that `logging.config` reports."""
    (tmp_path / "server.json").write_text(text)

    with pytest.raises(ValueError, match=message):
        configure_logging(tmp_path / "server.json", [])


def test_file_in_another_encoding_is_named(tmp_path: pathlib.Path) -> None:
    """JSON is in UTF-8."""
    (tmp_path / "server.json").write_bytes(b'{"name": "caf\xe9"}')

    with pytest.raises(ValueError, match=r"server\.json: this is not UTF-8: .*, byte 13"):
        configure_logging(tmp_path / "server.json", [])
