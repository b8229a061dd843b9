"""A key's rate: what is within it passes at once, what is beyond it waits, what can never pass is refused."""

import pytest

pytest.importorskip("fastapi", reason="fastapi is not installed: pip install fastapi")

from concurrent_log.collector.server.access.rates import RateLimiter
from concurrent_log.collector.server.errors import Problem
from concurrent_log.collector.store.keys import Key, new_key


class StoppedClock:
    """A clock that tests set."""

    now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


@pytest.fixture
def key() -> Key:
    """Return a key for 60 records and 6,000 bytes a minute."""
    return new_key("send", "page", services=("shop",), records_per_minute=60, bytes_per_minute=6000)


def refused(limiter: RateLimiter, key: Key, records: int, size: int) -> tuple[int, int | None]:
    """Return the status and the time to wait of a refused batch."""
    with pytest.raises(Problem) as caught:
        limiter.require(key, records, size)
    return caught.value.status, caught.value.retry_after


def test_rate_fills_up_again(key: Key) -> None:
    """A minute's worth may come at once; then a record a second."""
    clock = StoppedClock()
    limiter = RateLimiter(clock)
    limiter.require(key, 60, 60)
    assert refused(limiter, key, 10, 10) == (429, 10)
    clock.now += 10

    limiter.require(key, 10, 10)
    assert refused(limiter, key, 1, 1) == (429, 1)


def test_bytes_count_too(key: Key) -> None:
    """Few large records are limited like many small ones; a refused batch takes nothing."""
    limiter = RateLimiter(StoppedClock())
    limiter.require(key, 1, 6000)

    assert refused(limiter, key, 1, 100) == (429, 1)
    assert refused(limiter, key, 50, 1) == (429, 1)


def test_too_large_batch_must_be_divided(key: Key) -> None:
    """A batch that exceeds the rate of a whole minute would wait indefinitely, so the client sends less at once."""
    assert refused(RateLimiter(StoppedClock()), key, 61, 1) == (413, None)


def test_keys_do_not_share_a_rate(key: Key) -> None:
    """Each key has its own rate, and one without limits is not limited."""
    limiter = RateLimiter(StoppedClock())
    limiter.require(key, 60, 1)
    limiter.require(new_key("send", "page", services=("shop",), records_per_minute=60), 60, 1)
    limiter.require(new_key("send", "program"), 10**6, 10**9)
