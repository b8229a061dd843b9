"""The file of services to watch, in TOML, and one line for each mistake in it.

Such a line says where, what is wrong and what to do: ``services.toml:7: slow=-1 must be more than 0 seconds``. It has
no secret in it: nothing that an environment variable holds, and no user or password of a URL.
"""

import contextlib
import logging.config
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from concurrent_log.health.checks import from_url
from concurrent_log.health.configuration.environment_variables import Variables
from concurrent_log.health.configuration.toml_file import ConfigurationError, TomlFile
from concurrent_log.health.monitor import ServiceMonitor
from concurrent_log.health.redaction import masked, told

__all__ = ["Configuration", "ConfigurationError", "monitor_from"]

_OF_BOTH = ("interval", "timeout", "slow", "failure_threshold", "recovery_timeout")
_OF_MONITOR = (*_OF_BOTH, "jitter", "report_interval")
_OF_SERVICE = (*_OF_BOTH, "critical")
_KNOWN = (*_OF_MONITOR, "services", "logging")
_EXAMPLE = 'check = "tcp://127.0.0.1:5432"'

_FIRST_WORD = re.compile(r"'?(\w+)")  # of a message; it may be the option that is wrong
_PART = re.compile(r"(formatter|filter|handler|logger) '(.+?)'")  # in what `logging.config` says


def monitor_from(path: "str | os.PathLike[str]", environment: Mapping[str, str] = os.environ) -> ServiceMonitor:
    """Return a monitor of the services in the file at ``path``; the table ``[logging]`` is for the command alone.

    Raises:
        ConfigurationError: The file cannot be read, or something in it is wrong; the text is one line.
    """
    return Configuration(path, environment).monitor()


class Configuration:
    """What a file says: the services to watch, how, and where the log goes.

    Raises:
        ConfigurationError: The file cannot be read, a variable is missing, or a table is not what it should be.
    """

    def __init__(self, path: "str | os.PathLike[str]", environment: Mapping[str, str] = os.environ) -> None:
        self._file = TomlFile(path)
        self._variables = Variables(environment)
        self._check_tables(self._file.content)
        self._content = self._expanded(self._file.content)

    @property
    def has_logging(self) -> bool:
        """Whether it says where the log goes."""
        return "logging" in self._content

    def set_up_logging(self) -> None:
        """Set up logging as it says, if it does; raise `ConfigurationError` where that is wrong.

        Loggers that exist stay as they are, unless it says otherwise.
        """
        if not self.has_logging:
            return
        try:
            logging.config.dictConfig({"disable_existing_loggers": False, **self._content["logging"]})
        except (Exception, SystemExit) as error:
            what = " from ".join(filter(None, map(str, (error, error.__cause__))))
            part = _PART.search(what)
            raise self._wrong(what, "logging", *((f"{part[1]}s", part[2]) if part else ())) from None

    def monitor(self, *, once: bool = False) -> ServiceMonitor:
        """Return a new monitor of the services; raise `ConfigurationError` where one cannot be watched like that.

        Args:
            once: Whether it is to check only once, so that a single failure makes a service unhealthy.
        """
        instead = {"failure_threshold": 1} if once else {}
        options = {name: self._content[name] for name in _OF_MONITOR if name in self._content}
        if options.get("report_interval") is False:  # TOML has no null.
            options["report_interval"] = None
        with self._mistakes_in(options):
            monitor = ServiceMonitor(**options)
        for name, table in self._content["services"].items():
            with self._mistakes_in(table, "services", name):
                self._add(monitor, name, table, instead)
        return monitor

    def _add(self, monitor: ServiceMonitor, name: str, table: Mapping[str, Any], instead: Mapping[str, Any]) -> None:
        text = table.get("check")
        if not isinstance(text, str):
            raise TypeError(f"check must be a text, such as {_EXAMPLE}")
        own = {key: table[key] for key in _OF_SERVICE if key in table}
        if not isinstance(own.get("critical", True), bool):
            raise TypeError(f"critical must be true or false, not {own['critical']!r}")
        options = {key: value for key, value in table.items() if key not in own and key != "check"}
        timeout = own.get("timeout", self._content.get("timeout"))
        monitor.add(name, _check(text, options, timeout), **{**own, **instead})

    def _check_tables(self, content: Mapping[str, Any]) -> None:
        for name in content:
            if name not in _KNOWN:
                raise self._file.error(f"{name!r} is not known here: these are {', '.join(_KNOWN)}", name)
        if not isinstance(content.get("logging", {}), dict):
            raise self._file.error("logging must be a table, as logging.config.dictConfig takes it", "logging")
        services = content.get("services")
        if not isinstance(services, dict) or not services:
            raise self._file.error(f"no services: add a table [services.database] with {_EXAMPLE}", "services")
        for name, table in services.items():
            if not isinstance(table, dict):
                raise self._file.error(f"{name!r} must be a table [services.{name}] with {_EXAMPLE}", "services", name)

    def _expanded(self, value: Any, *keys: str) -> Any:
        """Return ``value`` with environment variables in all of its texts."""
        if isinstance(value, dict):
            return {key: self._expanded(each, *keys, key) for key, each in value.items()}
        if isinstance(value, list):
            return [self._expanded(each, *keys) for each in value]
        if not isinstance(value, str):
            return value
        try:
            return self._variables.put_into(value)
        except ValueError as error:
            raise self._file.error(str(error), *keys) from None

    @contextlib.contextmanager
    def _mistakes_in(self, options: Mapping[str, Any], *keys: str) -> Iterator[None]:
        """Say in which line an option of a table is, where it is wrong."""
        try:
            yield
        except (Exception, SystemExit) as error:  # A module that has a check may do anything.
            is_ours = not str(options.get("check")).startswith("python:")
            what = _what(error) if is_ours else masked(_what(error))
            word = _FIRST_WORD.match(what)
            key = word[1] if word and word[1] in options else "check"
            raise self._wrong(what, *keys, key) from None

    def _wrong(self, what: str, *keys: str) -> ConfigurationError:
        return self._file.error(self._variables.hide(what), *keys)


def _check(text: str, options: dict[str, Any], timeout: float | None) -> Callable[[], Any]:
    """Return a check that takes as long as the monitor lets it, if it is one that has a timeout itself."""
    if timeout is not None:
        with contextlib.suppress(TypeError):
            return from_url(text, **options, timeout=timeout)
    return from_url(text, **options)


def _what(error: BaseException) -> str:
    """Return what ``error`` says; what is not ours may have addresses in it."""
    if isinstance(error, (ValueError, TypeError, ModuleNotFoundError)):
        return str(error)
    if isinstance(error, OSError) and error.filename is not None:
        return f"{told(error)}: {error.filename!r}"
    return masked(told(error))
