"""Reports of errors, one for each cause."""

from collections.abc import Callable
from typing import Any


class ProblemReports:
    """Reports problems of several stages (``append``, ``clean up``, ``compress``), each cause once until it is gone.

    Args:
        handle_error: Reports the exception that is being handled, for a record.
    """

    def __init__(self, handle_error: Callable[[Any], None]) -> None:
        self._handle_error = handle_error
        self._reported: dict[str, set[tuple[object, ...]]] = {}

    def report(self, stage: str, record: Any, problems: list[Exception]) -> None:
        """Report each cause that the previous report of ``stage`` did not have."""
        known = self._reported.get(stage, set())
        causes = {_cause(problem): problem for problem in problems}
        self._reported[stage] = set(causes)
        try:
            for cause in causes.keys() - known:
                try:
                    raise causes[cause]
                except Exception:
                    self._handle_error(record)
        finally:
            # Each problem would refer to itself through its traceback and live until the next garbage collection. So
            # would an exception that passes through here, together with the lock that it interrupted.
            for problem in problems:
                problem.with_traceback(None).__context__ = None
            causes.clear()
            problems.clear()


def _cause(problem: Exception) -> tuple[object, ...]:
    return type(problem), getattr(problem, "errno", None)
