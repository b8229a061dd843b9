"""Chooses the wire format."""

from concurrent_log.collector.client.wire.collector import CollectorFormat
from concurrent_log.collector.client.wire.interface import WireFormat
from concurrent_log.internal.extras import needs_packages

_PACKAGES, _MODULES = "opentelemetry-proto googleapis-common-protos", ("google", "opentelemetry")


def make_wire_format(protocol: str, client_id: str) -> WireFormat:
    """Return the format for ``protocol``, ``collector`` or ``otlp``.

    Raises:
        ModuleNotFoundError: A package of the extra ``otlp`` is not installed; the message has the command.
    """
    if protocol != "otlp":
        return CollectorFormat(client_id)
    with needs_packages("to send logs by OTLP", _PACKAGES, modules=_MODULES):
        from concurrent_log.collector.client.wire.otlp import OtlpFormat
    return OtlpFormat()
