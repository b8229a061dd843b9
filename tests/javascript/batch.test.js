// What goes in one request, and in which parts it goes again.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Batch } from "../../concurrent_log/collector/javascript/batch.js";

const records = ["a", "b", "c", "d"].map((message) => JSON.stringify({ message }));
const made = () => new Batch("id", [...records], [{ reason: "queue full", records: 2, since: 5 }]);
const body = (/** @type {Batch} */ batch) => JSON.parse(batch.body(batch.parts[0], '"common":{}'));

test("the whole goes under its id, with what was lost before", () => {
  const sent = body(made());

  assert.equal(sent.batch_id, "id");
  assert.equal(sent.part_of, undefined);
  assert.deepEqual(sent.dropped, [{ reason: "queue full", records: 2, since: 5 }]);
  assert.deepEqual(
    sent.logs,
    records.map((each) => JSON.parse(each)),
  );
});

test("each half names all that it was divided from", () => {
  const batch = made();
  batch.halve();
  batch.halve();
  const first = body(batch);
  batch.settle(batch.parts[0]);
  const second = body(batch);

  assert.deepEqual([first.batch_id, first.part_of], ["id:0-1", ["id", "id:0-2"]]);
  assert.deepEqual([second.batch_id, second.part_of], ["id:1-2", ["id", "id:0-2"]]);
  assert.equal(second.dropped, undefined);
  assert.equal(batch.left, 3);
});

test("a batch is divided by size, and a part on its way settles all that it had", () => {
  const batch = made();
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

test("a record that is shortened is another one, and says how much is left out of the first", () => {
  const batch = new Batch("id", [JSON.stringify({ message: "x".repeat(5000) })], []);
  batch.shorten(2048);
  batch.shorten(256);
  const sent = body(batch);

  assert.deepEqual([sent.batch_id, sent.part_of], ["id:0-1-256", ["id", "id:0-1-2048"]]);
  assert.equal(sent.logs[0].message, `${"x".repeat(256)}… [4744 characters left out]`);
});
