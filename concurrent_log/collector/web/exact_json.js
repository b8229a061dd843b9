// JSON whose numbers keep their digits: JavaScript rounds integers above 2^53, and shows 1.0 as 1.

// Texts of the server contain no NUL, so no key of a record is equal to this one.
const MARK = "\0number";
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;
const MARKED = /"\\u0000([^"\\]*)\\u0000"/g;

/** A number that JavaScript would change; `source` has its digits. */
export class ExactNumber {
  constructor(source) {
    this.source = source;
  }

  /** Return the nearest number of JavaScript, for calculations. */
  valueOf() {
    return Number(this.source);
  }

  toString() {
    return this.source;
  }
}

/** Return parsed JSON. In records, the numbers that JavaScript would change are `ExactNumber`s. */
export function parseExactly(text) {
  let isExact = true;
  const marked = text.replace(STRING_OR_NUMBER, (token) => {
    if (token[0] === '"' || String(Number(token)) === token) return token;
    isExact = false;
    return `{${JSON.stringify(MARK)}:"${token}"}`;
  });
  if (isExact) return JSON.parse(text);
  return plainOutsideAttributes(JSON.parse(marked, revive));
}

/** Return a value as JSON; the reverse of `parseExactly`. */
export function exactJson(value, indent = undefined) {
  const mark = (_, each) => (each instanceof ExactNumber ? `\0${each.source}\0` : each);
  return JSON.stringify(value, mark, indent).replace(MARKED, "$1");
}

function revive(_, value) {
  return value !== null && typeof value === "object" && MARK in value ? new ExactNumber(value[MARK]) : value;
}

// Columns and figures are calculated with. Only an integer that would be another one stays exact.
function plainOutsideAttributes(value) {
  if (value instanceof ExactNumber) {
    return Number.isSafeInteger(Number(value)) || /[.eE]/.test(value.source) ? Number(value) : value;
  }
  if (Array.isArray(value)) return value.map(plainOutsideAttributes);
  if (value === null || typeof value !== "object") return value;
  const members = Object.entries(value);
  return Object.fromEntries(members.map(([key, each]) => [key, key === "attributes" ? each : plainOutsideAttributes(each)]));
}
