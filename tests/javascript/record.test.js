// What a logging call said, within limits, as the record has it.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Bound, Entry, fieldsOf, messageOf } from "../../concurrent_log/collector/javascript/record.js";

const NOTHING = new Bound([]);

function recorded(/** @type {unknown} */ message, /** @type {unknown} */ fields) {
  const entry = new Entry("INFO", messageOf(message), fieldsOf(fields, message), NOTHING, 0, null);
  entry.render();
  return JSON.parse(entry.json ?? "");
}

test("a text is cut between characters, and says how much is missing", () => {
  assert.equal(recorded("x".repeat(65_536), {}).message, "x".repeat(65_536));
  assert.equal(recorded(`${"x".repeat(65_535)}😀y`, {}).message, `${"x".repeat(65_535)}… [3 characters left out]`);
});

test("what is left out of an object, a map or a list is seen", () => {
  const list = Array.from({ length: 1001 }, (_, index) => index);
  const record = recorded("x", {
    list,
    object: Object.fromEntries(list.map((each) => [`k${each}`, each])),
    map: new Map(list.map((each) => [`k${each}`, each])),
  });

  assert.deepEqual(record.list.slice(999), [999, "…"]);
  assert.deepEqual(Object.entries(record.object).slice(999), [["k999", 999], ["…", "…"]]); // prettier-ignore
  assert.deepEqual(Object.entries(record.map).slice(999), [["k999", 999], ["…", "…"]]); // prettier-ignore
});

test("all fields together are bounded, and the first ones are kept", () => {
  const large = Array.from({ length: 1000 }, () => "y".repeat(1000));
  const record = recorded("x", { first: "kept", ...Object.fromEntries(large.map((_, index) => [`f${index}`, large])) });

  assert.equal(record.first, "kept");
  assert.deepEqual([record.f0[0], record.f0.at(-1)], [large[0], "…"]);
  assert.equal(record.f998, "…");
  assert.ok(JSON.stringify(record).length < 1_048_576);
});

test("what has no members, and is no plain object, is a field", () => {
  assert.deepEqual(recorded("x", new Map([["a", 1]])).fields, { a: 1 });
  assert.deepEqual(recorded("x", new Date(0)).fields, "1970-01-01T00:00:00.000Z");
  assert.equal(recorded("x", {}).fields, undefined);
  assert.equal(recorded("x", Object.create(null)).fields, undefined);
});

test("a record is its JSON once it is rendered, and keeps nothing else", () => {
  const entry = new Entry("INFO", "text", fieldsOf({ a: { b: 1 } }), NOTHING, 0, new Error());
  entry.render();

  assert.deepEqual([entry.message, entry.fields, entry.seen], ["", [], null]);
  assert.ok(entry.json && entry.size >= entry.json.length);
});
