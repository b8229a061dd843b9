// Logs numbered records through pino and pino-loki: URL RECORDS.
import pino from "pino";

const [url, count] = [process.argv[2], Number(process.argv[3])];
const transport = pino.transport({
  target: "pino-loki",
  options: { host: url, labels: { service: "shop", logger: "shop.orders" }, batching: { interval: 1 } },
});
const logger = pino(transport);
for (let number = 0; number < count; number += 1) {
  logger.info({ number }, `order ${number} accepted`);
}
transport.end();
