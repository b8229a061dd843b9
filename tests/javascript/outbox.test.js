// The meaning of a response, and the pause after it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Losses } from "../../concurrent_log/collector/javascript/losses.js";
import { Queue } from "../../concurrent_log/collector/javascript/queue.js";
import { BoundFields, Entry } from "../../concurrent_log/collector/javascript/record.js";
import { Outbox, retryAfter } from "../../concurrent_log/collector/javascript/outbox.js";
import { settingsOf } from "../../concurrent_log/collector/javascript/settings.js";

const NOTHING = new BoundFields([]);

function outboxWith(/** @type {number} */ records, random = () => 1) {
  const warnings = /** @type {string[]} */ ([]);
  const warn = (/** @type {string} */ line) => void warnings.push(line);
  const settings = settingsOf("http://logs.example", { batchSize: 100 }, { common: {}, options: {} });
  const losses = new Losses(warn);
  const queue = new Queue(settings, losses);
  for (let index = 0; index < records; index++) queue.put(new Entry("INFO", `${index}`, [], NOTHING, index, null));
  return { outbox: new Outbox(settings, queue, losses, warn, random), losses, warnings };
}

const JSON_TYPE = "application/json; charset=utf-8";
const respond = (/** @type {number} */ status, header = "", reason = '{"detail":"no"}', contentType = JSON_TYPE) => ({
  status,
  reason,
  retryAfter: header,
  contentType,
});

/** The collector's answer to a delivery, with changes. */
function accept(
  /** @type {import("../../concurrent_log/collector/javascript/outbox.js").Delivery} */ delivery,
  changes = {},
) {
  const { batch_id, logs } = JSON.parse(delivery.body);
  const counts = { count: logs.length, stored: logs.length, duplicate: false, rejected: [] };
  return respond(200, "", JSON.stringify({ status: "ok", protocol: 2, batch_id, ...counts, ...changes }));
}

function next(/** @type {Outbox} */ outbox) {
  const delivery = outbox.next();
  assert.ok(delivery);
  return delivery;
}

