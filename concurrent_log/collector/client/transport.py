"""One request over HTTP: through the proxies of the environment, on a connection that is kept, within a time limit."""

import urllib.request
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import urllib3

from concurrent_log.collector.client.settings import Settings
from concurrent_log.internal.http_deadline import HTTPConnection, HTTPSConnection

_LONGEST_ANSWER = 2**20  # bytes; what comes after them is not read


class Answer(NamedTuple):
    """What came of a request.

    Attributes:
        status: The status of HTTP; 0 where there was no answer.
        reason: What went wrong then, or the text of the answer.
        retry_after: The header, or an empty string.
    """

    status: int
    reason: str
    retry_after: str = ""


class Connection:
    """The connection to the server; to be made in the process and by the thread that uses it."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.endpoint
        self._headers = {"Content-Type": "application/json", "User-Agent": "concurrent-log", **(settings.headers or {})}
        if settings.token is not None:
            self._headers["Authorization"] = f"Bearer {settings.token}"
        self._pool = _pool(settings)

    def post(self, body: bytes, timeout: float, *, is_compressed: bool) -> Answer:
        """Send ``body``, and return the answer; each of connecting, sending and reading ends after ``timeout``."""
        headers = {**self._headers, "Content-Encoding": "gzip"} if is_compressed else self._headers
        try:
            response = self._pool.request(
                "POST", self._url, body=body, headers=headers, timeout=timeout, retries=False, redirect=False,
                preload_content=False,
            )  # fmt: skip
            return _read(response)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return Answer(0, _reason(error))

    def close(self) -> None:
        """Close the connection."""
        for key in self._pool.pools.keys():  # noqa: SIM118 - not a dictionary
            self._pool.pools[key].close()  # Else urllib3 leaves that to the garbage collection, for which it is late.
        self._pool.clear()


def _read(response: Any) -> Answer:
    try:
        content = response.read(_LONGEST_ANSWER, decode_content=True)
    finally:
        # All was read: the connection may be used again. Else it is of no use.
        response.release_conn() if response.closed or not response.length_remaining else response.close()
    text = content.decode("utf-8", "replace")
    return Answer(response.status, text, response.headers.get("Retry-After", ""))


def _reason(error: Exception) -> str:
    """Return in a few words why there was no answer."""
    found: BaseException = error
    while found.__cause__ is not None:
        found = found.__cause__
    return f"{type(found).__name__}: {found}".splitlines()[0][:300]


def _pool(settings: Settings) -> urllib3.PoolManager:
    options: dict[str, Any] = {"num_pools": 1, "maxsize": 1, "block": False}
    context = settings.tls()
    if context is not None:
        options["ssl_context"] = context
    proxy = _proxy(settings.endpoint)
    pool = urllib3.PoolManager(**options) if proxy is None else _through(proxy, options)
    pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return pool


def _proxy(url: str) -> str | None:
    """Return the proxy that the environment names for ``url``."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxies = urllib.request.getproxies()
    if urllib.request.proxy_bypass(f"{host}:{parts.port}" if parts.port else host):
        return None
    found = proxies.get(parts.scheme) or proxies.get("all")
    return found if not found or "://" in found else f"http://{found}"


def _through(proxy: str, options: dict[str, Any]) -> urllib3.ProxyManager:
    auth = urllib3.util.parse_url(proxy).auth
    headers = urllib3.util.make_headers(proxy_basic_auth=unquote(auth)) if auth else None
    return urllib3.ProxyManager(proxy, proxy_headers=headers, **options)


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = HTTPConnection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = HTTPSConnection
