"""The Celery application of `errands` with background logging; the environment selects thread or process."""

import logging
import os

import errands
from celery.signals import setup_logging
from errands import app as app

from concurrent_log.background import BackgroundHandler


@setup_logging.connect
def configure(**options: object) -> None:
    """Wrap our handler in a `BackgroundHandler`; the configuration of `errands` has already run."""
    root = logging.getLogger()
    worker = os.environ["BACKGROUND_WORKER"]
    root.handlers = [BackgroundHandler([errands.make_handler()], worker=worker, stop_timeout=100)]
