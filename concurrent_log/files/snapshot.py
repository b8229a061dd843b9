"""What a handler saw of its log file when it last looked."""

from collections.abc import Callable
from typing import NamedTuple


class Span(NamedTuple):
    """Which records the current file takes: those created from ``start`` to before ``end``, in seconds."""

    start: float
    end: float


ANY = Span(float("-inf"), float("inf"))


class View(NamedTuple):
    """What a handler saw when it last looked: enough to append without looking again.

    It holds for records created from ``opens`` to before ``closes`` in the process ``pid``, while the handler's
    stream is ``stream`` and the lock file says ``state``. For older records, which come out of a queue, it holds
    from ``since`` to before ``until``, and until the clock says ``expires``.
    """

    opens: float
    closes: float
    since: float
    until: float
    expires: float
    stream: object
    pid: int
    state: bytes
    has_limit: bool
    write: Callable[[bytes], int | None]
    tell: Callable[[], int]


NO_VIEW = View(float("inf"), 0.0, float("inf"), 0.0, 0.0, object(), -1, b"", False, lambda data: 0, lambda: 0)
