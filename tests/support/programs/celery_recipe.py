"""A Celery application with the usual recipe for a log file of one's own; the worker sends itself its tasks.

The recipe: Celery leaves the root logger alone, and two signals add the handler, to the root logger and to that of the
tasks, which does not propagate.
"""

import logging
import os

from celery import Celery
from celery.signals import after_setup_logger, after_setup_task_logger, worker_ready
from celery.utils.log import get_task_logger

from concurrent_log import ConcurrentTimedRotatingFileHandler

TASKS, RECORDS = 40, 5

app = Celery("celery_recipe", broker="memory://")
app.conf.update(worker_hijack_root_logger=False, worker_redirect_stdouts=False)
logger = get_task_logger("shop")


def add_file(logger: logging.Logger, **options: object) -> None:
    """Add the log file to a logger that Celery has just set up."""
    handler = ConcurrentTimedRotatingFileHandler("app.log", when="midnight", backupCount=7, maxBytes=3000)
    handler.setFormatter(logging.Formatter("%(process)d|%(name)s|%(message)s"))
    logger.addHandler(handler)


after_setup_logger.connect(add_file)
after_setup_task_logger.connect(add_file)


@app.task(name="sell")
def sell(number: int) -> None:
    """Log some records."""
    for part in range(RECORDS):
        logger.info("sold %d-%d", number, part)


@worker_ready.connect
def send_all(**options: object) -> None:
    """Send the tasks from the main process, which has the queue in its memory."""
    logging.getLogger("shop.main").warning("ready in %d", os.getpid())
    for number in range(TASKS):
        sell.delay(number)
