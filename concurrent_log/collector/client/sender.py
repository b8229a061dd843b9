"""Send a batch until the server has stored it: which responses to retry, when to divide, and when to give up.

The wire format says what a response means. With the collector's own protocol, these are retried, with increasing
pauses: no response, 408, 429, 5xx, and every status that means a wrong configuration, such as 401 or 404, because it
can be fixed while the records are queued. So is every answer that is not the collector's, even if its status is 200.
Divided: 413 and 400. Dropped: 409, because other records are stored under the id of the batch. With OTLP, its
specification decides.
"""

import email.utils
import itertools
import os
import threading
import time
from typing import NamedTuple, Protocol

import tenacity

from concurrent_log.collector.client.answer import Acknowledgement, describe, describe_failure
from concurrent_log.collector.client.batch import OutgoingBatch, compress, shorten
from concurrent_log.collector.client.losses import Losses
from concurrent_log.collector.client.settings import ClientSettings
from concurrent_log.collector.client.transport import CollectorConnection, CollectorResponse
from concurrent_log.collector.client.wire.interface import Verdict, WireFormat
from concurrent_log.internal import stderr

REFUSED, REJECTED, TOO_LARGE = "refused by the server", "rejected by the server", "too large for the server"
CONFLICT = "other records are stored under the batch id"
DIVIDED, SHORTENED = "sent in a divided batch", "sent with shorter texts"

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 60.0  # seconds; the maximum before the second attempt, and the maximum overall
_LONGEST_RETRY_AFTER = 300.0  # seconds that a server may request
_REPORT_AFTER = 3  # failed attempts
_SHORTER = (16_384, 2_048, 256)  # characters of each text in a record that is too large on its own
_SMALLEST_LIMIT = 16_384  # bytes; something that refuses less as too large is not the collector
_MAX_REFUSED = 10  # records refused one by one, without a success, after which the rest of the batch is dropped

senders: set[int] = set()  # ids of the threads of this process that are sending a request

if hasattr(os, "register_at_fork"):
    # A thread of the child may have the same id as one of the parent.
    os.register_at_fork(after_in_child=senders.clear)


def is_sending() -> bool:
    """Return whether this thread is sending a request; the records that it logs then are caused by the request."""
    return threading.get_ident() in senders


class RetryControl(Protocol):
    """Decides when the sender waits, and when it stops."""

    def wait(self, seconds: float) -> None:
        """Wait for ``seconds``, or until there is a reason to continue earlier."""

    def should_stop(self, response: CollectorResponse) -> bool:
        """Return whether there must be no further attempt after ``response``."""

    def time_left(self) -> float:
        """Return the maximum seconds of an attempt."""


class _Result(NamedTuple):
    """A response, and what it acknowledges; what to do if that is nothing."""

    response: CollectorResponse
    acknowledged: Acknowledgement | None
    verdict: Verdict

    @property
    def is_final(self) -> bool:
        """Whether there must be no further attempt with the same records."""
        return self.acknowledged is not None or self.verdict is not Verdict.RETRY


