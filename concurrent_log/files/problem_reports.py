"""Reports of errors, one for each cause."""

import logging
from collections.abc import Callable


class ProblemReports:
    """The causes that a handler has reported, by the stage in which they occurred."""

    def __init__(self) -> None:
        self._reported: dict[str, set[tuple[object, ...]]] = {}

    def report(
        self,
        stage: str,
        record: logging.LogRecord,
        problems: list[Exception],
        handle_error: Callable[[logging.LogRecord], None],
    ) -> None:
        """Call ``handle_error`` for each cause that the previous report of ``stage`` did not have."""
        known = self._reported.get(stage, set())
        causes = {_cause(problem): problem for problem in problems}
        self._reported[stage] = set(causes)
        try:
            for cause in causes.keys() - known:
                try:
                    raise causes[cause]
                except Exception:
                    handle_error(record)
        finally:
            # Each problem would refer to itself through its traceback and live until the next garbage collection. So
            # would an exception that passes through here, together with the lock that it interrupted.
            for problem in problems:
                problem.with_traceback(None).__context__ = None
            causes.clear()
            problems.clear()


def _cause(problem: Exception) -> tuple[object, ...]:
    return type(problem), getattr(problem, "errno", None)
