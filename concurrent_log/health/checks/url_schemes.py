"""A check by one text, such as ``redis://cache:6379/0``: for a file of settings."""

import inspect
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from concurrent_log.health.checks.address import address_of
from concurrent_log.health.checks.collector import collector
from concurrent_log.health.checks.databases import mysql, postgres
from concurrent_log.health.checks.http import http
from concurrent_log.health.checks.locks import file_lock
from concurrent_log.health.checks.named import named
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
    """Return the check that ``text`` describes; its scheme says which.

    Args:
        text: The address of a service as a URL, ``disk:PATH``, ``lock:PATH`` for a lock file, ``file-descriptors:`` for
            this process, or ``python:MODULE:NAME`` for a function that is a check.
        options: What that check takes besides.

    Raises:
        TypeError: The check takes no such option, or it is not a text.
        ValueError: The text, or an option, cannot be understood. No password is ever shown.
    """
    if not isinstance(text, str):
        raise TypeError(f"a check is described by a text, not by {type(text).__name__}")
    scheme = text.partition(":")[0].lower() if ":" in text else ""
    if scheme not in _FORMS:
        # What stands before a colon may be a user, where there is no scheme.
        is_shown = re.match(r"[a-z][a-z0-9+.-]*://", text, re.IGNORECASE)
        shown = f"{scheme}:// is not a known scheme" if is_shown else "there is no scheme"
        raise ValueError(f"{shown}; a check begins with one of {', '.join(f'{known}:' for known in sorted(_FORMS))}")
    make, given = _FORMS[scheme].make, _FORMS[scheme].read(text)
    _refuse_unknown(options, scheme, list(inspect.signature(make).parameters)[len(given) :])
    return make(*given, **options)  # type: ignore[no-any-return]  # all of them return such a check


def _refuse_unknown(options: dict[str, Any], scheme: str, known: list[str]) -> None:
    for name in options:
        if name not in known:
            takes = f"these are known: {', '.join(known)}" if known else "it takes none"
            raise TypeError(f"{name!r} is not an option of a check of {scheme}: {takes}")


def _whole(text: str) -> tuple[str]:
    return (text,)


def _rest(text: str) -> tuple[str]:
    rest = text.partition(":")[2]
    if not rest:
        raise ValueError(f"{text} must be followed by a path or name")
    return (rest,)


def _nothing(text: str) -> tuple[()]:
    if text.partition(":")[2].strip("/"):
        raise ValueError("file-descriptors: is the whole text; what it takes are options")
    return ()


def _without_prefix(text: str) -> tuple[str]:
    return (text.partition("+")[2],)


def _of_lock(text: str) -> tuple[str]:
    scheme, _, rest = text.partition(":")
    return (f"{scheme.lower().removesuffix('-lock')}:{rest}",)


def _host_and_port(text: str) -> tuple[str, int]:
    address = address_of(text, "tcp://HOST:PORT", "tcp")
    if address.port is None or address.path.strip("/"):
        raise ValueError("url must be of the form tcp://HOST:PORT")
    return address.host, address.port


def _bucket(text: str) -> tuple[str]:
    address = address_of(text, "s3://BUCKET", "s3")
    if address.user is not None or address.path.strip("/"):
        raise ValueError("url must be of the form s3://BUCKET; access_key, secret_key and endpoint are options")
    return (text.partition("://")[2].rstrip("/"),)  # `host` would be in lower case.


class _Form(NamedTuple):
    """Which check a scheme stands for, and what of the text it is given."""

    make: Callable[..., Any]
    read: Callable[[str], tuple[Any, ...]]


_FORMS = {
    "amqp": _Form(rabbitmq, _whole),
    "amqps": _Form(rabbitmq, _whole),
    "collector+http": _Form(collector, _without_prefix),
    "collector+https": _Form(collector, _without_prefix),
    "disk": _Form(disk, _rest),
    "file-descriptors": _Form(file_descriptors, _nothing),
    "http": _Form(http, _whole),
    "https": _Form(http, _whole),
    "lock": _Form(file_lock, _rest),
    "mariadb": _Form(mysql, _whole),
    "mysql": _Form(mysql, _whole),
    "nats": _Form(nats, _whole),
    "nats+tls": _Form(nats, _whole),
    "opensearch+http": _Form(opensearch, _without_prefix),
    "opensearch+https": _Form(opensearch, _without_prefix),
    "postgres": _Form(postgres, _whole),
    "postgresql": _Form(postgres, _whole),
    "python": _Form(named, _rest),
    "redis": _Form(redis, _whole),
    "redis-lock": _Form(redis_lock, _of_lock),
    "rediss": _Form(redis, _whole),
    "rediss-lock": _Form(redis_lock, _of_lock),
    "s3": _Form(s3, _bucket),
    "smtp": _Form(smtp, _whole),
    "smtps": _Form(smtp, _whole),
    "tcp": _Form(tcp, _host_and_port),
}
