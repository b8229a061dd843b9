// The fields of a record, and their values as text.

import { exactJson, ExactNumber } from "./exact_json.js";

// Columns that are shown elsewhere, or that only the server uses.
const HIDDEN = ["message", "stack_trace", "attributes", "id", "level_number"];
const MAX_DEPTH = 5;
const MAX_CONDITION = 1000; // characters

/** Maximum characters of a message in its line. The open record shows all of them. */
export const MAX_LINE = 2000;

/** Return a field of a record: a column of the store, or an attribute. */
export function valueOf(record, key) {
  return record[key] ?? attributesOf(record).find(([name]) => name === key)?.[1];
}

/** Return a value as text, as the server compares it and the page shows it. */
export function asText(value) {
  return typeof value === "string" ? value : exactJson(value);
}

/** Return whether the server can filter by `key` and `value`. */
export function isFilterable(key, value) {
  const isKey = !/=|^!|!$/.test(key);
  return isKey && value !== null && !isDeep(value) && value !== "" && `${key}!=${value}`.length <= MAX_CONDITION;
}

/** Return whether a value is an object or a list. */
export function isDeep(value) {
  return value !== null && typeof value === "object" && !(value instanceof ExactNumber);
}

/** Return the attributes of a record. A member of an object has the name that filters use for it, such as `user.id`. */
export function attributesOf(record) {
  return Object.entries(record.attributes ?? {}).flatMap(([key, value]) => flatten(key, value, 1));
}

function flatten(key, value, depth) {
  const isObject = isDeep(value) && !Array.isArray(value);
  if (!isObject || depth === MAX_DEPTH || !Object.keys(value).length) return [[key, value]];
  return Object.entries(value).flatMap(([part, inner]) => flatten(`${key}.${part}`, inner, depth + 1));
}

/** Return the columns of a record that are not shown elsewhere, as pairs of name and value. */
export function columnsOf(record) {
  const { received_at: receivedAt, ...columns } = record;
  return Object.entries({ ...columns, received_at: receivedAt }).filter(([key]) => !HIDDEN.includes(key));
}

/** Copy text to the clipboard, even if the page has no access to the clipboard because it was loaded over plain HTTP. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text, className: "hidden" });
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
