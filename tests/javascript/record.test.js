// The arguments of a logging call in the record, and their limits.

import assert from "node:assert/strict";
import { test } from "node:test";

import { BoundFields, Entry, fieldsOf, messageOf } from "../../concurrent_log/collector/javascript/record.js";

const NOTHING = new BoundFields([]);

function recordOf(/** @type {unknown} */ message, /** @type {unknown} */ fields) {
  const entry = new Entry("INFO", messageOf(message), fieldsOf(fields, message), NOTHING, 0, null);
  entry.render();
  return JSON.parse(entry.json ?? "");
}

test("a long text is cut between characters, and contains the number of characters left out", () => {
  assert.equal(recordOf("x".repeat(65_536), {}).message, "x".repeat(65_536));
  assert.equal(recordOf(`${"x".repeat(65_535)}😀y`, {}).message, `${"x".repeat(65_535)}… [3 characters left out]`);
});

test("a shortened object, map or list ends with an ellipsis", () => {
  const list = Array.from({ length: 1001 }, (_, index) => index);
  const record = recordOf("x", {
    list,
    object: Object.fromEntries(list.map((each) => [`k${each}`, each])),
    map: new Map(list.map((each) => [`k${each}`, each])),
  });

  assert.deepEqual(record.list.slice(999), [999, "…"]);
  assert.deepEqual(Object.entries(record.object).slice(999), [["k999", 999], ["…", "…"]]); // prettier-ignore
  assert.deepEqual(Object.entries(record.map).slice(999), [["k999", 999], ["…", "…"]]); // prettier-ignore
});

test("all fields together are limited, and the first ones are kept", () => {
  const large = Array.from({ length: 1000 }, () => "y".repeat(1000));
  const record = recordOf("x", { first: "kept", ...Object.fromEntries(large.map((_, index) => [`f${index}`, large])) });

  assert.equal(record.first, "kept");
  assert.deepEqual([record.f0[0], record.f0.at(-1)], [large[0], "…"]);
  assert.equal(record.f998, "…");
  assert.ok(JSON.stringify(record).length < 1_048_576);
});

test("fields that are an object without enumerable members become the field `fields`", () => {
  assert.deepEqual(recordOf("x", new Map([["a", 1]])).fields, { a: 1 });
  assert.deepEqual(recordOf("x", new Date(0)).fields, "1970-01-01T00:00:00.000Z");
  assert.equal(recordOf("x", {}).fields, undefined);
  assert.equal(recordOf("x", Object.create(null)).fields, undefined);
});

test("a rendered entry keeps only its JSON", () => {
  const entry = new Entry("INFO", "text", fieldsOf({ a: { b: 1 } }), NOTHING, 0, new Error());
  entry.render();

  assert.deepEqual([entry.message, entry.fields, entry.caller], ["", [], null]);
  assert.ok(entry.json && entry.size >= entry.json.length);
});

test("a negative zero and large integers keep their form", () => {
  const fields = fieldsOf({ zero: -0, list: [-0, 1.5], id: 1597483647123456789n, huge: 2n ** 70n });
  const entry = new Entry("INFO", "x", fields, new BoundFields([]), 1, null);
  entry.render();

  assert.match(
    String(entry.json),
    /"zero":-0\.0,"list":\[-0\.0,1\.5\],"id":1597483647123456789,"huge":"1180591620717411303424"/,
  );
});

test("an error keeps its own fields, its causes and the errors that it collects", () => {
  const refused = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED", port: 5432 });
  const cause = Object.assign(new TypeError("no address"), { host: "db-1" });
  const both = new AggregateError([refused, "a text"], "all failed", { cause });
  const record = recordOf("x", Object.assign(both, { attempts: 2 }));

  assert.deepEqual(record.error, { attempts: 2, cause: { host: "db-1" } });
  assert.equal(record.error_type, "AggregateError");
  assert.equal(record.error_message, "all failed");
  for (const part of [/^AggregateError: all failed/, /\nError 1: Error: connect ECONNREFUSED/, /\nError 2: "?a text/])
    assert.match(record.stack_trace, part);
  assert.match(record.stack_trace, /\nCaused by: TypeError: no address/);
  assert.deepEqual(recordOf("x", refused).error, { code: "ECONNREFUSED", port: 5432 });
  assert.deepEqual(recordOf("x", { failed: both }).failed.errors[0].code, "ECONNREFUSED");
});

test("a cause that is no error, and one that is its own cause, are in the stack trace once", () => {
  const own = new Error("own");
  own.cause = own;

  assert.match(recordOf("x", new Error("outer", { cause: { code: 7 } })).stack_trace, /\nCaused by: \{"code":7\}$/);
  assert.match(recordOf("x", new Error("outer", { cause: "late" })).stack_trace, /\nCaused by: "?late"?$/);
  assert.equal(recordOf("x", own).stack_trace.match(/Error: own/g).length, 1);
  assert.equal(recordOf("x", new Error("plain")).error, undefined);
});

test("a message that is an object stays one, so that the server makes fields of its members", () => {
  assert.deepEqual(recordOf({ event: "login", user: 7 }, {}).message, { event: "login", user: 7 });
  assert.equal(recordOf([1, 2], {}).message, "[1,2]");
});
