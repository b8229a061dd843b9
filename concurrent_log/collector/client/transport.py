"""HTTP requests to the collector: on a persistent connection, through the proxy of the environment, with a timeout."""

import time
import urllib.request
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import urllib3

from concurrent_log.collector.client.settings import ClientSettings
from concurrent_log.internal.http_deadline import HTTPConnection, HTTPSConnection
from concurrent_log.internal.stderr import printable

_MAX_AGE = 300.0  # seconds after which a new connection is made, so that a balancer's new server gets its share
_LONGEST_RESPONSE = 2**20  # bytes; the rest is not read


class CollectorResponse(NamedTuple):
    """The result of a request.

    Attributes:
        status: The HTTP status; 0 if there was no response.
        reason: The text of the response; the error if there was none.
        retry_after: The header ``Retry-After``, or an empty string.
        content_type: The header ``Content-Type``, or an empty string.
        content: The body of the response.
    """

    status: int
    reason: str
    retry_after: str = ""
    content_type: str = ""
    content: bytes = b""


class CollectorConnection:
    """The connection to the server; after some minutes, it is replaced. Use it in one process and thread.

    Args:
        settings: The settings of the client.
        clock: Returns a time in seconds that never jumps.
        content_type: The type of the bodies.
    """

    def __init__(
        self,
        settings: ClientSettings,
        clock: Callable[[], float] = time.monotonic,
        content_type: str = "application/json",
    ) -> None:
        self._url = settings.endpoint
        self._headers = {"Content-Type": content_type, "User-Agent": "concurrent-log", **(settings.headers or {})}
        if settings.token is not None:
            self._headers["Authorization"] = f"Bearer {settings.token}"
        self._settings = settings
        self._pool: urllib3.PoolManager | None = None
        self._clock = clock
        self._opened_at = 0.0

    def post(self, body: bytes, timeout: float, *, is_compressed: bool) -> CollectorResponse:
        """Send ``body`` and return the response; connecting, sending and reading take ``timeout`` seconds each."""
        headers = {**self._headers, "Content-Encoding": "gzip"} if is_compressed else self._headers
        try:
            pool = self._current_pool()
        except _UnusableProxy as error:
            return CollectorResponse(0, str(error))
        try:
            response = pool.request(
                "POST", self._url, body=body, headers=headers, timeout=timeout, retries=False, redirect=False,
                preload_content=False,
            )  # fmt: skip
            return _read(response)
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            return CollectorResponse(0, _describe_error(error))

    def _current_pool(self) -> urllib3.PoolManager:
        if self._pool is not None and self._opened_at + _MAX_AGE <= self._clock():
            self.close()
        if self._pool is None:
            self._pool, self._opened_at = _make_pool(self._settings), self._clock()
        return self._pool

    def close(self) -> None:
        """Close the connection; the next request opens another one."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        for key in pool.pools.keys():  # noqa: SIM118 - not a dictionary
            pool.pools[key].close()  # `clear` leaves that to the garbage collector, which runs too late.
        pool.clear()


def _read(response: Any) -> CollectorResponse:
    try:
        content = response.read(_LONGEST_RESPONSE, decode_content=True)
    finally:
        # Only a connection whose response was read completely can be used again.
        response.release_conn() if response.closed or not response.length_remaining else response.close()
    text = content.decode("utf-8", "replace")
    retry_after, content_type = (response.headers.get(name, "") for name in ("Retry-After", "Content-Type"))
    return CollectorResponse(response.status, text, retry_after, content_type, content)


def _describe_error(error: Exception) -> str:
    """Return in one short line why there was no response."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return f"{type(cause).__name__}: {cause}".splitlines()[0][:300]


def _make_pool(settings: ClientSettings) -> urllib3.PoolManager:
    options: dict[str, Any] = {"num_pools": 1, "maxsize": 1, "block": False}
    context = settings.tls_context()
    if context is not None:
        options["ssl_context"] = context
    proxy = _proxy_for(settings.endpoint)
    pool = urllib3.PoolManager(**options) if proxy is None else _make_proxy_pool(proxy, options)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return pool


def _proxy_for(url: str) -> str | None:
    """Return the URL of the proxy that the environment names for ``url``."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return proxy if not proxy or "://" in proxy else f"http://{proxy}"


class _UnusableProxy(Exception):  # noqa: N818 - the message says what is wrong
    """The proxy that the environment names cannot be used. The message does not contain it: it may have a password."""


def _make_proxy_pool(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    if not proxy.lower().startswith(("http://", "https://")):
        scheme = printable(proxy.partition("://")[0][:20])
        raise _UnusableProxy(f"a proxy of the kind {scheme}:// is set in the environment: use http://, or set no_proxy")
    try:
        parts = urllib3.util.parse_url(proxy)
        if not parts.host:
            raise ValueError("no host")
        headers = urllib3.util.make_headers(proxy_basic_auth=unquote(parts.auth)) if parts.auth else None
        return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)
    except (urllib3.exceptions.HTTPError, ValueError):
        message = "the proxy that is set in the environment is not an address such as http://proxy.example:3128"
        raise _UnusableProxy(message) from None


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = HTTPConnection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = HTTPSConnection