class Sender:
    """Sends batches, one at a time.

    Attributes:
        acknowledged: The number of records that the server has stored.
        sent: The number of records sent, including repetitions.
        last_error: The last error; an empty string if there was none.
        is_healthy: Whether the last attempt was successful.
    """

    def __init__(self, settings: ClientSettings, wire: WireFormat, losses: Losses, control: RetryControl) -> None:
        self._settings = settings
        self._wire = wire
        self._losses = losses
        self._control = control
        self._connection: CollectorConnection | None = None
        self._may_compress = settings.compress_from is not None
        self._failures = 0
        self._is_failure_reported = False
        self.acknowledged = self.sent = 0
        self.last_error = ""
        self.is_healthy = True

    def deliver(self, batch: OutgoingBatch) -> bool:
        """Send ``batch``, and return whether it is settled; if not, its ``parts`` are what is left to send."""
        refused = itertools.count(1)
        while batch.parts:
            result = self._send_part(batch)
            if not result.is_final:
                return False
            if result.acknowledged is not None:
                self._acknowledge(batch, result)
                refused = itertools.count(-(2**60))  # The server accepts some of the records.
            elif result.verdict is Verdict.DROP:
                self._drop(batch)
            elif result.response.status == 409:
                self._give_up(batch, CONFLICT, result.response)
            elif self._divide(batch):
                pass
            elif result.response.status == 413:
                self._send_shortened(batch)
            else:
                self._give_up(batch, REFUSED, result.response)
                if next(refused) >= _MAX_REFUSED:
                    self._drop(batch)
        return True

    def close(self) -> None:
        """Close the connection; the next attempt opens another one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # Explicitly, because urllib3's finalizers fail during the shutdown of the interpreter.
            connection.close()

    # One part of a batch, until a response settles it.

    def _send_part(self, batch: OutgoingBatch) -> _Result:
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_result(lambda result: not result.is_final),
            wait=self._seconds_to_wait,
            stop=lambda state: self._control.should_stop(_result_of(state).response),
            sleep=self._control.wait,
            retry_error_callback=_result_of,
        )
        body = self._wire.build_body(batch)
        return retrying(self._attempt, body, batch)

    def _attempt(self, body: bytes, batch: OutgoingBatch) -> _Result:
        """Send ``body`` once; send it again without compression if the server does not support it."""
        start, stop = batch.parts[-1]
        is_compressed = self._may_compress and stop - start >= (self._settings.compress_from or 0)
        response = self._post(compress(body) if is_compressed else body, is_compressed)
        if response.status == 415 and is_compressed:
            self._may_compress = False
            response = self._post(body, False)
        self.sent += stop - start
        acknowledged, verdict = self._wire.acknowledgement(response, batch), self._wire.verdict(response)
        if response.status == 413 and len(body) > _SMALLEST_LIMIT:
            verdict = Verdict.DIVIDE  # A proxy may have answered.
        result = _Result(response._replace(reason=self._wire.message(response)), acknowledged, verdict)
        self._note_result(result)
        return result

    def _post(self, body: bytes, is_compressed: bool) -> CollectorResponse:
        thread = threading.get_ident()
        is_outermost = thread not in senders
        senders.add(thread)
        try:
            self._connection = self._connection or CollectorConnection(
                self._settings, content_type=self._wire.content_type
            )
            timeout = max(0.05, min(self._settings.timeout, self._control.time_left()))
            return self._connection.post(body, timeout, is_compressed=is_compressed)
        finally:
            if is_outermost:
                senders.discard(thread)

    def _seconds_to_wait(self, state: tenacity.RetryCallState) -> float:
        """Return a random part of an increasing maximum, but at least the ``Retry-After`` of the server."""
        backoff = tenacity.wait_random_exponential(multiplier=_FIRST_PAUSE, max=_LONGEST_PAUSE)(state)
        requested = min(retry_after(_result_of(state).response.retry_after, time.time()), _LONGEST_RETRY_AFTER)
        return requested + min(backoff, 1.0) if requested else backoff

    def _note_result(self, result: _Result) -> None:
        """Update the state; report once that the server does not accept records, and once that it does again."""
        is_dropped = result.acknowledged is None and result.verdict is Verdict.DROP
        if result.is_final and not is_dropped:
            if self._is_failure_reported:
                self._warn("accepts records again")
            self._failures, self._is_failure_reported, self.is_healthy = 0, False, True
            return
        self._failures += 1
        self.is_healthy = False
        self.last_error = describe_failure(result.response)
        is_misconfigured = 200 <= result.response.status < 500 and result.response.status not in (408, 429)
        if not self._is_failure_reported and (self._failures >= _REPORT_AFTER or is_misconfigured or is_dropped):
            self._is_failure_reported = True
            consequence = "are dropped" if is_dropped else "stay queued"
            self._warn(f"does not accept records; they {consequence}: {self.last_error}")

    def _warn(self, message: str) -> None:
        stderr.warn(f"the collector at {self._settings.endpoint} {message}")

    # The consequences of a response.

    def _acknowledge(self, batch: OutgoingBatch, result: _Result) -> None:
        assert result.acknowledged is not None
        start, stop = batch.pop()
        if start == 0:
            batch.losses = []
        records, rejected = result.acknowledged.records, result.acknowledged.rejected
        if rejected:
            self.last_error = describe(result.response)
            self._losses.add(REJECTED, rejected)
        if start in batch.shortened:
            self._losses.note(SHORTENED, records - rejected)
        elif stop - start < len(batch.logs):
            self._losses.note(DIVIDED, records - rejected)
        self.acknowledged += records - rejected

    def _drop(self, batch: OutgoingBatch) -> None:
        self._losses.add(REFUSED, batch.pending())
        batch.parts.clear()

    def _divide(self, batch: OutgoingBatch) -> bool:
        """Divide the next part, and return whether that is possible."""
        start, stop = batch.parts[-1]
        if stop - start > 1:
            batch.divide()
            return True
        return False

    def _send_shortened(self, batch: OutgoingBatch) -> None:
        """Send a record that is too large on its own with shorter texts."""
        start, stop = batch.parts[-1]
        response = CollectorResponse(413, "too large")
        for longest in _SHORTER if batch.count(start, stop) else ():
            (before,) = batch.part()
            tried = batch.shortened.setdefault(start, [])
            if longest in tried or len(shorten(batch.logs[start], longest)) >= len(before):
                continue
            tried.append(longest)
            result = self._send_part(batch)
            response = result.response
            if result.acknowledged is not None:
                self._acknowledge(batch, result)
                return
            if not result.is_final:
                return  # Out of time: the next attempt begins with this part.
            if response.status != 413:
                break
        self._give_up(batch, CONFLICT if response.status == 409 else TOO_LARGE, response)

    def _give_up(self, batch: OutgoingBatch, reason: str, response: CollectorResponse) -> None:
        """Drop the record of the next part; report the losses before it with another batch."""
        start, stop = batch.pop()
        self.last_error = describe(response)
        if stop > start:
            self._losses.give_back(batch.losses)
        batch.losses = []
        self._losses.add(reason, batch.count(start, stop))


def _result_of(state: tenacity.RetryCallState) -> _Result:
    assert state.outcome is not None
    result: _Result = state.outcome.result()
    return result


def retry_after(header: str, now: float) -> float:
    """Return the seconds of a ``Retry-After`` header, a number or a date; 0 if it is neither."""
    try:
        return max(0.0, float(header)) if header else 0.0
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return 0.0
