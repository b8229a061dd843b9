"""The collector's server in a thread of this process, so that a test can change its settings and its state."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn

from concurrent_log.collector.server.app import create_app
from concurrent_log.collector.server.connection_limits import LimitedProtocol
from concurrent_log.collector.server.settings import ServerSettings
from support.processes import wait_until


@contextlib.contextmanager
def serve_in_thread(folder: Path) -> Iterator[tuple[int, Any]]:
    """Serve with an SQLite file in ``folder``; provide the port, and the state of the application."""
    app = create_app(ServerSettings(database=str(folder / "logs.sqlite3")))
    listener = socket.create_server(("127.0.0.1", 0))
    LimitedProtocol.unread = app.state.unread_answers
    config = uvicorn.Config(app, log_config=None, lifespan="on", http=LimitedProtocol, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: server.started)
        yield listener.getsockname()[1], app.state
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
