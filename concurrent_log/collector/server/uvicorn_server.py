"""Runs the application with uvicorn, until a signal ends the process."""

import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn

from concurrent_log.collector.server.app import create_app
from concurrent_log.collector.server.connection_limits import LimitedProtocol, raise_file_limit
from concurrent_log.collector.server.settings import ServerSettings

_SHUTDOWN_TIMEOUT = 5  # seconds for requests that are in progress
_SWITCH_INTERVAL = 0.001  # seconds for which a thread that decodes may block the event loop
_GC_THRESHOLD = 50_000  # new objects between two garbage collections; a batch of 1,000 records creates some thousands


class _UvicornServer(uvicorn.Server):
    """Ends with exit status 0 after SIGINT and SIGTERM, instead of raising the signal again."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Without this, collections of long-lived objects made a batch of 1,000 records 1.3 ms slower.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GC_THRESHOLD, 10, 10)
        if self.started:
            self._on_start()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def open_socket(settings: ServerSettings) -> socket.socket:
    """Return a listening socket; raise `OSError` with the address if that is not possible."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        created = socket.create_server((settings.host.strip("[]"), settings.port), family=family, backlog=1024)
        # Create it again from its descriptor, so that its protocol is known to be TCP. Then asyncio sets TCP_NODELAY;
        # without that, Nagle's algorithm delays each response by 40 ms.
        return socket.socket(fileno=created.detach())
    except OSError as error:
        raise OSError(f"cannot listen at {settings.host}, port {settings.port}: {error.strerror or error}") from None


async def serve(
    settings: ServerSettings,
    listener: socket.socket,
    on_start: Callable[[], None],
    on_first_key: Callable[[str], None] | None = None,
) -> None:
    """Serve until a signal ends the process.

    Args:
        settings: The settings.
        listener: The socket on which the server listens.
        on_start: Called when the server accepts requests.
        on_first_key: Called with the admin key that the first start of a server creates that needs keys.

    Raises:
        StoreUnusable: The database cannot be used until an operator acts.
    """
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # Its messages name the address of the database.
    sys.setswitchinterval(_SWITCH_INTERVAL)
    app = create_app(settings)

    async def create_first_key() -> None:
        secret = await app.state.access.directory.create_first_key()
        if secret is not None and on_first_key is not None:
            on_first_key(secret)

    if settings.needs_key:
        app.state.managed_store.on_open = create_first_key
    await app.state.managed_store.start()
    LimitedProtocol.max_connections = raise_file_limit()
    LimitedProtocol.unread = app.state.unread_answers
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # The application does it, so that it knows the address of the connection, too.
        lifespan="on",
        http=LimitedProtocol,
        ws="none",
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT,
    )
    await _UvicornServer(config, on_start).serve([listener])
