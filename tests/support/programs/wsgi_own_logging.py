"""The WSGI application with logging of its own: the handler is made, and a thread logs, where this is imported."""

import logging
import threading

import writing
from wsgi import application as application

writing.configure()
logging.getLogger("app").info("record imported-0  0")
threading.Thread(target=writing.log_and_tell, args=("background",), daemon=True).start()
