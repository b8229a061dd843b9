"""The last check of a log file, kept so that `emit` needs no new check for each record."""

import io
from collections.abc import Callable
from typing import NamedTuple

_LIFETIME = 1.0  # seconds until a change by another program is noticed


class Span(NamedTuple):
    """The records that belong to the current file: created from ``start`` to before ``end``, in seconds."""

    start: float
    end: float


ANY_TIME = Span(float("-inf"), float("inf"))


class Snapshot(NamedTuple):
    """The result of a check: while it is valid, a record may be appended without another check.

    It is valid in the process ``pid``, while the handler's stream is ``stream`` and the lock file contains ``state``,
    for records created from ``opens`` to before ``closes``. For older records, which come from a queue, it is valid
    from ``since`` to before ``until``, and until the clock reaches ``expires``.
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


NO_SNAPSHOT = Snapshot(float("inf"), 0.0, float("inf"), 0.0, 0.0, object(), -1, b"", False, lambda data: 0, lambda: 0)


def take_snapshot(
    stream: object, raw: io.FileIO, *, state: bytes, span: Span, moment: float, now: float, pid: int, has_limit: bool
) -> Snapshot:
    """Return the snapshot of a file that was checked at ``now``, for a record created at ``moment``."""
    return Snapshot(
        stream=stream,
        write=raw.write,
        tell=raw.tell,
        state=state,
        has_limit=has_limit,
        opens=max(span.start, now - _LIFETIME),
        closes=min(span.end, now + _LIFETIME),
        since=max(span.start, moment - _LIFETIME),
        until=min(span.end, moment + _LIFETIME),
        expires=now + _LIFETIME,
        pid=pid,
    )
