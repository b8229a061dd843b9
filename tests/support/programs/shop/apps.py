"""The project's one application, which works in the background of every process that loads it."""

import os
import sys
import threading

import writing
from django.apps import AppConfig


class ShopConfig(AppConfig):
    """Starts a thread where it is ready, as schedulers do: in the reloader's process, too."""

    name = "shop"

    def ready(self) -> None:
        """Begin to work."""
        if "runserver" in sys.argv:
            threading.Thread(target=writing.log_and_tell, args=(f"background{os.getpid()}",), daemon=True).start()
