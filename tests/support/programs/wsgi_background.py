"""The WSGI application with background logging. Importing it creates the handler and starts a thread that logs."""

import logging
import os
import threading

import writing
from wsgi import application as application

from concurrent_log import ConcurrentTimedRotatingFileHandler
from concurrent_log.background import BackgroundHandler

handler = ConcurrentTimedRotatingFileHandler("app.log", when="S", utc=True)
handler.setFormatter(logging.Formatter(writing.FORMAT))
writing.attach(BackgroundHandler([handler], worker=os.environ["BACKGROUND_WORKER"], stop_timeout=100))
logging.getLogger("app").info("record imported-0  0")
threading.Thread(target=writing.log_and_report, args=("background",), daemon=True).start()
