// Logs numbered records through pino and its transport for OpenTelemetry: URL protobuf|json RECORDS.
import pino from "pino";

const [url, form, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const transport = pino.transport({
  target: "pino-opentelemetry-transport",
  options: {
    loggerName: "shop.orders",
    serviceVersion: "1.2",
    resourceAttributes: { "service.name": "shop", "service.version": "1.2" },
    logRecordProcessorOptions: [
      {
        recordProcessorType: "batch",
        exporterOptions: { protocol: form === "protobuf" ? "http/protobuf" : "http", protobufExporterOptions: { url: `${url}/v1/logs` }, httpExporterOptions: { url: `${url}/v1/logs` } },
        processorConfig: { maxQueueSize: count + 10, maxExportBatchSize: 500 },
      },
    ],
  },
});
const logger = pino(transport);
for (let number = 0; number < count - 1; number += 1) {
  logger.info({ number }, `order ${number} accepted`);
}
logger.error({ number: count - 1, "exception.type": "KeyError" }, `order ${count - 1} failed`);
transport.end();
