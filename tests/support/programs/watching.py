"""Monitors the service ``database``, which works while there is no file ``down``, and sends the log to a collector.

Usage: ``python watching.py URL SERVICE``. It prints "watching" when it has started, and ends at the end of stdin.
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
    """Monitor until the end of stdin."""
    handler = CollectorHandler(url, service=service, flush_interval=0.05, spool_directory=f"spool-{service}")
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    # A slow or overdue check must not change the status on a busy machine.
    monitor = ServiceMonitor(
        interval=0.05, slow=60, timeout=60, failure_threshold=2, recovery_timeout=0.1, report_interval=0.2
    )
    monitor.add("database", check_database)
    with monitor:
        print("watching", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
