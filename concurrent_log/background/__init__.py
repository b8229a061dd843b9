"""Logging in the background: the program hands a record over, and a thread or a process writes it.

`BackgroundHandler` wraps the handlers that do the writing. Nothing is started before the first record.
"""

from concurrent_log.background.handler import BackgroundHandler, Stats

__all__ = ["BackgroundHandler", "Stats"]
