"""A Celery application that logs to a collector. Run as a program, this file sends tasks to its worker."""

import logging
import os
import sys

import writing
from celery import Celery
from celery.signals import setup_logging

from concurrent_log.collector import CollectorHandler

app = Celery("errands_collector")
app.conf.broker_connection_retry_on_startup = True
app.conf.broker_url = "filesystem://"
for folder in ("sent", "queue", "control"):
    os.makedirs(folder, exist_ok=True)
app.conf.broker_transport_options = {
    "data_folder_in": "queue",
    "data_folder_out": "sent",
    "control_folder": "control",
    "polling_interval": 0.05,
}


@setup_logging.connect
def configure(**options: object) -> None:
    """Configure logging in place of Celery."""
    logging.basicConfig(level=logging.INFO, handlers=[CollectorHandler(os.environ["COLLECTOR_URL"])])
    logging.getLogger("app").info("record configured-0  0")


@app.task(ignore_result=True)
def work(source: str) -> None:
    """Log some records."""
    for number in range(50):
        logging.getLogger("app").info("record %s-%d  0", source, number)
    writing.report(f"{source} 50")


if __name__ == "__main__":
    app.conf.broker_transport_options |= {"data_folder_in": "sent", "data_folder_out": "queue"}
    for source in sys.argv[1:]:
        work.delay(source)
