"""A FastAPI application whose records know which request they belong to."""

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
async def answer(request: Request, number: int) -> str:
    """Log on the loop, where the others go on meanwhile."""
    path = request.url.path
    client.set_user_context(user_id=path)
    for _ in range(3):
        client.info("by the client", asked=path)
        await asyncio.sleep(0.001)
        await asyncio.create_task(log(path))
    return "done"


async def log(path: str) -> None:
    """Log in a task."""
    logger.info("by a logger", extra={"asked": path})


@app.get("/thread/{number}")
def answer_in_thread(request: Request, number: int) -> str:
    """Log in a thread."""
    path = request.url.path
    client.set_user_context(user_id=path)
    for _ in range(3):
        client.info("by the client", asked=path)
        time.sleep(0.001)
        logger.info("by a logger", extra={"asked": path})
    return "done"
