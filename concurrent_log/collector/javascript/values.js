// Rendering any value as JSON. A value that cannot be rendered is replaced by a text; no value is changed.

import { toJson } from "./builtins.js";

const MAX_DEPTH = 10; // nested objects
export const MAX_MEMBERS = 1000; // members of one object, or items of one list
const MAX_TEXT = 65_536; // characters of one text
const MAX_CHARACTERS = 524_288; // approximate, of all values of a record together

/** Text that is already JSON. */
export class Json {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
  }
}

/**
 * The state of rendering: the objects that contain the current value, and how many characters may still be added.
 *
 * @typedef {{ within: object[], budget: number }} Rendering
 */

/**
 * Return the state for rendering the values of one record.
 *
 * @returns {Rendering}
 */
export function rendering() {
  return { within: [], budget: MAX_CHARACTERS };
}

/**
 * Return `value` as JSON. Never throws: a getter that throws, a circular reference or a function is replaced by a text.
 *
 * @param {unknown} value
 * @param {Rendering} [state]
 * @returns {string}
 */
export function jsonOf(value, state = rendering()) {
  return render(value, state);
}

/**
 * Return a text; if it is too long, a shortened copy as JSON. A slice would keep the whole text in memory.
 *
 * @param {string} text
 */
export function textOf(text) {
  return text.length <= MAX_TEXT ? text : new Json(jsonOfText(text));
}

/**
 * Return a text as JSON, shortened to the maximum length.
 *
 * @param {string} text
 * @returns {string}
 */
export function jsonOfText(text) {
  return toJson(shortened(text, MAX_TEXT));
}

/**
 * Return the first `longest` characters of a text, followed by the number of characters left out.
 *
 * @param {string} text
 * @param {number} longest
 */
export function shortened(text, longest) {
  if (text.length <= longest) return text;
  const end = /[\ud800-\udbff]/.test(text[longest - 1]) ? longest - 1 : longest; // Do not divide a surrogate pair.
  return `${text.slice(0, end)}… [${text.length - end} characters left out]`;
}

/**
 * Return the text that replaces a value that throws when it is read.
 *
 * @param {unknown} error
 */
export function unreadable(error) {
  return toJson(`[unreadable: ${describe(error)}]`);
}

/**
 * Return whether `value` is an error, including errors from other frames and contexts.
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
function render(value, state) {
  if (state.budget <= 0) return '"…"';
  let text;
  try {
    text = typeof value === "object" && value !== null ? renderObject(value, state) : renderPrimitive(value);
  } catch (error) {
    text = unreadable(error);
  }
  state.budget -= text.length;
  return text;
}

/** @param {unknown} value */
function renderPrimitive(value) {
  switch (typeof value) {
    case "string":
      return jsonOfText(value);
    case "number":
      if (Object.is(value, -0)) return "-0.0"; // "-0" would be an integer, which has no sign.
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
function renderObject(value, state) {
  if (state.within.includes(value)) return '"[circular]"';
  if (state.within.length >= MAX_DEPTH) return '"…"';
  state.within.push(value);
  try {
    return renderBuiltIn(value, state) ?? renderMembers(value, state);
  } finally {
    state.within.pop();
  }
}

/**
 * Render built-in objects, most of which have no enumerable members; undefined for other objects.
 *
 * @param {object} value
 * @param {Rendering} state
 */
function renderBuiltIn(value, state) {
  if (value instanceof Json) return value.text;
  if (Array.isArray(value)) return renderItems(value, state);
  if (isError(value)) return renderError(value, state);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? '"Invalid Date"' : `"${value.toISOString()}"`;
  if (value instanceof RegExp) return jsonOfText(String(value));
  if (value instanceof Set) return renderItems(value, state);
  if (value instanceof Map) return renderMap(value, state);
  if (ArrayBuffer.isView(value) && Symbol.iterator in value) {
    return renderItems(/** @type {Iterable<unknown>} */ (/** @type {unknown} */ (value)), state);
  }
  if (isDomObject(value)) return jsonOfText(renderTag(value));
  const { toJSON } = /** @type {{ toJSON?: unknown }} */ (value);
  return typeof toJSON === "function" ? render(toJSON.call(value), state) : undefined;
}

/**
 * @param {Iterable<unknown>} items
 * @param {Rendering} state
 */
function renderItems(items, state) {
  const parts = [];
  for (const item of items) {
    if (parts.length >= MAX_MEMBERS || state.budget <= 0) {
      parts.push('"…"');
      break;
    }
    parts.push(render(item, state));
  }
  return `[${parts.join(",")}]`;
}

/**
 * @param {Map<unknown, unknown>} map
 * @param {Rendering} state
 */
function renderMap(map, state) {
  const parts = [];
  for (const [key, value] of map) {
    if (parts.length >= MAX_MEMBERS || state.budget <= 0) {
      parts.push('"…":"…"');
      break;
    }
    const name = typeof key === "string" ? key : render(key, state);
    parts.push(`${jsonOfText(name)}:${render(value, state)}`);
  }
  return `{${parts.join(",")}}`;
}

/**
 * @param {Error} error
 * @param {Rendering} state
 */
function renderError(error, state) {
  const { name, message, stack, cause, errors } = /** @type {Error & { cause?: unknown, errors?: unknown }} */ (error);
  const known = {
    type: name,
    message,
    stack,
    ...(cause === undefined ? {} : { cause }),
    ...(Array.isArray(errors) ? { errors } : {}),
  };
  return renderMembers({ ...known, ...error }, state);
}

/**
 * @param {object} value
 * @param {Rendering} state
 */
function renderMembers(value, state) {
  const keys = Object.keys(value);
  if (keys.length === 0 && !isPlain(value)) return jsonOfText(Object.prototype.toString.call(value));
  const parts = [];
  for (const key of keys) {
    if (parts.length >= MAX_MEMBERS || state.budget <= 0) {
      parts.push('"…":"…"');
      break;
    }
    const member = renderMember(value, key, state);
    if (member !== undefined) parts.push(`${jsonOfText(key)}:${member}`);
  }
  return `{${parts.join(",")}}`;
}

/**
 * @param {object} value
 * @param {string} key
 * @param {Rendering} state
 */
function renderMember(value, key, state) {
  try {
    const member = /** @type {Record<string, unknown>} */ (value)[key];
    return member === undefined ? undefined : render(member, state);
  } catch (error) {
    return unreadable(error);
  }
}

/**
 * Return whether `value` is a window or a DOM node. Frameworks attach large objects to these.
 *
 * @param {object} value
 */
function isDomObject(value) {
  const { window, nodeType, nodeName } = /** @type {Record<string, unknown>} */ (value);
  return window === value || (typeof nodeType === "number" && typeof nodeName === "string");
}

/**
 * Return the start tag of an element; for other objects, their type.
 *
 * @param {object} value
 */
function renderTag(value) {
  if (typeof Element === "undefined" || !(value instanceof Element)) return Object.prototype.toString.call(value);
  const attributes = ["id", "class", "name", "type"].filter((name) => value.hasAttribute(name));
  return `<${[value.localName, ...attributes.map((name) => `${name}="${value.getAttribute(name)}"`)].join(" ")}>`;
}

/**
 * Return whether an object is plain: created by a literal, or without a prototype.
 *
 * @param {object} value
 */
export function isPlain(value) {
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype || Object.getPrototypeOf(prototype) === null;
}

/** @param {unknown} error */
function describe(error) {
  try {
    return shortened(String(error), 200);
  } catch {
    return "an error that cannot be read";
  }
}
