"""Places for responses that last: a limit on how many are sent at the same time."""

import asyncio

from fastapi.responses import Response
from starlette.types import Receive, Scope, Send

from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.store.interface import TooManyQueries
from concurrent_log.collector.store.reader import QUERY_TIMEOUT


class Places:
    """At most ``limit`` responses at the same time; ``kind`` names them in the message."""

    def __init__(self, limit: int, kind: str) -> None:
        self._limit = limit
        self._kind = kind
        self.taken = 0

    def take(self) -> None:
        """Take a place, or raise `Problem` 503."""
        if self.taken >= self._limit:
            raise Problem(503, f"the limit of {self._limit} {self._kind} is reached: try again later", 30)
        self.taken += 1

    def release(self) -> None:
        """Release a place."""
        self.taken -= 1


class QueryGate:
    """Lets ``limit`` queries with large results run at the same time, including the encoding of the results.

    Use it as an asynchronous context manager. It raises `TooManyQueries` if a query waits for too long.
    """

    def __init__(self, limit: int) -> None:
        self._free = asyncio.Semaphore(limit)

    async def __aenter__(self) -> None:
        try:
            await asyncio.wait_for(self._free.acquire(), QUERY_TIMEOUT)
        except asyncio.TimeoutError:
            raise TooManyQueries("too many queries at the same time: try again later") from None

    async def __aexit__(self, *_: object) -> None:
        self._free.release()


class PlacedResponse(Response):
    """A response that keeps a place until its end."""

    def __init__(self, response: Response, places: Places) -> None:
        super().__init__()
        self._response = response
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; release the place however it ends."""
        try:
            await self._response(scope, receive, send)
        finally:
            self._places.release()
