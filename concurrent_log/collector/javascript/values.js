// Any value as JSON: what cannot be rendered costs nothing but its own rendering, and nothing is changed.

import { toJson } from "./builtins.js";

const DEEPEST = 10; // objects within each other
export const MOST = 1000; // members of one object, or items of one list
const LONGEST = 65_536; // characters of one text
const LARGEST = 524_288; // characters of all values of a record, about

/** Text that is JSON already. */
export class Json {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/**
 * What is being rendered: the objects around a value, and how many characters may still be added.
 *
 * @typedef {{ within: object[], left: number }} Rendering
 */

/**
 * Return what the values of one record are rendered with.
 *
 * @returns {Rendering}
 */
export function rendering() {
  return { within: [], left: LARGEST };
}

/**
 * Return `value` as JSON. Never throws: a getter that does, a circle or a function leaves a text in its place.
 *
 * @param {unknown} value
 * @param {Rendering} [state]
 * @returns {string}
 */
export function jsonOf(value, state = rendering()) {
  return rendered(value, state);
}

/**
 * Return a text, as JSON where it is cut: a part of it would keep the whole in memory.
 *
 * @param {string} text
 */
export function textOf(text) {
  return text.length <= LONGEST ? text : new Json(jsonOfText(text));
}

/**
 * Return a text as JSON, cut where it is longer than anybody reads.
 *
 * @param {string} text
 * @returns {string}
 */
export function jsonOfText(text) {
  return toJson(shortened(text, LONGEST));
}

/**
 * Return a text of `longest` characters at most; how many are missing is said.
 *
 * @param {string} text
 * @param {number} longest
 */
export function shortened(text, longest) {
  if (text.length <= longest) return text;
  const end = /[\ud800-\udbff]/.test(text[longest - 1]) ? longest - 1 : longest; // Half a character is none.
  return `${text.slice(0, end)}… [${text.length - end} characters left out]`;
}

/**
 * Return what stands in place of something that throws when it is read.
 *
 * @param {unknown} error
 */
export function unreadable(error) {
  return toJson(`[unreadable: ${described(error)}]`);
}

/**
 * Return whether `value` is an error, also one of another frame or context.
 *
 * @param {unknown} value
 * @returns {value is Error}
 */
export function isError(value) {
  try {
    return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
  } catch {
    return false;
  }
}

/**
 * @param {unknown} value
 * @param {Rendering} state
 * @returns {string}
 */
function rendered(value, state) {
  if (state.left <= 0) return '"…"';
  let text;
  try {
    text = typeof value === "object" && value !== null ? ofObject(value, state) : ofPrimitive(value);
  } catch (error) {
    text = unreadable(error);
  }
  state.left -= text.length;
  return text;
}

/** @param {unknown} value */
function ofPrimitive(value) {
  switch (typeof value) {
    case "string":
      return jsonOfText(value);
    case "number":
      return Number.isFinite(value) ? String(value) : `"${value}"`;
    case "boolean":
      return String(value);
    case "bigint":
      return BigInt.asIntN(64, value) === value ? String(value) : `"${value}"`;
    case "function":
      return jsonOfText(`[function ${value.name || "without a name"}]`);
    case "symbol":
      return jsonOfText(String(value));
    default:
      return "null";
  }
}

/**
 * @param {object} value
 * @param {Rendering} state
 */
function ofObject(value, state) {
  if (state.within.includes(value)) return '"[circular]"';
  if (state.within.length >= DEEPEST) return '"…"';
  state.within.push(value);
  try {
    return ofKnown(value, state) ?? ofMembers(value, state);
  } finally {
    state.within.pop();
  }
}

/**
 * Return what the objects of the language come to, which have nothing that can be seen; undefined for others.
 *
 * @param {object} value
 * @param {Rendering} state
 */
function ofKnown(value, state) {
  if (value instanceof Json) return value.text;
  if (Array.isArray(value)) return ofItems(value, state);
  if (isError(value)) return ofError(value, state);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '"Invalid Date"' : `"${value.toISOString()}"`;
  if (value instanceof RegExp) return jsonOfText(String(value));
  if (value instanceof Set) return ofItems(value, state);
  if (value instanceof Map) return ofPairs(value, state);
  if (ArrayBuffer.isView(value) && Symbol.iterator in value) {
    return ofItems(/** @type {Iterable<unknown>} */ (/** @type {unknown} */ (value)), state);
  }
  if (isOfPage(value)) return jsonOfText(tagOf(value));
  const { toJSON } = /** @type {{ toJSON?: unknown }} */ (value);
  return typeof toJSON === "function" ? rendered(toJSON.call(value), state) : undefined;
}

/**
 * @param {Iterable<unknown>} items
 * @param {Rendering} state
 */
function ofItems(items, state) {
  const parts = [];
  for (const item of items) {
    if (parts.length >= MOST || state.left <= 0) {
      parts.push('"…"');
      break;
    }
    parts.push(rendered(item, state));
  }
  return `[${parts.join(",")}]`;
}

/**
 * @param {Map<unknown, unknown>} map
 * @param {Rendering} state
 */
function ofPairs(map, state) {
  const parts = [];
  for (const [key, value] of map) {
    if (parts.length >= MOST || state.left <= 0) {
      parts.push('"…":"…"');
      break;
    }
    const name = typeof key === "string" ? key : rendered(key, state);
    parts.push(`${jsonOfText(name)}:${rendered(value, state)}`);
  }
  return `{${parts.join(",")}}`;
}

/**
 * @param {Error} error
 * @param {Rendering} state
 */
function ofError(error, state) {
  const { name, message, stack, cause } = /** @type {Error & { cause?: unknown }} */ (error);
  const said = { type: name, message, stack, ...(cause === undefined ? {} : { cause }) };
  return ofMembers({ ...said, ...error }, state);
}

/**
 * @param {object} value
 * @param {Rendering} state
 */
function ofMembers(value, state) {
  const keys = Object.keys(value);
  if (keys.length === 0 && !isPlain(value)) return jsonOfText(Object.prototype.toString.call(value));
  const parts = [];
  for (const key of keys) {
    if (parts.length >= MOST || state.left <= 0) {
      parts.push('"…":"…"');
      break;
    }
    const member = memberOf(value, key, state);
    if (member !== undefined) parts.push(`${jsonOfText(key)}:${member}`);
  }
  return `{${parts.join(",")}}`;
}

/**
 * @param {object} value
 * @param {string} key
 * @param {Rendering} state
 */
function memberOf(value, key, state) {
  try {
    const member = /** @type {Record<string, unknown>} */ (value)[key];
    return member === undefined ? undefined : rendered(member, state);
  } catch (error) {
    return unreadable(error);
  }
}

/**
 * Return whether `value` is a window, or a node, on which frameworks hang all that they know.
 *
 * @param {object} value
 */
function isOfPage(value) {
  const { window, nodeType, nodeName } = /** @type {Record<string, unknown>} */ (value);
  return window === value || (typeof nodeType === "number" && typeof nodeName === "string");
}

/**
 * Return the beginning of an element as it is written; of anything else, what it calls itself.
 *
 * @param {object} value
 */
function tagOf(value) {
  if (typeof Element === "undefined" || !(value instanceof Element)) return Object.prototype.toString.call(value);
  const said = ["id", "class", "name", "type"].filter((name) => value.hasAttribute(name));
  return `<${[value.localName, ...said.map((name) => `${name}="${value.getAttribute(name)}"`)].join(" ")}>`;
}

/**
 * Return whether all that an object has are its members.
 *
 * @param {object} value
 */
export function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

/** @param {unknown} error */
function described(error) {
  try {
    return shortened(String(error), 200);
  } catch {
    return "an error that cannot be read, either";
  }
}
