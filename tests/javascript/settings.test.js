// Headers, as a client is told them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { settingsOf } from "../../concurrent_log/collector/javascript/settings.js";

const headersOf = (/** @type {any} */ headers) =>
  settingsOf("http://logs.example", { headers }, { common: {}, options: {} }).headers;

test("whatever a header is, it is sent as text", () => {
  assert.equal(headersOf({ "X-A": 5 })["X-A"], "5");
  assert.equal(typeof headersOf({ "X-A": () => 1 })["X-A"], "string");
});

test("a header that HTTP does not allow is a mistake, which does not tell its value", () => {
  for (const headers of [{ "X-A": "two\nlines" }, { "no name": "x" }, { "X-A": "€" }])
    assert.throws(() => headersOf(headers), /^TypeError: headers must be .*, not (X-A|no name)$/);
});

test("Node without fetch of its own has a client all the same", () => {
  const { Headers } = globalThis;
  Reflect.deleteProperty(globalThis, "Headers");

  assert.equal(headersOf({ "X-A": "b" })["X-A"], "b");
  globalThis.Headers = Headers;
});
