"""Guesses are slowed down by address and in total, without disturbing those who do not guess."""

import pytest

from concurrent_log.collector.server.access.guesses import GuessLimiter


class Clock:
    """A clock that tests set."""

    now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def guess(limiter: GuessLimiter, address: str, count: int, first: int = 0) -> None:
    """Try different wrong secrets."""
    for number in range(first, first + count):
        limiter.note_failure(address, f"digest-{number}")


def test_each_guess_beyond_ten_waits_longer(capsys: pytest.CaptureFixture[str]) -> None:
    """The wait doubles up to a minute, is reported once a minute, and ends."""
    clock = Clock()
    limiter = GuessLimiter(clock)
    guess(limiter, "192.0.2.1", 10)
    waits = [limiter.wait("192.0.2.1", "right")]
    for number in range(8):
        guess(limiter, "192.0.2.1", 1, first=10 + number)
        waits.append(limiter.wait("192.0.2.1", "right"))
    clock.now += 60

    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert limiter.wait("192.0.2.1", "right") == 0
    assert capsys.readouterr().err.count("wrong keys came from 192.0.2.1") == 1


def test_same_wrong_key_is_no_guess() -> None:
    """A program with an outdated key sends it again and again, and blocks nobody at its address."""
    limiter = GuessLimiter(Clock())
    for _ in range(1000):
        limiter.note_failure("192.0.2.1", "outdated")

    assert limiter.wait("192.0.2.1", "right") == 0


def test_client_that_was_right_before_does_not_wait() -> None:
    """A program behind the same address as somebody who guesses goes on."""
    limiter = GuessLimiter(Clock())
    limiter.note_success("192.0.2.1", "right")
    guess(limiter, "192.0.2.1", 50)

    assert limiter.wait("192.0.2.1", "right") == 0
    assert limiter.wait("192.0.2.1", "another") > 0


def test_other_addresses_are_not_disturbed() -> None:
    """Guesses from one address, or one IPv6 network, count for it alone."""
    limiter = GuessLimiter(Clock())
    for number in range(50):
        guess(limiter, f"2001:db8::{number:x}", 1, first=number)

    assert limiter.wait("2001:db8::ffff", "right") > 0
    assert limiter.wait("2001:db8:0:1::1", "right") == 0
    assert limiter.wait("192.0.2.1", "right") == 0


def test_many_addresses_together_are_slowed() -> None:
    """Those who guess from many addresses make everybody new wait, for some seconds at most."""
    limiter = GuessLimiter(Clock())
    for number in range(300):
        guess(limiter, f"192.0.{number // 250}.{number % 250}", 1, first=number)

    assert 0 < limiter.wait("203.0.113.1", "right") <= 5


def test_memory_is_bounded() -> None:
    """A million addresses do not fill the memory, and old ones are forgotten."""
    clock = Clock()
    limiter = GuessLimiter(clock)
    for number in range(12_000):
        limiter._count(f"address {number}", "x", 1000, 1.0)
        limiter._forget_old() if number % 1000 == 0 else None
    clock.now += 2000
    guess(limiter, "192.0.2.1", 1)

    assert len(limiter._guessers) <= 2
