"""Logs numbered records through OpenTelemetry's handler: ``URL protobuf|json RECORDS``."""

import logging
import os
import sys

from opentelemetry.instrumentation.logging.handler import LoggingHandler
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

url, form, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
os.environ |= {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip"}
if form == "protobuf":
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
else:
    from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter

provider = LoggerProvider(resource=Resource.create({"service.name": "shop", "service.version": "1.2"}))
processor = BatchLogRecordProcessor(
    OTLPLogExporter(), max_queue_size=count + 10, max_export_batch_size=500, schedule_delay_millis=100
)
provider.add_log_record_processor(processor)
logger = logging.getLogger("shop.orders")
logger.setLevel(logging.INFO)
logger.propagate = False
logger.addHandler(LoggingHandler(logger_provider=provider))
for number in range(count - 1):
    logger.info("order %d accepted", number, extra={"number": number, "customer": "Ada"})
try:
    raise KeyError("item")
except KeyError:
    logger.exception("order %d failed", count - 1, extra={"number": count - 1})
provider.shutdown()
