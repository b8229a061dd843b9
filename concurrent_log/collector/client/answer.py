"""Whether an answer is the collector's: at its address, a login page, a captive portal or a proxy may answer instead.

Only an answer of the collector settles records. From version 2 of the protocol on, it contains the id of the batch;
earlier servers answer with the number of records only.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from concurrent_log.collector.client.transport import CollectorResponse
from concurrent_log.internal.stderr import printable

_REFUSALS = (400, 409, 413, 422)  # the statuses
_FIRST_WITH_ID = 2  # the version of the protocol
_FOREIGN = "this is not an answer of a collector; does a login page or a proxy answer at this address?"


@dataclass(frozen=True)
class Acknowledgement:
    """The server has committed a batch: the number of its records, and of those that the server has not stored."""

    records: int
    rejected: int


def acknowledgement(response: CollectorResponse, batch_id: str, records: int) -> Acknowledgement | None:
    """Return what a response acknowledges; None if it is not the collector's answer to this batch."""
    content = _json_object(response)
    if not 200 <= response.status < 300 or content.get("status") != "ok" or not _is_count(content, "count", records):
        return None
    rejected = content.get("rejected")
    lost = min(len(rejected), records) if isinstance(rejected, list) else 0
    protocol = content.get("protocol", 1)
    if protocol == 1:
        return Acknowledgement(records, lost)
    stored, is_duplicate = content.get("stored"), content.get("duplicate")
    if (
        not isinstance(protocol, int)
        or protocol < _FIRST_WITH_ID
        or content.get("batch_id") != batch_id
        or type(is_duplicate) is not bool
        or type(stored) is not int
        or not 0 <= stored <= records
    ):
        return None
    return Acknowledgement(records, lost if is_duplicate else records - stored)


def is_refusal(response: CollectorResponse) -> bool:
    """Return whether the collector refuses the content of a request, which must not be sent again as it is."""
    return response.status in _REFUSALS and isinstance(_json_object(response).get("detail"), str)


def describe_failure(response: CollectorResponse) -> str:
    """Return a response that settles nothing in one line."""
    is_foreign = 200 <= response.status < 300 or response.status in _REFUSALS
    return describe(response) + (f" ({_FOREIGN})" if is_foreign else "")


def describe(response: CollectorResponse) -> str:
    """Return a response in one line, without characters that could control a terminal."""
    text = printable(" ".join(response.reason.split())[:300])
    return f"{response.status} {text}".strip() if response.status else text


def _is_count(content: dict[str, Any], name: str, expected: int) -> bool:
    found = content.get(name)
    return type(found) is int and found == expected


def _json_object(response: CollectorResponse) -> dict[str, Any]:
    """Return the object in a response; an empty one if it contains none, or has another content type."""
    kind = response.content_type.partition(";")[0].strip().lower()
    if kind != "application/json":
        return {}
    try:
        content = msgspec.json.decode(response.reason)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
