"""The back end of the shop: standard logging, and a middleware that continues the trace of the page."""

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
_SECONDS = {"apple": 0.02, "pear": 0.4}  # the time to fetch each fruit in stock

logger = logging.getLogger("shop.orders")


class Order(BaseModel):
    """The order of a customer."""

    fruit: str


class OutOfStock(Exception):  # noqa: N818 - the name describes the event
    """The fruit is not in stock."""


async def fetch(fruit: str) -> None:
    """Fetch one fruit from the shelf."""
    if fruit not in _SECONDS:
        raise OutOfStock(f"no {fruit} since Tuesday")
    if _SECONDS[fruit] > 0.1:
        logger.warning("the %ss are at the back of the shelf", fruit, extra={"fruit": fruit})
    await asyncio.sleep(_SECONDS[fruit])


def create_app(collector: str) -> FastAPI:
    """Return the shop, which logs to the collector at the address ``collector``."""
    app = FastAPI(title="The shop", docs_url=None, redoc_url=None)
    app.add_middleware(RequestContextMiddleware)
    page = (_PAGE / "index.html").read_text(encoding="utf-8").replace("COLLECTOR", collector)

    @app.get("/")
    async def index() -> HTMLResponse:
        return HTMLResponse(page)

    @app.post("/orders")
    async def orders(order: Order) -> JSONResponse:
        logger.info("order for one %s received", order.fruit, extra={"fruit": order.fruit})
        try:
            await fetch(order.fruit)
        except OutOfStock:
            logger.exception("order cannot be fulfilled", extra={"fruit": order.fruit})
            return JSONResponse({"detail": f"We have no {order.fruit} today."}, 503)
        logger.info("one %s shipped", order.fruit, extra={"fruit": order.fruit})
        return JSONResponse({"detail": f"One {order.fruit} is on its way."})

    app.mount("/", StaticFiles(directory=_PAGE))
    return app


def main(collector: str, port: int) -> None:
    """Serve until the process gets a signal to end."""
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
