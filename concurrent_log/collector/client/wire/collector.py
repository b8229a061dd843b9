"""The collector's own protocol: JSON, with the id of each batch in the request and in the response."""

import msgspec

from concurrent_log.collector.client.answer import Acknowledgement, acknowledgement, is_refusal
from concurrent_log.collector.client.batch import OutgoingBatch, build_body
from concurrent_log.collector.client.transport import CollectorResponse
from concurrent_log.collector.client.wire.interface import Verdict


class CollectorFormat:
    """A `WireFormat`.

    Args:
        client_id: Identifies the sender.
    """

    content_type = "application/json"
    reports_losses = True

    def __init__(self, client_id: str) -> None:
        self._client = msgspec.json.encode({"id": client_id, "name": "concurrent-log"})

    def build_body(self, batch: OutgoingBatch) -> bytes:
        """Return a JSON object."""
        return build_body(batch, self._client)

    def acknowledgement(self, response: CollectorResponse, batch: OutgoingBatch) -> Acknowledgement | None:
        """Believe an answer with the id of the batch."""
        return acknowledgement(response, batch.part_id(), batch.count(*batch.parts[-1]))

    def verdict(self, response: CollectorResponse) -> Verdict:
        """Divide what the collector refuses; send everything else again, because the cause can be fixed."""
        return Verdict.DIVIDE if is_refusal(response) else Verdict.RETRY

    def message(self, response: CollectorResponse) -> str:
        """Return the body."""
        return response.reason
