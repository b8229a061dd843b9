"""What went wrong, reported once for each cause."""

import logging
from collections.abc import Callable


class ProblemReports:
    """The problems that a handler has reported, by the stage at which they came up."""

    def __init__(self) -> None:
        self._reported: dict[str, set[tuple[object, ...]]] = {}

    def report(
        self,
        stage: str,
        record: logging.LogRecord,
        problems: list[Exception],
        handle_error: Callable[[logging.LogRecord], None],
    ) -> None:
        """Tell ``handle_error`` of each problem once, until it is gone or another one comes."""
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
            # Else each would refer to itself, by its traceback, and live on until a garbage collection; and so would
            # an exception that is on its way out through here, with the lock that it interrupted.
            for problem in problems:
                problem.with_traceback(None).__context__ = None
            causes.clear()
            problems.clear()


def _cause(problem: Exception) -> tuple[object, ...]:
    return type(problem), getattr(problem, "errno", None)
