"""Checks described by a URL, such as ``redis://cache:6379/0``, for a configuration file."""

import inspect
import pkgutil
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from concurrent_log.health.checks.address import parse_address
from concurrent_log.health.checks.collector import collector
from concurrent_log.health.checks.databases import mysql, postgres
from concurrent_log.health.checks.http import http
from concurrent_log.health.checks.locks import file_lock
from concurrent_log.health.checks.nats import nats
from concurrent_log.health.checks.opensearch import opensearch
from concurrent_log.health.checks.probes import AsyncCheck, Check
from concurrent_log.health.checks.rabbitmq import rabbitmq
from concurrent_log.health.checks.redis import redis, redis_lock
from concurrent_log.health.checks.resources import disk, file_descriptors
from concurrent_log.health.checks.s3 import s3
from concurrent_log.health.checks.smtp import smtp
from concurrent_log.health.checks.tcp import tcp


def from_url(text: str, **options: Any) -> Check | AsyncCheck:
    """Return the check that a URL describes. Its scheme selects the check.

    Args:
        text: The URL of a service, ``disk:PATH``, ``lock:PATH`` for a lock file, ``file-descriptors:`` for this
            process, or ``python:MODULE:NAME`` for a function that is a check.
        options: Further arguments of the check.

    Raises:
        TypeError: The check has no such option, or ``text`` is not a string.
        ValueError: The URL or an option is invalid. The message contains no password.
    """
    if not isinstance(text, str):
        raise TypeError(f"a check is described by a string, not by {type(text).__name__}")
    scheme = text.partition(":")[0].lower() if ":" in text else ""
    if scheme not in _SCHEMES:
        # Without a scheme, the part before the colon may be a user.
        has_scheme = re.match(r"[a-z][a-z0-9+.-]*://", text, re.IGNORECASE)
        problem = f"{scheme}:// is not a known scheme" if has_scheme else "there is no scheme"
        known = ", ".join(f"{known}:" for known in sorted(_SCHEMES))
        raise ValueError(f"{problem}; a check begins with one of {known}")
    create, arguments = _SCHEMES[scheme].create, _SCHEMES[scheme].parse(text)
    _check_options(options, scheme, list(inspect.signature(create).parameters)[len(arguments) :])
    return create(*arguments, **options)  # type: ignore[no-any-return]  # all of them return such a check


def _check_options(options: dict[str, Any], scheme: str, known: list[str]) -> None:
    for name in options:
        if name not in known:
            remedy = f"use one of {', '.join(known)}" if known else "it has no options"
            raise TypeError(f"{name!r} is not an option of the check {scheme}: {remedy}")


def _function(name: str) -> Callable[[], Any]:
    """Return the function with the name ``MODULE:FUNCTION``, such as ``shop.health:check_payments``."""
    module, _, function = name.partition(":")
    if not module or not function:
        raise ValueError(f"{name!r} must name a module and a function, such as shop.health:check_payments")
    try:
        found = pkgutil.resolve_name(name)
    except ModuleNotFoundError as error:
        if not f"{module}.".startswith(f"{error.name}."):  # The module exists, but one that it imports does not.
            raise
        raise ValueError(f"{name!r} names the module {module!r}, which does not exist") from None
    except AttributeError:
        found = None
    if not callable(found):
        raise ValueError(f"{name!r} does not name a function of the module {module!r}")
    return found  # type: ignore[no-any-return]  # it is callable


def _whole(text: str) -> tuple[str]:
    return (text,)


def _after_scheme(text: str) -> tuple[str]:
    rest = text.partition(":")[2]
    if not rest:
        raise ValueError(f"{text} must be followed by a path or name")
    return (rest,)


def _nothing(text: str) -> tuple[()]:
    if text.partition(":")[2].strip("/"):
        raise ValueError("file-descriptors: is the whole URL: give used_percent as an option")
    return ()


def _without_prefix(text: str) -> tuple[str]:
    return (text.partition("+")[2],)


def _without_lock_suffix(text: str) -> tuple[str]:
    scheme, _, rest = text.partition(":")
    return (f"{scheme.lower().removesuffix('-lock')}:{rest}",)


def _host_and_port(text: str) -> tuple[str, int]:
    address = parse_address(text, "tcp://HOST:PORT", "tcp")
    if address.port is None or address.path.strip("/"):
        raise ValueError("url must be of the form tcp://HOST:PORT")
    return address.host, address.port


def _bucket(text: str) -> tuple[str]:
    address = parse_address(text, "s3://BUCKET", "s3")
    if address.user is not None or address.path.strip("/"):
        raise ValueError("url must be of the form s3://BUCKET; access_key, secret_key and endpoint are options")
    return (text.partition("://")[2].rstrip("/"),)  # `Address.host` is in lower case.


class _Scheme(NamedTuple):
    """The function that creates the check, and one that returns its positional arguments from the URL."""

    create: Callable[..., Any]
    parse: Callable[[str], tuple[Any, ...]]


_SCHEMES = {
    "amqp": _Scheme(rabbitmq, _whole),
    "amqps": _Scheme(rabbitmq, _whole),
    "collector+http": _Scheme(collector, _without_prefix),
    "collector+https": _Scheme(collector, _without_prefix),
    "disk": _Scheme(disk, _after_scheme),
    "file-descriptors": _Scheme(file_descriptors, _nothing),
    "http": _Scheme(http, _whole),
    "https": _Scheme(http, _whole),
    "lock": _Scheme(file_lock, _after_scheme),
    "mariadb": _Scheme(mysql, _whole),
    "mysql": _Scheme(mysql, _whole),
    "nats": _Scheme(nats, _whole),
    "nats+tls": _Scheme(nats, _whole),
    "opensearch+http": _Scheme(opensearch, _without_prefix),
    "opensearch+https": _Scheme(opensearch, _without_prefix),
    "postgres": _Scheme(postgres, _whole),
    "postgresql": _Scheme(postgres, _whole),
    "python": _Scheme(_function, _after_scheme),
    "redis": _Scheme(redis, _whole),
    "redis-lock": _Scheme(redis_lock, _without_lock_suffix),
    "rediss": _Scheme(redis, _whole),
    "rediss-lock": _Scheme(redis_lock, _without_lock_suffix),
    "s3": _Scheme(s3, _bucket),
    "smtp": _Scheme(smtp, _whole),
    "smtps": _Scheme(smtp, _whole),
    "tcp": _Scheme(tcp, _host_and_port),
}
