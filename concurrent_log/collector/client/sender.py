"""Sending a batch until the server has it: what to send again, and when; what to divide, and what to give up.

What a status means is decided here. Sent again, with growing pauses: no answer, 408, 429, 5xx, and whatever says that
the client is set up wrongly, such as 401 or 404, since that can be put right while the records wait. Divided: 413
and 400. Every 2xx is a success.
"""

import email.utils
import itertools
import os
import threading
import time
from typing import Any, Protocol

import msgspec
import tenacity

from concurrent_log.collector.client.batch import Batch, body_of, compressed, shortened
from concurrent_log.collector.client.losses import Losses
from concurrent_log.collector.client.settings import Settings
from concurrent_log.collector.client.transport import Answer, Connection
from concurrent_log.internal import stderr

REFUSED, REJECTED, TOO_LARGE = "refused by the server", "rejected by the server", "too large for the server"

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds; before the second attempt at most, and at all
_LONGEST_RETRY_AFTER = 300.0  # seconds for which a server may ask
_TOLD_AFTER = 3  # attempts in vain until that is said
_SHORTER = (16_384, 2_048, 256)  # characters of a text in a record that is too large alone
_HOPELESS = 10  # records refused one by one, without one that is not, after which the rest of a batch is, too

senders: set[int] = set()  # the threads of this process that are in the middle of a request

if hasattr(os, "register_at_fork"):
    # A thread of the child may have the number that the parent's had.
    os.register_at_fork(after_in_child=senders.clear)


def is_sending() -> bool:
    """Return whether this thread is in the middle of a request: what it logs now comes from sending itself."""
    return threading.get_ident() in senders


class Pause(Protocol):
    """Who decides about waiting."""

    def wait(self, seconds: float) -> None:
        """Wait so long, or until there is a reason not to."""

    def is_over(self, answer: Answer) -> bool:
        """Return whether there is to be no further attempt, after that answer."""

    def time_left(self) -> float:
        """Return for how many seconds an attempt may last."""


