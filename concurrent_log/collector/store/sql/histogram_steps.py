"""The width of the steps of a histogram, such as a second, five minutes or a day."""

from collections.abc import Iterator

_SECOND, _DAY = 1_000_000, 86_400_000_000  # microseconds


def choose_step(since: int, until: int, buckets: int) -> tuple[int, int, int]:
    """Return the smallest step that covers the range in at most ``buckets``, the start of the first, and their number.

    All times are in microseconds.
    """
    for step in round_steps():
        start = since // step * step
        number = max(1, -((start - until) // step))
        if number <= buckets:
            return step, start, number
    raise AssertionError("unreachable: the steps grow without limit")


def round_steps() -> Iterator[int]:
    """Yield the possible steps in microseconds, in ascending order."""
    for milliseconds in (1, 2, 5, 10, 20, 50, 100, 200, 500):
        yield milliseconds * 1000
    for seconds in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200):
        yield seconds * _SECOND
    days = 1
    while True:
        yield days * _DAY
        days = {1: 2, 2: 7, 7: 14, 14: 28}.get(days, days * 2)
