"""Settings from the command line, the environment, and a file for each environment that an application runs in."""

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
    """Return the level of an argument such as ``logLevel=DEBUG``, else of the variable ``LOG_LEVEL``, else ``ALL``.

    Args:
        args: The arguments, by default those of this process; other ones are ignored, and case does not matter.

    Raises:
        ValueError: There is no such level.
    """
    given = _argument("loglevel", args)
    source, name = ("logLevel", given) if given is not None else ("LOG_LEVEL", os.environ.get("LOG_LEVEL"))
    if not name:
        return LogLevel.ALL
    try:
        return LogLevel[name.strip().upper()]
    except KeyError:
        raise ValueError(f"{source}={name} is unknown: use {', '.join(LogLevel.__members__)}") from None


def parse_app_env(args: Sequence[str] | None = None) -> str:
    """Return what ``APP_ENV`` says in the environment, else an argument such as ``app_env=LOCAL``, else ``RELEASE``.

    The environment comes first, since that is how containers and their like are told. The result is in capitals.

    Args:
        args: The arguments, by default those of this process; other ones are ignored, and case does not matter.
    """
    given = os.environ.get("APP_ENV", "").strip() or (_argument("app_env", args) or "").strip()
    return given.upper() or "RELEASE"


def configuration_file(path: "str | os.PathLike[str]", app_env: str | None = None) -> pathlib.Path:
    """Return the configuration file of an environment.

    Of ``server.json``, it is ``server_local.json`` for ``LOCAL``, ``server_debug.json`` for ``DEBUG``, and so on, and
    ``server.json`` itself for ``RELEASE`` and ``PROD``.

    Args:
        path: The file for ``RELEASE``.
        app_env: The environment; by default that of `parse_app_env`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The environment cannot be part of a file's name.
    """
    base, environment = pathlib.Path(path), (parse_app_env() if app_env is None else app_env).upper()
    if not re.fullmatch(r"[\w.-]+", environment):
        raise ValueError(f"app_env={environment!r} must be a word, such as LOCAL, since it is part of a file's name")
    suffix = "" if environment in _WITHOUT_SUFFIX else f"_{environment.lower()}"
    found = base.with_name(f"{base.stem}{suffix}{base.suffix}")
    if not found.is_file():
        raise FileNotFoundError(f"{found} is the configuration for app_env={environment}, and there is no such file")
    return found


def configure_logging(path: "str | os.PathLike[str]", args: Sequence[str] | None = None) -> dict[str, Any]:
    """Configure `logging` by the section ``logging`` of a JSON file, and return all that is in that file.

    Args:
        path: The file for ``RELEASE``; see `configuration_file` for the one that is read.
        args: The arguments, by default those of this process; see `parse_app_env`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not JSON, or has no such section, or `logging.config.dictConfig` refuses that.
    """
    file = configuration_file(path, parse_app_env(args))
    settings = _json(file)
    section = settings.get("logging") if isinstance(settings, dict) else None
    if not isinstance(section, dict):
        raise ValueError(f"{file} has no section 'logging': add one, in the form that logging.config.dictConfig takes")
    try:
        logging.config.dictConfig(section)
    except (ValueError, TypeError, AttributeError, ImportError, LookupError) as error:
        raise ValueError(f"{file}, section 'logging': {_all_words(error)}") from error
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


def _all_words(error: BaseException) -> str:
    """Return what ``error`` says, and what caused it, since `logging.config` names the mistake only there."""
    cause = error.__cause__
    return f"{error}: {_all_words(cause)}" if cause is not None else str(error)
