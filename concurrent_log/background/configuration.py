"""The logging configuration that is being applied: its handlers, and the one that it creates now.

`logging.config` creates handlers one by one, and does not pass the names of the others to a constructor. They are local
variables of its functions, in every supported version of Python.
"""

import logging
import sys
from collections.abc import Collection, Mapping
from types import CodeType, FrameType
from typing import Any, NamedTuple

from concurrent_log.internal import stderr


class HandlerNames(NamedTuple):
    """The handlers of a configuration.

    Attributes:
        name: The name of the handler that is being created.
        names: The names of all handlers of the configuration.
        handlers: The handlers by name; those that are not created yet are missing, or are descriptions.
    """

    name: str | None
    names: Collection[str]
    handlers: Mapping[str, Any]


def current_configuration() -> HandlerNames | None:
    """Return the configuration that calls this function, directly or not; None outside of `logging.config`."""
    module: Any = sys.modules.get("logging.config")
    if module is None:
        return None
    of_dict_config = module.DictConfigurator.configure.__code__
    frame = _find_caller(of_dict_config, module._install_handlers.__code__)
    if frame is None:
        return None
    local = frame.f_locals
    if frame.f_code is of_dict_config:
        return HandlerNames(local.get("name"), local["handlers"], local["handlers"])
    names = [name.strip() for name in local["cp"]["handlers"]["keys"].split(",")]
    return HandlerNames(local.get("hand"), names, local["handlers"])


def configuration_error(message: str) -> ValueError:
    """Return the error for an invalid configuration.

    `logging.config.dictConfig` replaces it by one that only names the handler, which is all that gunicorn shows. Inside
    of it, the message is also printed on stderr.
    """
    module: Any = sys.modules.get("logging.config")
    if module is not None and _find_caller(module.DictConfigurator.configure.__code__) is not None:
        stderr.warn(message)
    return ValueError(message)


def is_basic_config() -> bool:
    """Return whether `logging.basicConfig` calls this function, directly or not."""
    return _find_caller(logging.basicConfig.__code__) is not None


def _find_caller(*codes: CodeType) -> FrameType | None:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code not in codes:
        frame = frame.f_back
    return frame
