"""The Celery application of `errands`, logging in the background; the environment says by what kind of worker."""

import logging
import os

import errands
from celery.signals import setup_logging
from errands import app as app

from concurrent_log.background import BackgroundHandler


@setup_logging.connect
def configure(**options: object) -> None:
    """Put our handler into the background; the configuration of `errands` has run before."""
    root = logging.getLogger()
    root.handlers = [BackgroundHandler([errands.make_handler()], worker=os.environ["BACKGROUND_WORKER"])]
