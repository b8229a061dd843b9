"""The back end of the shop: standard logging, and a middleware that takes up the trace that the page began."""

import asyncio
import logging
import logging.config
import pathlib
import sys

import uvicorn
from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel

from concurrent_log.collector import RequestContextMiddleware

_PAGE = pathlib.Path(__file__).parent / "page"
_SECONDS = {"apple": 0.02, "pear": 0.4}  # that it takes to fetch one; there are no others

logger = logging.getLogger("shop.orders")


class Order(BaseModel):
    """What somebody wants."""

    fruit: str


class OutOfStock(Exception):  # noqa: N818 - it is what happened
    """There is none of it."""


async def fetch(fruit: str) -> None:
    """Get one from the shelf."""
    if fruit not in _SECONDS:
        raise OutOfStock(f"no {fruit} since Tuesday")
    if _SECONDS[fruit] > 0.1:
        logger.warning("the %ss are at the very back", fruit, extra={"fruit": fruit})
    await asyncio.sleep(_SECONDS[fruit])


def create_app(collector: str) -> FastAPI:
    """Return the shop, whose page logs to the ``collector`` at this address."""
    app = FastAPI(title="The shop", docs_url=None, redoc_url=None)
    app.add_middleware(RequestContextMiddleware)
    page = (_PAGE / "index.html").read_text(encoding="utf-8").replace("COLLECTOR", collector)

    @app.get("/")
    async def index() -> HTMLResponse:
        return HTMLResponse(page)

    @app.post("/orders")
    async def orders(order: Order) -> JSONResponse:
        logger.info("one %s is ordered", order.fruit, extra={"fruit": order.fruit})
        try:
            await fetch(order.fruit)
        except OutOfStock:
            logger.exception("the order cannot be served", extra={"fruit": order.fruit})
            return JSONResponse({"detail": f"We have no {order.fruit} today."}, 503)
        logger.info("one %s is on its way", order.fruit, extra={"fruit": order.fruit})
        return JSONResponse({"detail": f"One {order.fruit} is on its way."})

    app.mount("/", StaticFiles(directory=_PAGE))
    return app


def main(collector: str, port: int) -> None:
    """Serve until the process is told to end."""
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {
                "collector": {
                    "class": "concurrent_log.collector.CollectorHandler",
                    "url": collector,
                    "service": "shop-orders",
                    "environment": "demo",
                    "flush_interval": 0.2,
                }
            },
            "root": {"handlers": ["collector"], "level": "INFO"},
        }
    )
    uvicorn.run(create_app(collector), host="127.0.0.1", port=port, log_config=None, access_log=False)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
