// The option `headers`.

import assert from "node:assert/strict";
import { test } from "node:test";

import { settingsOf } from "../../concurrent_log/collector/javascript/settings.js";

const headersOf = (/** @type {any} */ headers) =>
  settingsOf("http://logs.example", { headers }, { common: {}, options: {} }).headers;

test("a header of any type is sent as text", () => {
  assert.equal(headersOf({ "X-A": 5 })["X-A"], "5");
  assert.equal(typeof headersOf({ "X-A": () => 1 })["X-A"], "string");
});

test("a header that HTTP does not allow raises an error without its value", () => {
  for (const headers of [{ "X-A": "two\nlines" }, { "no name": "x" }, { "X-A": "€" }])
    assert.throws(() => headersOf(headers), /^TypeError: headers must be .*, not (X-A|no name)$/);
});

test("a client can be created in Node without fetch", () => {
  const { Headers } = globalThis;
  Reflect.deleteProperty(globalThis, "Headers");

  assert.equal(headersOf({ "X-A": "b" })["X-A"], "b");
  globalThis.Headers = Headers;
});
