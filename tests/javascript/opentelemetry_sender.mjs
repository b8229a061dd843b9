// Logs numbered records through OpenTelemetry's SDK: URL protobuf|json RECORDS.
import { OTLPLogExporter as JsonExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPLogExporter as ProtobufExporter } from "@opentelemetry/exporter-logs-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";

const [url, form, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const Exporter = form === "protobuf" ? ProtobufExporter : JsonExporter;
const exporter = new Exporter({ url: `${url}/v1/logs`, compression: "gzip" });
const provider = new LoggerProvider({
  resource: resourceFromAttributes({ "service.name": "shop", "service.version": "1.2" }),
  processors: [new BatchLogRecordProcessor({ exporter, maxQueueSize: count + 10, maxExportBatchSize: 500 })],
});
const logger = provider.getLogger("shop.orders");
for (let number = 0; number < count; number += 1) {
  const isLast = number === count - 1;
  logger.emit({
    severityNumber: isLast ? 17 : 9,
    severityText: isLast ? "ERROR" : "INFO",
    body: `order ${number} ${isLast ? "failed" : "accepted"}`,
    attributes: { number, ...(isLast ? { "exception.type": "KeyError", "exception.stacktrace": "KeyError: item" } : {}) },
  });
}
await provider.forceFlush();
await provider.shutdown();
