"""Slows down those who guess keys, by address and for the token as a whole, and reports them."""

import ipaddress
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from concurrent_log.internal import stderr

_FREE_GUESSES = 10  # of one address, before each further one makes it wait
_FREE_GUESSES_TOTAL = 200  # of all addresses together
_MAX_WAIT = 60.0  # seconds
_MAX_WAIT_TOTAL = 5.0  # seconds
_MEMORY = 900.0  # seconds without a guess after which an address is forgotten
_MAX_REMEMBERED = 10_000  # addresses; and secrets of one address
_REPORT_INTERVAL = 60.0  # seconds
_EVERYBODY = "*"


@dataclass
class _Guesser:
    tried: set[str] = field(default_factory=set)  # digests
    last: float = 0.0
    blocked_until: float = 0.0
    reported_at: float = float("-inf")


class GuessLimiter:
    """Counts different wrong secrets: a program that sends the same outdated key again and again does not guess.

    Args:
        clock: A monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._guessers: dict[str, _Guesser] = {}
        self._proven: dict[tuple[str, str], None] = {}  # pairs of an address and the digest that was right from there

    def wait(self, address: str, digest: str) -> float:
        """Return for how many seconds ``address`` may not try a secret; 0 if it may, or has used it before."""
        network = _network(address)
        if (network, digest) in self._proven:
            return 0.0
        ends = [self._guessers[each].blocked_until for each in (network, _EVERYBODY) if each in self._guessers]
        return max([0.0, *(end - self._clock() for end in ends)])

    def note_success(self, address: str, digest: str) -> None:
        """Let ``address`` use this secret from now on, also while others behind the same address guess."""
        if len(self._proven) >= _MAX_REMEMBERED:
            self._proven.clear()
        self._proven[_network(address), digest] = None

    def note_failure(self, address: str, digest: str) -> None:
        """Count a wrong secret."""
        self._forget_old()
        self._count(_network(address), digest, _FREE_GUESSES, _MAX_WAIT)
        self._count(_EVERYBODY, digest, _FREE_GUESSES_TOTAL, _MAX_WAIT_TOTAL)

    def _count(self, who: str, digest: str, free: int, most: float) -> None:
        now, guesser = self._clock(), self._guessers.setdefault(who, _Guesser())
        if digest in guesser.tried:
            return
        guesser.last = now
        if len(guesser.tried) < _MAX_REMEMBERED:
            guesser.tried.add(digest)
        excess = len(guesser.tried) - free
        if excess > 0:
            guesser.blocked_until = now + min(most, 2.0 ** min(excess - 1, 10))
            if guesser.reported_at + _REPORT_INTERVAL <= now:
                guesser.reported_at = now
                source = "all addresses together" if who == _EVERYBODY else who
                stderr.warn(f"{len(guesser.tried)} different wrong keys came from {source}; further ones have to wait")

    def _forget_old(self) -> None:
        now = self._clock()
        if len(self._guessers) >= _MAX_REMEMBERED:
            oldest = sorted(self._guessers, key=lambda who: self._guessers[who].last)
            for who in oldest[: _MAX_REMEMBERED // 10]:
                del self._guessers[who]
        for who in [who for who, guesser in self._guessers.items() if guesser.last and guesser.last + _MEMORY < now]:
            del self._guessers[who]


def _network(address: str) -> str:
    """Return the address, or the /64 network of an IPv6 address: one machine can have all addresses of it."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
