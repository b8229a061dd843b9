"""A FastAPI application whose records have the fields of their request."""

import asyncio
import logging
import time

from fastapi import FastAPI, Request

from concurrent_log.collector import AsyncLogClient, CollectorHandler, RequestContextMiddleware

client = AsyncLogClient(service="asgi")
logger = logging.getLogger("shop")
logger.addHandler(CollectorHandler(client.server_url))
logger.setLevel(logging.INFO)


app = FastAPI()
app.add_middleware(RequestContextMiddleware)


@app.get("/async/{number}")
async def respond_in_loop(request: Request, number: int) -> str:
    """Log in the loop, while other requests continue."""
    path = request.url.path
    client.set_user_context(user_id=path)
    for _ in range(3):
        client.info("by the client", requested=path)
        await asyncio.sleep(0.001)
        await asyncio.create_task(log(path))
    return "done"


async def log(path: str) -> None:
    """Log in a task."""
    logger.info("by a logger", extra={"requested": path})


@app.get("/thread/{number}")
def respond_in_thread(request: Request, number: int) -> str:
    """Log in a thread."""
    path = request.url.path
    client.set_user_context(user_id=path)
    for _ in range(3):
        client.info("by the client", requested=path)
        time.sleep(0.001)
        logger.info("by a logger", extra={"requested": path})
    return "done"
