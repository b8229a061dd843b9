// The fields of a record, and their values as text.

// What has a place of its own, or is only of use to the machinery.
const ELSEWHERE = ["message", "stack_trace", "attributes", "id", "level_number"];
const DEEPEST = 5;
const LONGEST = 1000; // characters of a condition

/** How many characters of a message its line shows at most; the open record shows all of them. */
export const LONGEST_LINE = 2000;

/** Return a field of a record, whether it is a column of the store or an attribute. */
export function valueOf(record, key) {
  return record[key] ?? attributesOf(record).find(([name]) => name === key)?.[1];
}

/** Return a value as the server compares it, and as it is shown. */
export function asText(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** Return whether one can ask the server for records in which `key` is `value`. */
export function canBeAskedFor(key, value) {
  const isKey = !/=|^!|!$/.test(key);
  return isKey && value !== null && typeof value !== "object" && value !== "" && `${key}!=${value}`.length <= LONGEST;
}

/** Return the attributes of a record; what is in an object has the name by which to ask for it, such as `user.id`. */
export function attributesOf(record) {
  return Object.entries(record.attributes ?? {}).flatMap(([key, value]) => flat(key, value, 1));
}

function flat(key, value, depth) {
  const isObject = value !== null && typeof value === "object" && !Array.isArray(value);
  if (!isObject || depth === DEEPEST || !Object.keys(value).length) return [[key, value]];
  return Object.entries(value).flatMap(([part, inner]) => flat(`${key}.${part}`, inner, depth + 1));
}

/** Return the columns of a record that have no place of their own, by their names. */
export function columnsOf(record) {
  const { received_at: receivedAt, ...columns } = record;
  return Object.entries({ ...columns, received_at: receivedAt }).filter(([key]) => !ELSEWHERE.includes(key));
}

/** Put text on the clipboard, also where the page has no right to the clipboard because it came over plain HTTP. */
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
