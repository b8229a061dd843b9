// Logs as it is told, and answers each line of input with one line of JSON: node javascript.mjs '{"way": …}'.

import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { setTimeout as pause } from "node:timers/promises";

const { way, value, records, url, client, tools } = JSON.parse(process.argv[2]);

const WAYS = {
  async client() {
    const { createLogClient } = await import(client);
    const logger = createLogClient(url, { service: "shop" });
    return [
      (number) => logger.info("order accepted", { number, customer: "Ada", amount: 9.5 }),
      () => logger.flush(120_000),
    ];
  },
  async bare() {
    const { createLogClient } = await import(client);
    const logger = createLogClient(url, { service: "shop", caller: false });
    return [
      (number) => logger.info("order accepted", { number, customer: "Ada", amount: 9.5 }),
      () => logger.flush(120_000),
    ];
  },
  async pino() {
    const pino = createRequire(tools)("pino");
    const logger = pino(pino.transport({ target: "pino/file", options: { destination: "/dev/null" } }));
    return [(number) => logger.info({ number, customer: "Ada", amount: 9.5 }, "order accepted"), () => pause(300)];
  },
};

const VALUES = {
  // Microseconds of a call, in the middle.
  async calls(log, finish) {
    const calls = new Float64Array(records);
    for (let number = 0; number < records; number++) {
      const begin = process.hrtime.bigint();
      log(number);
      calls[number] = Number(process.hrtime.bigint() - begin);
    }
    await finish();
    return calls.sort()[records >> 1] / 1000;
  },
  // Records a second that the calls take.
  async accepted(log, finish) {
    const begin = performance.now();
    for (let number = 0; number < records; number++) log(number);
    const seconds = (performance.now() - begin) / 1000;
    await finish();
    return records / seconds;
  },
  // Records a second until all are committed.
  async stored(log, finish) {
    const begin = performance.now();
    for (let number = 0; number < records; number++) log(number);
    await finish();
    return (records / (performance.now() - begin)) * 1000;
  },
};

const [log, finish] = await WAYS[way]();
for (let number = 0; number < 2000; number++) log(number);
await finish();
console.log("ready");
for await (const _ of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await VALUES[value](log, finish)));
}
process.exit();