class Sender:
    """Sends batches, one at a time.

    Attributes:
        acknowledged: How many records the server has.
        sent: How many were sent, however often.
        last_error: What went wrong last; an empty string for nothing.
        is_healthy: Whether the last attempt was a success.
    """

    def __init__(self, settings: Settings, client: bytes, losses: Losses, pause: Pause) -> None:
        self._settings = settings
        self._client = client
        self._losses = losses
        self._pause = pause
        self._connection: Connection | None = None
        self._may_compress = settings.compress_from is not None
        self._failures = 0
        self._is_told = False
        self.acknowledged = self.sent = 0
        self.last_error = ""
        self.is_healthy = True

    def deliver(self, batch: Batch) -> bool:
        """Send ``batch``, and return whether all of it is settled; else the rest is still in its parts."""
        refused = itertools.count(1)
        while batch.parts:
            answer = self._answer_for(batch)
            if self._is_transient(answer):
                return False
            if 200 <= answer.status < 300:
                self._acknowledge(batch, answer)
                refused = itertools.count(-(2**60))  # The server takes some of them.
            elif self._is_divided(batch):
                pass
            elif answer.status == 413:
                self._shorten(batch)
            else:
                self._give_up(batch, REFUSED, answer)
                if next(refused) >= _HOPELESS:
                    self._losses.add(REFUSED, batch.left())
                    batch.parts.clear()
        return True

    def close(self) -> None:
        """Close the connection; the next attempt makes another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # Now, since the end of the interpreter is too late for what urllib3 does when it is let go.
            connection.close()

    # One part of a batch, until there is an answer that settles it.

    def _answer_for(self, batch: Batch) -> Answer:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(self._is_transient),
            wait=self._seconds_to_wait,
            stop=lambda state: self._pause.is_over(state.outcome.result()),  # type: ignore[union-attr]
            sleep=self._pause.wait,
            retry_error_callback=lambda state: state.outcome.result(),  # type: ignore[union-attr]
        )
        body = body_of(batch, self._client)
        return retrying(self._attempt, body, batch)

    def _attempt(self, body: bytes, batch: Batch) -> Answer:
        """Send ``body`` once; what must be sent otherwise is sent again at once."""
        start, stop = batch.parts[-1]
        compress = self._may_compress and stop - start >= (self._settings.compress_from or 0)
        answer = self._post(compressed(body) if compress else body, compress)
        if answer.status == 415 and compress:
            self._may_compress = False
            answer = self._post(body, False)
        self.sent += stop - start
        self._note(answer)
        return answer

    def _post(self, body: bytes, is_compressed: bool) -> Answer:
        thread = threading.get_ident()
        is_outermost = thread not in senders
        senders.add(thread)
        try:
            self._connection = self._connection or Connection(self._settings)
            timeout = max(0.05, min(self._settings.timeout, self._pause.time_left()))
            return self._connection.post(body, timeout, is_compressed=is_compressed)
        finally:
            if is_outermost:
                senders.discard(thread)

    def _is_transient(self, answer: Answer) -> bool:
        return not 200 <= answer.status < 300 and answer.status not in (400, 413, 422)

    def _seconds_to_wait(self, state: tenacity.RetryCallState) -> float:
        """Return a random part of a growing time, but what the server asks for at least."""
        answer: Answer = state.outcome.result()  # type: ignore[union-attr]
        backoff = tenacity.wait_random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE)(state)
        asked = min(retry_after(answer.retry_after, time.time()), _LONGEST_RETRY_AFTER)
        return asked + min(backoff, 1.0) if asked else backoff

    def _note(self, answer: Answer) -> None:
        """Remember how it went; say once that it does not go, and that it goes again."""
        if not self._is_transient(answer):
            if self._is_told:
                self._tell("answers again")
            self._failures, self._is_told, self.is_healthy = 0, False, True
            return
        self._failures += 1
        self.is_healthy = False
        self.last_error = _told(answer)
        is_set_up_wrongly = 300 <= answer.status < 500 and answer.status not in (408, 429)
        if not self._is_told and (self._failures >= _TOLD_AFTER or is_set_up_wrongly):
            self._is_told = True
            self._tell(f"does not take records, which wait: {self.last_error}")

    def _tell(self, what: str) -> None:
        stderr.warn(f"the collector at {self._settings.endpoint} {what}")

    # What an answer means for the part.

    def _acknowledge(self, batch: Batch, answer: Answer) -> None:
        start, stop = batch.pop()
        if start == 0:
            batch.dropped = []
        records = batch.count(start, stop)
        rejected = min(_rejected(answer.reason), records)
        if rejected:
            self.last_error = _told(answer)
            self._losses.add(REJECTED, rejected)
        self.acknowledged += records - rejected

    def _is_divided(self, batch: Batch) -> bool:
        start, stop = batch.parts[-1]
        if stop - start > 1:
            batch.divide()
            return True
        return False

    def _shorten(self, batch: Batch) -> None:
        """Send a record that is too large alone with shorter texts."""
        start, stop = batch.parts[-1]
        answer = Answer(413, "too large")
        for longest in _SHORTER if batch.count(start, stop) else ():
            (before,) = batch.part()
            tried = batch.shortened.setdefault(start, [])
            if longest in tried or len(shortened(batch.logs[start], longest)) >= len(before):
                continue
            tried.append(longest)
            answer = self._answer_for(batch)
            if 200 <= answer.status < 300:
                self._acknowledge(batch, answer)
                return
            if self._is_transient(answer):
                return  # Nothing waits for ever: the next attempt begins with this one.
            if answer.status != 413:
                break
        self._give_up(batch, TOO_LARGE, answer)

    def _give_up(self, batch: Batch, reason: str, answer: Answer) -> None:
        """Drop the record that is the next part; what was lost before it is reported with another one."""
        start, stop = batch.pop()
        self.last_error = _told(answer)
        if stop > start:
            self._losses.give_back(batch.dropped)
        batch.dropped = []
        self._losses.add(reason, batch.count(start, stop))


def retry_after(header: str, now: float) -> float:
    """Return for how many seconds a server asks: a number, or a date; 0 for anything else."""
    try:
        return max(0.0, float(header)) if header else 0.0
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _rejected(text: str) -> int:
    """Return how many records the server says that it could not store."""
    try:
        found: Any = msgspec.json.decode(text)
        return len(found.get("rejected") or ())
    except (msgspec.DecodeError, AttributeError, TypeError):
        return 0


def _told(answer: Answer) -> str:
    text = " ".join(answer.reason.split())[:300]
    return f"{answer.status} {text}".strip() if answer.status else text
