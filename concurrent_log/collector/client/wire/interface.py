"""`WireFormat`: the interface between the sender and a format."""

import enum
from typing import Protocol

from concurrent_log.collector.client.answer import Acknowledgement
from concurrent_log.collector.client.batch import OutgoingBatch
from concurrent_log.collector.client.transport import CollectorResponse


class Verdict(enum.Enum):
    """What to do after a response that acknowledges nothing."""

    RETRY = "retry"  # Send the same request again.
    DIVIDE = "divide"  # Send the halves; drop a record that is refused on its own.
    DROP = "drop"  # Drop the whole batch.


class WireFormat(Protocol):
    """A format of requests and responses.

    Attributes:
        content_type: The type of a request's body.
        reports_losses: Whether a request can say which records were lost before it.
    """

    content_type: str
    reports_losses: bool

    def build_body(self, batch: OutgoingBatch) -> bytes:
        """Return the body for the next part of ``batch``: the same bytes each time, also in another process."""

    def acknowledgement(self, response: CollectorResponse, batch: OutgoingBatch) -> Acknowledgement | None:
        """Return what ``response`` acknowledges of the next part of ``batch``; None if it acknowledges nothing."""

    def verdict(self, response: CollectorResponse) -> Verdict:
        """Return what to do after ``response``, which acknowledges nothing."""

    def message(self, response: CollectorResponse) -> str:
        """Return the text in the body of ``response``, for error messages."""
