// The request of a batch, and the requests of its parts.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Batch } from "../../concurrent_log/collector/javascript/batch.js";

const records = ["a", "b", "c", "d"].map((message) => JSON.stringify({ message }));
const newBatch = () => new Batch("id", [...records], [{ reason: "queue full", records: 2, since: 5 }]);
const body = (/** @type {Batch} */ batch) => JSON.parse(batch.body(batch.parts[0], '"common":{}'));

test("an undivided batch is sent under its id, with the losses to report", () => {
  const sent = body(newBatch());

  assert.equal(sent.batch_id, "id");
  assert.equal(sent.part_of, undefined);
  assert.deepEqual(sent.dropped, [{ reason: "queue full", records: 2, since: 5 }]);
  assert.deepEqual(
    sent.logs,
    records.map((each) => JSON.parse(each)),
  );
});

test("each half has the ids of the batch and the parts that it was divided from", () => {
  const batch = newBatch();
  batch.halve();
  batch.halve();
  const first = body(batch);
  batch.settle(batch.parts[0]);
  const second = body(batch);

  assert.deepEqual([first.batch_id, first.part_of], ["id:0-1", ["id", "id:0-2"]]);
  assert.deepEqual([second.batch_id, second.part_of], ["id:1-2", ["id", "id:0-2"]]);
  assert.equal(second.dropped, undefined);
  assert.equal(batch.pending, 3);
});

test("a batch is divided by size, and the response to the undivided batch settles every part", () => {
  const batch = newBatch();
  const [whole] = batch.parts;
  batch.divide(40);

  assert.deepEqual(
    batch.parts.map(({ start, stop }) => [start, stop]),
    [
      [0, 2],
      [2, 4],
    ],
  );
  assert.equal(batch.settle(whole), 4);
  assert.equal(batch.settle(whole), 0);
});

test("a shortened record has an id of its own, and contains the number of characters left out", () => {
  const batch = new Batch("id", [JSON.stringify({ message: "x".repeat(5000) })], []);
  batch.shorten(2048);
  batch.shorten(256);
  const sent = body(batch);

  assert.deepEqual([sent.batch_id, sent.part_of], ["id:0-1-256", ["id", "id:0-1-2048"]]);
  assert.equal(sent.logs[0].message, `${"x".repeat(256)}… [4744 characters left out]`);
});
