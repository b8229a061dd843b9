"""Runs the application with uvicorn, until the process is told to end."""

import contextlib
import gc
import logging
import signal
import socket
import sys
from collections.abc import Callable, Iterator

import uvicorn

from concurrent_log.collector.server.app import create_app
from concurrent_log.collector.server.connection_limits import Protocol, make_room
from concurrent_log.collector.server.settings import Settings

_GRACE = 5  # seconds for requests that are in hand when the process is told to end
_SWITCH = 0.001  # seconds for which a thread that decodes may keep the one that answers waiting
_GARBAGE = 50_000  # new objects after which Python looks for garbage; a batch of 1,000 records is some thousands


class _Server(uvicorn.Server):
    """Ends with the process' own exit status, rather than by the signal that told it to."""

    def __init__(self, config: uvicorn.Config, on_start: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = on_start

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # A batch of 1,000 records took 1.3 ms longer where Python kept looking for garbage in all that stays anyway.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_GARBAGE, 10, 10)
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


def listening(settings: Settings) -> socket.socket:
    """Return the socket that listens, or raise `OSError` that says where it cannot."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        made = socket.create_server((settings.host.strip("[]"), settings.port), family=family, backlog=1024)
        # Known as TCP, so that asyncio lets no answer wait for the next one: Nagle's algorithm takes 40 ms each time.
        return socket.socket(fileno=made.detach())
    except OSError as error:
        raise OSError(f"cannot listen at {settings.host}, port {settings.port}: {error.strerror or error}") from None


async def serve(settings: Settings, where: socket.socket, on_start: Callable[[], None]) -> None:
    """Serve until the process is told to end; ``on_start`` is called when requests are answered.

    Raises:
        StoreUnusable: The database cannot be used as it is.
    """
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # it would name the address; what is wrong is said by us
    sys.setswitchinterval(_SWITCH)
    app = create_app(settings)
    await app.state.kept.begin()
    Protocol.most = make_room()
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        http=Protocol,
        ws="none",
        timeout_graceful_shutdown=_GRACE,
    )
    await _Server(config, on_start).serve([where])
