"""Background logging: a logging call queues the record, and a thread or a separate process writes it.

`BackgroundHandler` wraps the handlers that write. No thread or process starts before the first record.
"""

from concurrent_log.background.handler import BackgroundHandler, BackgroundStats

Stats = BackgroundStats  # the earlier name

__all__ = ["BackgroundHandler", "BackgroundStats", "Stats"]
