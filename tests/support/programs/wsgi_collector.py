"""A WSGI application that logs to a collector; its import creates the handler and a thread that logs."""

import logging
import os
import threading

import writing
from wsgi import application as application

from concurrent_log.collector import CollectorHandler

writing.attach(CollectorHandler(os.environ["COLLECTOR_URL"], flush_interval=0.1))
logging.getLogger("app").info("record imported-0  0")
threading.Thread(target=writing.log_and_report, args=("background",), daemon=True).start()
