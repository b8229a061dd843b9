// Logs numbered records through winston and winston-loki: URL protobuf|json RECORDS.
import winston from "winston";
import LokiTransport from "winston-loki";

const [url, form, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];
// After a failure, it waits for a minute, or until it is closed.
let failed;
const failure = new Promise((resolve) => (failed = resolve));
const transport = new LokiTransport({
  host: url,
  labels: { service: "shop", logger: "shop.orders" },
  format: winston.format.json(),
  json: form === "json",
  interval: 1,
  gracefulShutdown: false,
  onConnectionError: failed,
});
const logger = winston.createLogger({ transports: [transport] });
for (let number = 0; number < count; number += 1) {
  logger.info(`order ${number} accepted`, { number });
}
await Promise.race([transport.flush(), failure]);
await transport.close();
