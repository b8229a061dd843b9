"""OTLP/HTTP with protobuf: the format of OpenTelemetry's collectors and of most other log servers.

The specification decides: 429, 502, 503, 504 and no response are retried, and no other error is. 400 and 413 refuse the
content, so the halves are sent, which are other requests. A response of 2xx is believed if it can be one of OTLP.
"""

import msgspec
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

from concurrent_log.collector.client.answer import Acknowledgement
from concurrent_log.collector.client.batch import OutgoingBatch
from concurrent_log.collector.client.transport import CollectorResponse
from concurrent_log.collector.client.wire.interface import Verdict
from concurrent_log.collector.client.wire.otlp_request import build_request

_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_RETRIED = frozenset((0, 429, 502, 503, 504))
_DIVIDED = frozenset((400, 413))


class OtlpFormat:
    """A `WireFormat`."""

    content_type = _PROTOBUF
    reports_losses = False

    def build_body(self, batch: OutgoingBatch) -> bytes:
        """Return an ``ExportLogsServiceRequest``."""
        return build_request(batch.common, [record for record in batch.part() if record]).SerializeToString(
            deterministic=True
        )

    def acknowledgement(self, response: CollectorResponse, batch: OutgoingBatch) -> Acknowledgement | None:
        """Believe an ``ExportLogsServiceResponse``, in protobuf or JSON, and an empty body."""
        if not 200 <= response.status < 300:
            return None
        rejected = _rejected(response)
        records = batch.count(*batch.parts[-1])
        return None if rejected is None else Acknowledgement(records, max(0, min(rejected, records)))

    def verdict(self, response: CollectorResponse) -> Verdict:
        """Retry what the specification says; a page that answers in place of the server is not the server's error."""
        if response.status in _DIVIDED:
            return Verdict.DIVIDE
        return Verdict.RETRY if response.status in _RETRIED or response.status < 400 else Verdict.DROP

    def message(self, response: CollectorResponse) -> str:
        """Return the message of a ``google.rpc.Status`` or of a partial success; otherwise the body."""
        if _media_type(response) != _PROTOBUF:
            return response.reason
        try:
            if 200 <= response.status < 300:
                answer = ExportLogsServiceResponse.FromString(response.content)
                return answer.partial_success.error_message
            return str(Status.FromString(response.content).message)
        except DecodeError:
            return response.reason


def _rejected(response: CollectorResponse) -> int | None:
    """Return the number of rejected records; None if the response is not one of OTLP."""
    if not response.content:
        return 0
    kind = _media_type(response)
    try:
        if kind == _PROTOBUF:
            answer = ExportLogsServiceResponse.FromString(response.content)
            return int(answer.partial_success.rejected_log_records)
        if kind == _JSON:
            return _rejected_in_json(response.content)
    except (DecodeError, msgspec.DecodeError, RecursionError, ValueError):
        pass
    return None


def _rejected_in_json(content: bytes) -> int | None:
    answer = msgspec.json.decode(content)
    if not isinstance(answer, dict) or not answer.keys() <= {"partialSuccess"}:
        return None
    partial = answer.get("partialSuccess") or {}
    if not isinstance(partial, dict):
        return None
    count = partial.get("rejectedLogRecords") or 0
    return int(count) if isinstance(count, (int, str)) else None


def _media_type(response: CollectorResponse) -> str:
    return response.content_type.partition(";")[0].strip().lower()
