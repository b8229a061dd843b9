"""A Flask application whose records have the fields of their request."""

import logging
import time
from collections.abc import Iterator

from flask import Flask, Response, request

from concurrent_log.collector import AsyncLogClient, CollectorHandler, WsgiRequestContextMiddleware

client = AsyncLogClient(service="wsgi")
logger = logging.getLogger("shop")
logger.addHandler(CollectorHandler(client.server_url))
logger.setLevel(logging.INFO)

app = Flask(__name__)
app.wsgi_app = WsgiRequestContextMiddleware(app.wsgi_app)  # type: ignore[method-assign]


def log(path: str) -> Iterator[None]:
    """Log, one step at a time."""
    client.set_user_context(user_id=path)
    for _ in range(3):
        client.info("by the client", requested=path)
        time.sleep(0.001)
        yield
        logger.info("by a logger", extra={"requested": path})


@app.get("/early/<int:number>")
def respond_early(number: int) -> Response:
    """Log before the response is returned."""
    list(log(request.path))
    return Response('"done"')


@app.get("/body/<int:number>")
def respond_later(number: int) -> Response:
    """Log while the body is sent."""
    path = request.path

    def body() -> Iterator[str]:
        for _ in log(path):
            yield ""
        yield '"done"'

    return Response(body())
