// Stack frames in the format of each engine.

import assert from "node:assert/strict";
import { test } from "node:test";

import { parseFrame } from "../../concurrent_log/collector/javascript/call_site.js";

/** @type {[string, import("../../concurrent_log/collector/javascript/call_site.js").CallSite][]} */
const LINES = [
  ["    at sell (file:///srv/shop/a%20b.js:10:5)", { file: "/srv/shop/a b.js", line: 10, name: "sell" }],
  ["    at file:///srv/shop.js:1:2", { file: "/srv/shop.js", line: 1, name: undefined }],
  ["    at file:///C:/shop/a.js:1:2", { file: "C:/shop/a.js", line: 1, name: undefined }],
  ["    at Shop.sell (/srv/old.cjs:3:4)", { file: "/srv/old.cjs", line: 3, name: "Shop.sell" }],
  ["    at Object.<anonymous> (/srv/old.cjs:3:4)", { file: "/srv/old.cjs", line: 3, name: undefined }],
  ["    at Object.sell [as buy] (/srv/old.cjs:3:4)", { file: "/srv/old.cjs", line: 3, name: "sell" }],
  ["    at new Shop (C:\\shop\\a.js:3:4)", { file: "C:\\shop\\a.js", line: 3, name: "Shop" }],
  ["    at async later (file:///srv/shop.js:9:1)", { file: "/srv/shop.js", line: 9, name: "later" }],
  [
    "    at sell (http://shop.example:8000/app.js?v=1:10:5)",
    { file: "http://shop.example:8000/app.js?v=1", line: 10, name: "sell" },
  ],
  ["    at https://shop.example/app.js:2:30", { file: "https://shop.example/app.js", line: 2, name: undefined }],
  ["sell@http://shop.example:8000/app.js:10:5", { file: "http://shop.example:8000/app.js", line: 10, name: "sell" }],
  ["@https://cdn.example/@scope/x.js:1:2", { file: "https://cdn.example/@scope/x.js", line: 1, name: undefined }],
  ["https://shop.example/app.js:10:5", { file: "https://shop.example/app.js", line: 10, name: undefined }],
  ["module code@https://shop.example/app.js:7:3", { file: "https://shop.example/app.js", line: 7, name: undefined }],
  [
    "    at sold (eval at sell (eval at <anonymous> (https://shop.example/app.js:7:3), <anonymous>:1:1), <anonymous>:1:9)",
    { file: "https://shop.example/app.js", line: 7, name: "sold" },
  ],
  [
    "    at eval (eval at sell (file:///srv/a.js:7:3), <anonymous>:1:1)",
    { file: "/srv/a.js", line: 7, name: undefined },
  ],
  ["    at <anonymous>", {}],
  ["", {}],
];

for (const [line, callSite] of LINES) {
  test(`${line.trim() || "an empty line"} is parsed`, () => {
    assert.deepEqual(parseFrame(line), callSite);
  });
}
