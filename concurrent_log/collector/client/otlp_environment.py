"""OpenTelemetry's environment variables, as arguments of a client.

A variable for logs has priority over the general one. The names and formats are those of the specification: see
"OpenTelemetry Protocol Exporter" and "Environment Variable Specification" there. A wrong value is an error, because a
program that starts without its logs is worse.
"""

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

_EXPORTER = "OTEL_EXPORTER_OTLP_"
DEFAULT_ENDPOINT = "http://localhost:4318"


def endpoint(variables: Mapping[str, str] = os.environ) -> tuple[str, bool]:
    """Return the URL of the server, and whether it is complete; the general one gets the path ``/v1/logs``."""
    for_logs = variables.get(f"{_EXPORTER}LOGS_ENDPOINT")
    if for_logs:
        return for_logs, True
    return variables.get(f"{_EXPORTER}ENDPOINT") or DEFAULT_ENDPOINT, False


def headers(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the headers of each request.

    Raises:
        ValueError: The variable is not a list such as ``name=value,name=value``.
    """
    return _pairs(*_setting("HEADERS", variables), is_secret=True)


def resource_attributes(variables: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the attributes of the resource; ``OTEL_SERVICE_NAME`` has priority.

    Raises:
        ValueError: The variable is not a list such as ``name=value,name=value``.
    """
    name = "OTEL_RESOURCE_ATTRIBUTES"
    attributes = _pairs(name, variables.get(name, ""), is_secret=False)
    service = variables.get("OTEL_SERVICE_NAME")
    return {**attributes, "service.name": service} if service else attributes


def request_options(variables: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return ``timeout`` in seconds, and ``compress_from``, if variables say so.

    Raises:
        ValueError: A timeout is not a number of milliseconds, or a compression not ``gzip`` or ``none``.
    """
    options: dict[str, Any] = {}
    name, timeout = _setting("TIMEOUT", variables)
    if timeout:
        if not timeout.strip().isascii() or not timeout.strip().isdigit() or not int(timeout):
            raise ValueError(f"{name}={timeout!r} must be a number of milliseconds, such as 10000")
        options["timeout"] = int(timeout) / 1000
    name, compression = _setting("COMPRESSION", variables)
    if compression:
        if compression.strip() not in ("gzip", "none"):
            raise ValueError(f"{name}={compression!r} must be gzip or none")
        options["compress_from"] = 1 if compression.strip() == "gzip" else None
    return options


def _setting(name: str, variables: Mapping[str, str]) -> tuple[str, str]:
    """Return the name and the value of the variable for logs, or else of the general one."""
    for_logs = f"{_EXPORTER}LOGS_{name}"
    if variables.get(for_logs):
        return for_logs, variables[for_logs]
    return f"{_EXPORTER}{name}", variables.get(f"{_EXPORTER}{name}", "")


def _pairs(name: str, text: str, *, is_secret: bool) -> dict[str, str]:
    """Parse a list of pairs, whose values are percent-encoded."""
    pairs: dict[str, str] = {}
    for part in filter(str.strip, text.split(",")):
        key, mark, value = part.partition("=")
        if not mark or not key.strip():
            shown = "" if is_secret else f"={text!r}"
            raise ValueError(f"{name}{shown} must be a list such as name=value,name=value")
        pairs[unquote(key.strip())] = unquote(value.strip())
    return pairs
