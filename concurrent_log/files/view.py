"""What a writer knows after a look at the log file: enough to append many records without looking again."""

from collections.abc import Callable
from typing import NamedTuple


class View(NamedTuple):
    """The result of a look.

    It holds for records created from ``opens`` to before ``closes``, in the process ``pid``, while the lock file
    contains ``state``. For older records, which come out of a queue, it holds from ``since`` to before ``until``, and
    until the clock shows ``expires``.

    Attributes:
        has_limit: Whether the file has a maximum size.
        append: Appends bytes to the open log file with one write, and returns how many.
        position: Returns the position of the open log file, behind what this process appended last.
    """

    opens: float
    closes: float
    since: float
    until: float
    expires: float
    pid: int
    state: bytes
    has_limit: bool
    append: Callable[[bytes], int | None]
    position: Callable[[], int]


NO_VIEW = View(float("inf"), 0.0, float("inf"), 0.0, 0.0, -1, b"", False, lambda data: 0, lambda: 0)
