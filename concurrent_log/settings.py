"""Settings from the command line, environment variables, and one configuration file for each environment."""

import json
import logging.config
import os
import pathlib
import re
import sys
from collections.abc import Sequence
from typing import Any

from concurrent_log.loggers.levels import LogLevel

_WITHOUT_SUFFIX = ("PROD", "RELEASE")


def parse_log_level(args: Sequence[str] | None = None) -> LogLevel:
    """Return the log level of an argument such as ``logLevel=DEBUG``.

    Without such an argument, the environment variable ``LOG_LEVEL`` applies, and without that, ``ALL``. The argument
    takes precedence, as is usual for command lines: it sets the level for one run. In `parse_app_env` the order is the
    opposite.

    Args:
        args: The arguments, by default those of this process. Other arguments are ignored, and case does not matter.

    Raises:
        ValueError: There is no such level.
    """
    value = _argument("loglevel", args)
    source, name = ("logLevel", value) if value is not None else ("LOG_LEVEL", os.environ.get("LOG_LEVEL"))
    if not name:
        return LogLevel.ALL
    try:
        return LogLevel[name.strip().upper()]
    except KeyError:
        raise ValueError(f"{source}={name} is unknown: use {', '.join(LogLevel.__members__)}") from None


def parse_app_env(args: Sequence[str] | None = None) -> str:
    """Return the value of the environment variable ``APP_ENV``, in capitals.

    Without the variable, an argument such as ``app_env=LOCAL`` applies, and without that, ``RELEASE``. The variable
    takes precedence, unlike in `parse_log_level`: a container platform sets it for each deployment, and the command
    line in the image, with a default such as ``app_env=LOCAL``, must not override it.

    Args:
        args: The arguments, by default those of this process. Other arguments are ignored, and case does not matter.
    """
    value = os.environ.get("APP_ENV", "").strip() or (_argument("app_env", args) or "").strip()
    return value.upper() or "RELEASE"


def configuration_file(path: "str | os.PathLike[str]", app_env: str | None = None) -> pathlib.Path:
    """Return the configuration file for an environment.

    For ``server.json``, that is ``server_local.json`` for ``LOCAL``, ``server_debug.json`` for ``DEBUG``, and so on.
    ``RELEASE`` and ``PROD`` use ``server.json`` itself.

    Args:
        path: The file for ``RELEASE``.
        app_env: The environment; by default the result of `parse_app_env`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The environment cannot be part of a file name.
    """
    base, environment = pathlib.Path(path), (parse_app_env() if app_env is None else app_env).upper()
    if not re.fullmatch(r"[\w.-]+", environment):
        raise ValueError(f"app_env={environment!r} must be a word, such as LOCAL, because it is part of a file name")
    suffix = "" if environment in _WITHOUT_SUFFIX else f"_{environment.lower()}"
    found = base.with_name(f"{base.stem}{suffix}{base.suffix}")
    if not found.is_file():
        raise FileNotFoundError(f"{found}, the configuration for app_env={environment}, does not exist: create it")
    return found


def configure_logging(path: "str | os.PathLike[str]", args: Sequence[str] | None = None) -> dict[str, Any]:
    """Configure `logging` from the section ``logging`` of a JSON file, and return the content of the file.

    Args:
        path: The file for ``RELEASE``; see `configuration_file` for the one that is read.
        args: The arguments, by default those of this process; see `parse_app_env`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not JSON, has no such section, or `logging.config.dictConfig` rejects it.
    """
    file = configuration_file(path, parse_app_env(args))
    settings = _json(file)
    section = settings.get("logging") if isinstance(settings, dict) else None
    if not isinstance(section, dict):
        raise ValueError(f"{file} has no section 'logging': add one, in the form of logging.config.dictConfig")
    try:
        logging.config.dictConfig(section)
    except (ValueError, TypeError, AttributeError, ImportError, LookupError) as error:
        raise ValueError(f"{file}, section 'logging': {_message_with_causes(error)}") from error
    return dict(settings)


def _argument(name: str, args: Sequence[str] | None) -> str | None:
    """Return the value of the first argument ``name=VALUE``."""
    for argument in sys.argv[1:] if args is None else args:
        key, equals, value = argument.partition("=")
        if equals and key.lstrip("-").lower() == name:
            return value
    return None


def _json(file: pathlib.Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{file}:{error.lineno}:{error.colno}: this is not JSON: {error.msg}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: this is not UTF-8: {error.reason}, byte {error.start}") from None


def _message_with_causes(error: BaseException) -> str:
    """Return the message of ``error`` and its causes, because `logging.config` names the mistake only in a cause."""
    cause = error.__cause__
    return f"{error}: {_message_with_causes(cause)}" if cause is not None else str(error)
