"""Logs numbered records through python-logging-loki's handler: ``URL RECORDS``."""

import logging
import sys

import logging_loki

url, count = sys.argv[1], int(sys.argv[2])
handler = logging_loki.LokiHandler(f"{url}/loki/api/v1/push", tags={"service": "shop"}, version="1")
logger = logging.getLogger("shop.orders")
logger.setLevel(logging.INFO)
logger.addHandler(handler)
for number in range(count):
    logger.info("order %d accepted", number, extra={"tags": {"customer": "Ada"}})
