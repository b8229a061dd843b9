"""Watches the service ``database``, which works as long as there is no file ``down``, and sends that to a collector.

``python watching.py URL SERVICE``: it says when it watches, and ends when its standard input does.
"""

import logging
import sys
from pathlib import Path

from concurrent_log.collector import CollectorHandler
from concurrent_log.health import ServiceMonitor


def check_database() -> bool:
    """Return whether the database works."""
    return not Path("down").exists()


def main(url: str, service: str) -> None:
    """Watch until nobody is there."""
    handler = CollectorHandler(url, service=service, flush_interval=0.05, spool_directory=f"spool-{service}")
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # A machine that is busy makes nothing slow.
    monitor = ServiceMonitor(
        interval=0.05, slow=60, timeout=60, failure_threshold=2, recovery_timeout=0.1, report_interval=0.2
    )
    monitor.add("database", check_database)
    with monitor:
        print("watching", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
