"""The only application of the project. It starts a thread in each process that loads it."""

import os
import sys
import threading

import writing
from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Starts a thread when it is ready, as schedulers do; also in the process of the reloader."""

    name = "shop"

    def ready(self) -> None:
        """Start the thread."""
        if "runserver" in sys.argv:
            threading.Thread(target=writing.log_and_report, args=(f"background{os.getpid()}",), daemon=True).start()