test("pauses double up to a minute, with full jitter", () => {
  const { outbox } = outboxWith(1);
  const pauses = Array.from({ length: 10 }, () => outbox.settle(next(outbox), respond(503)));

  assert.deepEqual(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
  assert.equal(outboxWith(1, () => 0.25).outbox.settle(next(outbox), respond(503)), 125);
});

test("a pause that the server requests is respected, up to five minutes", () => {
  const { outbox } = outboxWith(1, () => 0);

  assert.equal(outbox.settle(next(outbox), respond(429, "7")), 7000);
  assert.equal(outbox.settle(next(outbox), respond(503, "86400")), 300_000);
  assert.ok(outbox.isServerPause);
  assert.equal(outbox.settle(next(outbox), respond(503)), 0);
  assert.ok(!outbox.isServerPause);
});

test("Retry-After is a number or a date, and any other value is ignored", () => {
  const now = Date.UTC(2026, 0, 1);

  assert.equal(retryAfter("1.5", now), 1500);
  assert.equal(retryAfter(new Date(now + 9000).toUTCString(), now), 9000);
  for (const header of ["", "-1", "soon", new Date(now - 9000).toUTCString()]) assert.equal(retryAfter(header, now), 0);
});

test("an outage is warned about once, and so is its end", () => {
  const { outbox, warnings } = outboxWith(1);
  for (let attempt = 0; attempt < 6; attempt++) outbox.settle(next(outbox), respond(0, "", "connection refused"));
  const before = [...warnings];
  outbox.settle(next(outbox), accept(next(outbox)));

  assert.deepEqual(before, ["http://logs.example/logs accepts no records, they stay queued: connection refused"]);
  assert.deepEqual(warnings.slice(1), ["http://logs.example/logs accepts records again"]);
});

test("a wrong configuration is warned about after the first attempt", () => {
  const { outbox, warnings } = outboxWith(1);
  outbox.settle(next(outbox), respond(401, "", '{"detail":"the token is wrong"}'));

  assert.match(warnings[0], /they stay queued: 401 .*the token is wrong/);
});

test("records that the server rejects are counted as lost, and the others are acknowledged", () => {
  const { outbox, losses } = outboxWith(3);
  const delivery = next(outbox);
  outbox.settle(delivery, accept(delivery, { stored: 2, rejected: [{ index: 1, reason: "x" }] }));

  assert.deepEqual([outbox.acknowledged, losses.totals], [2, { "rejected by the server": 1 }]);
});

test("an answer of an earlier server has no version and no id", () => {
  const { outbox, losses } = outboxWith(3);
  outbox.settle(next(outbox), respond(200, "", '{"status":"ok","count":3,"rejected":[{"index":1,"reason":"x"}]}'));

  assert.deepEqual([outbox.acknowledged, losses.totals], [2, { "rejected by the server": 1 }]);
});

const ours = { status: "ok", protocol: 2, count: 3, stored: 3, duplicate: false, rejected: [] };
for (const [what, status, content, type] of /** @type {[string, number, unknown, string][]} */ ([
  ["a login page", 200, "<!doctype html><title>Log in</title>", "text/html"],
  ["a login page that claims to be JSON", 200, "<!doctype html>", JSON_TYPE],
  ["no content", 204, "", ""],
  ["another program", 200, { status: "ok" }, JSON_TYPE],
  ["a list", 200, [], JSON_TYPE],
  ["null", 200, null, JSON_TYPE],
  ["an answer to another batch", 200, { ...ours, batch_id: "another" }, JSON_TYPE],
  ["an answer without the id", 200, ours, JSON_TYPE],
  ["an answer with another number", 200, { status: "ok", count: 2, rejected: [] }, JSON_TYPE],
  ["an answer as text", 200, { status: "ok", count: 3, rejected: [] }, "text/plain"],
  ["an answer with a number as text", 200, { status: "ok", count: "3", rejected: [] }, JSON_TYPE],
  ["a refusal of a proxy", 400, "<h1>400 Bad Request</h1>", "text/html"],
  ["a conflict of a proxy", 409, "<h1>409 Conflict</h1>", "text/html"],
  ["a proxy's limit of almost nothing", 413, "<h1>413</h1>", "text/html"],
]))
  test(`${what} acknowledges nothing and loses nothing`, () => {
    const { outbox, losses, warnings } = outboxWith(3);
    const reason = typeof content === "string" ? content : JSON.stringify(content);
    for (let attempt = 0; attempt < 3; attempt++)
      assert.ok(outbox.settle(next(outbox), respond(status, "", reason, type)) > 0);
    const refused = [outbox.acknowledged, outbox.pending, losses.count, warnings.length];
    const delivery = next(outbox);
    outbox.settle(delivery, accept(delivery));

    assert.deepEqual(refused, [0, 3, 0, 1]);
    assert.match(warnings[0], /they stay queued: \d+ .*\(this is not an answer of a collector/);
    assert.deepEqual([outbox.acknowledged, outbox.pending, losses.count], [3, 0, 0]);
  });

test("an answer cannot control the terminal", () => {
  const { outbox, warnings } = outboxWith(1);
  outbox.settle(next(outbox), respond(403, "", "forbidden \u001b]0;x\u0007\u009b2J\u202e", "text/html"));

  assert.match(warnings[0], /403 forbidden \\u001b\]0;x\\u0007\\u009b2J\\u202e$/);
});

test("divided records are counted, and are no losses", () => {
  const { outbox, losses } = outboxWith(3);
  outbox.settle(next(outbox), respond(413));
  for (let delivery = outbox.next(); delivery && outbox.pending; delivery = outbox.next())
    outbox.settle(delivery, accept(delivery));

  assert.deepEqual([losses.changed, losses.count, outbox.acknowledged], [{ "sent in a divided batch": 3 }, 0, 3]);
});

test("records whose batch id has other records are counted as lost at once, and the next batch is sent", () => {
  const { outbox, losses } = outboxWith(3);
  outbox.settle(next(outbox), respond(409));

  assert.deepEqual([outbox.acknowledged, outbox.pending], [0, 0]);
  assert.deepEqual(losses.totals, { "other records are stored under the batch id": 3 });
});

test("after ten refused records without an accepted one, the rest of the batch is dropped", () => {
  const { outbox, losses } = outboxWith(100);
  let requests = 0;
  for (let delivery = outbox.next(); delivery && requests < 500; delivery = outbox.next()) {
    requests += 1;
    outbox.settle(delivery, respond(400));
    if (outbox.pending === 0) break;
  }

  assert.equal(losses.totals["refused by the server"], 100);
  assert.ok(requests < 40, `${requests}`);
});

test("a rejection of a batch that was divided meanwhile changes nothing", () => {
  const { outbox } = outboxWith(100);
  const delivery = next(outbox);
  delivery.batch.divide(500);
  const parts = delivery.batch.parts.length;
  outbox.settle(delivery, respond(413));

  assert.equal(delivery.batch.parts.length, parts);
});

test("losses are reported to the server with the next batch, once", () => {
  const { outbox, losses } = outboxWith(1);
  losses.add("queue full", 5);
  losses.add("queue full", 2);
  const delivery = next(outbox);
  outbox.settle(delivery, respond(503));
  const again = next(outbox);
  outbox.settle(again, accept(again));

  assert.equal(JSON.parse(again.body).dropped[0].records, 7);
  assert.equal(outbox.next(), null);
});
