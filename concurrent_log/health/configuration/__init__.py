"""Configuration file of a monitor, in TOML.

Each error is one line with the position, the problem and the remedy, such as ``services.toml:7: slow=-1 must be more
than 0 seconds``. It contains no secret: no value of an environment variable, and no user or password of a URL.
"""

import contextlib
import logging.config
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from concurrent_log.health.checks import from_url
from concurrent_log.health.configuration.environment_variables import EnvironmentVariables
from concurrent_log.health.configuration.toml_file import ConfigurationError, TomlFile
from concurrent_log.health.monitor import ServiceMonitor
from concurrent_log.health.redaction import describe_error, redact

__all__ = ["Configuration", "ConfigurationError", "monitor_from"]

_COMMON_KEYS = ("interval", "timeout", "slow", "failure_threshold", "recovery_timeout")
_MONITOR_KEYS = (*_COMMON_KEYS, "jitter", "report_interval")
_SERVICE_KEYS = (*_COMMON_KEYS, "critical")
_TOP_LEVEL_KEYS = (*_MONITOR_KEYS, "services", "logging")
_EXAMPLE = 'check = "tcp://127.0.0.1:5432"'

_FIRST_WORD = re.compile(r"'?(\w+)")  # of an error message; it may be the name of the invalid option
_PART = re.compile(r"(formatter|filter|handler|logger) '(.+?)'")  # in error messages of `logging.config`


def monitor_from(path: "str | os.PathLike[str]", environment: Mapping[str, str] = os.environ) -> ServiceMonitor:
    """Return a monitor of the services in a configuration file. The table ``[logging]`` is ignored.

    Raises:
        ConfigurationError: The file cannot be read or is invalid. The message is one line.
    """
    return Configuration(path, environment).monitor()


class Configuration:
    """The content of a configuration file: the services, their settings, and the logging configuration.

    Raises:
        ConfigurationError: The file cannot be read, a variable is not set, or a table is invalid.
    """

    def __init__(self, path: "str | os.PathLike[str]", environment: Mapping[str, str] = os.environ) -> None:
        self._file = TomlFile(path)
        self._variables = EnvironmentVariables(environment)
        self._check_tables(self._file.content)
        self._content = self._expand(self._file.content)

    @property
    def has_logging(self) -> bool:
        """True if the file configures logging."""
        return "logging" in self._content

    def set_up_logging(self) -> None:
        """Configure logging if the file does; raise `ConfigurationError` if that part is invalid.

        Existing loggers stay enabled unless the file disables them.
        """
        if not self.has_logging:
            return
        try:
            logging.config.dictConfig({"disable_existing_loggers": False, **self._content["logging"]})
        except (Exception, SystemExit) as error:
            problem = " from ".join(filter(None, map(str, (error, error.__cause__))))
            part = _PART.search(problem)
            raise self._error(problem, "logging", *((f"{part[1]}s", part[2]) if part else ())) from None

    def monitor(self, *, once: bool = False) -> ServiceMonitor:
        """Return a new monitor of the services; raise `ConfigurationError` if a setting is invalid.

        Args:
            once: Whether each service is checked only once, so that a single failure makes it unhealthy.
        """
        overrides = {"failure_threshold": 1} if once else {}
        options = {name: self._content[name] for name in _MONITOR_KEYS if name in self._content}
        if options.get("report_interval") is False:  # TOML has no null.
            options["report_interval"] = None
        with self._errors_in(options):
            monitor = ServiceMonitor(**options)
        for name, table in self._content["services"].items():
            with self._errors_in(table, "services", name):
                self._add(monitor, name, table, overrides)
        return monitor

    def _add(self, monitor: ServiceMonitor, name: str, table: Mapping[str, Any], overrides: Mapping[str, Any]) -> None:
        text = table.get("check")
        if not isinstance(text, str):
            raise TypeError(f"check must be a string, such as {_EXAMPLE}")
        settings = {key: table[key] for key in _SERVICE_KEYS if key in table}
        if not isinstance(settings.get("critical", True), bool):
            raise TypeError(f"critical must be true or false, not {settings['critical']!r}")
        options = {key: value for key, value in table.items() if key not in settings and key != "check"}
        timeout = settings.get("timeout", self._content.get("timeout"))
        monitor.add(name, _create_check(text, options, timeout), **{**settings, **overrides})

    def _check_tables(self, content: Mapping[str, Any]) -> None:
        for name in content:
            if name not in _TOP_LEVEL_KEYS:
                raise self._file.error(f"unknown key {name!r}: use one of {', '.join(_TOP_LEVEL_KEYS)}", name)
        if not isinstance(content.get("logging", {}), dict):
            raise self._file.error("logging must be a table for logging.config.dictConfig", "logging")
        services = content.get("services")
        if not isinstance(services, dict) or not services:
            raise self._file.error(f"no services: add a table [services.database] with {_EXAMPLE}", "services")
        for name, table in services.items():
            if not isinstance(table, dict):
                raise self._file.error(f"{name!r} must be a table [services.{name}] with {_EXAMPLE}", "services", name)

    def _expand(self, value: Any, *keys: str) -> Any:
        """Return ``value`` with the environment variables in all of its strings replaced."""
        if isinstance(value, dict):
            return {key: self._expand(each, *keys, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self._expand(each, *keys) for each in value]
        if not isinstance(value, str):
            return value
        try:
            return self._variables.expand(value)
        except ValueError as error:
            raise self._file.error(str(error), *keys) from None

    @contextlib.contextmanager
    def _errors_in(self, options: Mapping[str, Any], *keys: str) -> Iterator[None]:
        """Turn any exception into a `ConfigurationError` with the line of the invalid option."""
        try:
            yield
        except (Exception, SystemExit) as error:  # The module of a check may raise anything when it is imported.
            is_ours = not str(options.get("check")).startswith("python:")
            problem = _problem(error) if is_ours else redact(_problem(error))
            word = _FIRST_WORD.match(problem)
            key = word[1] if word and word[1] in options else "check"
            raise self._error(problem, *keys, key) from None

    def _error(self, problem: str, *keys: str) -> ConfigurationError:
        return self._file.error(self._variables.redact(problem), *keys)


def _create_check(text: str, options: dict[str, Any], timeout: float | None) -> Callable[[], Any]:
    """Return the check, with the timeout of the monitor if the check has such an option."""
    if timeout is not None:
        with contextlib.suppress(TypeError):
            return from_url(text, **options, timeout=timeout)
    return from_url(text, **options)


def _problem(error: BaseException) -> str:
    """Return the message of an error of this package, and a redacted description of any other error."""
    if isinstance(error, (ValueError, TypeError, ModuleNotFoundError)):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{describe_error(error)}: {error.filename!r}"
    return redact(describe_error(error))
