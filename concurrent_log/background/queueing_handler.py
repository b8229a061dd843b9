"""`QueueingHandler`: what all handlers have in common that put records into a queue."""

import logging

from concurrent_log.internal.awaitable_result import run_without_blocking_loop


class QueueingHandler(logging.Handler):
    """A handler whose ``emit`` puts a record into a queue. A subclass has ``emit``, ``flush`` and ``close``."""

    def handle(self, record: logging.LogRecord) -> bool:
        """Queue ``record`` if the filters accept it. This takes no handler lock."""
        passed = self.filter(record)
        if passed is not True and isinstance(passed, logging.LogRecord):
            record = passed  # Since Python 3.12, a filter may return another record.
        if passed:
            self.emit(record)
        return passed

    def createLock(self) -> None:
        """Create no lock: nothing that uses this handler has to wait."""
        self.lock = None

    def flush(self, timeout: float | None = None) -> bool:  # type: ignore[override]  # `logging` returns None
        """Wait until everything that was logged before is done, for at most ``timeout`` seconds; return whether it is.

        Raises:
            NotImplementedError: The subclass has no such method.
        """
        raise NotImplementedError

    async def aflush(self, timeout: float | None = None) -> bool:
        """Do what `flush` does, and let the event loop run meanwhile: that of asyncio, uvloop, trio or anyio."""
        return await run_without_blocking_loop(lambda: self.flush(timeout))

    async def aclose(self) -> None:
        """Do what `close` does, and let the event loop run meanwhile. A caller that is cancelled does not stop it."""

        def close() -> bool:
            self.close()
            return True

        await run_without_blocking_loop(close)
