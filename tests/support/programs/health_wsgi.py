"""The health endpoints mounted in a Flask application."""

from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware

from concurrent_log.health import ServiceMonitor
from concurrent_log.health.endpoints import wsgi_app

monitor = ServiceMonitor(interval=0.1, slow=60, timeout=60)  # No check is slow on a busy machine.
monitor.add("clock", lambda: True)
monitor.start()

site = Flask(__name__)
application = DispatcherMiddleware(site, {"/internal": wsgi_app(monitor)})
