// What an answer means, and for how long to wait.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Losses } from "../../concurrent_log/collector/javascript/losses.js";
import { Queue } from "../../concurrent_log/collector/javascript/queue.js";
import { Bound, Entry } from "../../concurrent_log/collector/javascript/record.js";
import { Sender, retryAfter } from "../../concurrent_log/collector/javascript/outbox.js";
import { settingsOf } from "../../concurrent_log/collector/javascript/settings.js";

const NOTHING = new Bound([]);

function sending(/** @type {number} */ records, random = () => 1) {
  const told = /** @type {string[]} */ ([]);
  const tell = (/** @type {string} */ line) => void told.push(line);
  const settings = settingsOf("http://logs.example", { batchSize: 100 }, { common: {}, options: {} });
  const losses = new Losses(tell);
  const queue = new Queue(settings, losses);
  for (let index = 0; index < records; index++) queue.put(new Entry("INFO", `${index}`, [], NOTHING, index, null));
  return { sender: new Sender(settings, queue, losses, tell, random), losses, told };
}

const answer = (/** @type {number} */ status, header = "", reason = "") => ({ status, reason, retryAfter: header });

function next(/** @type {Sender} */ sender) {
  const delivery = sender.next();
  assert.ok(delivery);
  return delivery;
}

test("pauses double up to a minute, with full jitter", () => {
  const { sender } = sending(1);
  const pauses = Array.from({ length: 10 }, () => sender.settle(next(sender), answer(503)));

  assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  assert.equal(sending(1, () => 0.25).sender.settle(next(sender), answer(503)), 125);
});

test("what a server asks for is kept to, up to five minutes", () => {
  const { sender } = sending(1, () => 0);

  assert.equal(sender.settle(next(sender), answer(429, "7")), 7000);
  assert.equal(sender.settle(next(sender), answer(503, "86400")), 300_000);
  assert.ok(sender.isAsked);
  assert.equal(sender.settle(next(sender), answer(503)), 0);
  assert.ok(!sender.isAsked);
});

test("a server asks by a number or a date, and anything else is nothing", () => {
  const now = Date.UTC(2026, 0, 1);

  assert.equal(retryAfter("1.5", now), 1500);
  assert.equal(retryAfter(new Date(now + 9000).toUTCString(), now), 9000);
  for (const header of ["", "-1", "soon", new Date(now - 9000).toUTCString()]) assert.equal(retryAfter(header, now), 0);
});

test("trouble is told once, and its end, too", () => {
  const { sender, told } = sending(1);
  for (let attempt = 0; attempt < 6; attempt++) sender.settle(next(sender), answer(0, "", "connection refused"));
  const before = [...told];
  sender.settle(next(sender), answer(200));

  assert.deepEqual(before, ["http://logs.example/logs does not take records, which wait: connection refused"]);
  assert.deepEqual(told.slice(1), ["http://logs.example/logs answers again"]);
});

test("what is set up wrongly is told at once", () => {
  const { sender, told } = sending(1);
  sender.settle(next(sender), answer(401, "", '{"detail":"the token is wrong"}'));

  assert.match(told[0], /which wait: 401 .*the token is wrong/);
});

test("records that the server could not store are counted, and the others are acknowledged", () => {
  const { sender, losses } = sending(3);
  sender.settle(next(sender), answer(200, "", '{"rejected":[{"index":1,"reason":"x"}]}'));

  assert.deepEqual([sender.acknowledged, losses.totals], [2, { "rejected by the server": 1 }]);
});

for (const rejected of ['"text"', '{"length":-5}', '{"length":"x"}', "7", "null"])
  test(`a server that rejects ${rejected} rejects nothing`, () => {
    const { sender, losses } = sending(3);
    sender.settle(next(sender), answer(200, "", `{"rejected":${rejected}}`));

    assert.deepEqual([sender.acknowledged, losses.totals], [3, {}]);
  });

test("ten refused records, with none that is taken, are enough", () => {
  const { sender, losses } = sending(100);
  let requests = 0;
  for (let delivery = sender.next(); delivery && requests < 500; delivery = sender.next()) {
    requests += 1;
    sender.settle(delivery, answer(400));
    if (sender.left === 0) break;
  }

  assert.equal(losses.totals["refused by the server"], 100);
  assert.ok(requests < 40, `${requests}`);
});

test("an answer to what was divided meanwhile changes nothing", () => {
  const { sender } = sending(100);
  const delivery = next(sender);
  delivery.batch.divide(500);
  const parts = delivery.batch.parts.length;
  sender.settle(delivery, answer(413));

  assert.equal(delivery.batch.parts.length, parts);
});

test("losses go to the server with the next batch, once", () => {
  const { sender, losses } = sending(1);
  losses.add("queue full", 5);
  losses.add("queue full", 2);
  const delivery = next(sender);
  sender.settle(delivery, answer(503));
  const again = next(sender);
  sender.settle(again, answer(200));

  assert.equal(JSON.parse(again.body).dropped[0].records, 7);
  assert.equal(sender.next(), null);
});
