"""The WSGI application with its own logging. Importing it creates the handler and starts a thread that logs."""

import logging
import threading

import writing
from wsgi import application as application

writing.configure()
logging.getLogger("app").info("record imported-0  0")
threading.Thread(target=writing.log_and_report, args=("background",), daemon=True).start()
