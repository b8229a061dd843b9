// A record: what a logging call said, kept as it was then, and made JSON when it leaves.

import { membersOf } from "./call_site.js";
import { now, toJson } from "./builtins.js";
import {
  Json,
  MOST,
  isError,
  isPlain,
  jsonOf,
  jsonOfText,
  rendering,
  shortened,
  textOf,
  unreadable,
} from "./values.js";

/** @typedef {import("./values.js").Rendering} Rendering */

const OURS = new Set(["level", "level_number", "message", "created_at", "sequence"]);
const PLACE = new Set(["file_path", "line_number", "function_name"]);
const ERRORS = new Set(["error", "err", "exception"]);
const MOST_CAUSES = 5;
const LARGEST = 1_048_576; // characters of a record; of a larger one, the message is kept
const FIXED = 200; // characters that every record takes, about

/**
 * Names and values by turns. Each value is text, a finite number, a boolean, null, or JSON.
 *
 * @typedef {(string | number | boolean | null | Json)[]} Fields
 */

/** @type {Fields} */
const NONE = [];

/** What waits to be sent. */
export class Entry {
  /**
   * @param {string | Json} level
   * @param {string | Json} message
   * @param {Fields} fields
   * @param {Bound} bound
   * @param {number} sequence
   * @param {Error | null} seen
   */
  constructor(level, message, fields, bound, sequence, seen) {
    this.time = now();
    this.level = level;
    this.message = message;
    this.fields = fields;
    this.bound = bound;
    this.sequence = sequence;
    this.seen = seen;
    /** The record as JSON, once it is rendered. @type {string | null} */
    this.json = null;
    /** About how many characters it takes. */
    this.size = FIXED + sizeOf(message) + fields.reduce(addSize, 0);
  }

  /** Make the record JSON, and let go of what it was made of: `seen` keeps in memory what ran then. */
  render() {
    this.json = this.#rendered();
    this.size = FIXED + this.json.length;
    this.message = "";
    this.fields = NONE;
    this.seen = null;
  }

  #rendered() {
    const head =
      `{"created_at":${this.time},"level":${jsonOfValue(this.level)},"message":${jsonOfValue(this.message)}` +
      `,"sequence":${this.sequence}`;
    const place = this.seen !== null && !mentions(this.fields, PLACE) ? membersOf(this.seen) : "";
    const json = `${head}${place}${this.bound.membersWith(this.fields)}}`;
    return json.length <= LARGEST ? json : `${head}${place},"left_out":"${json.length} characters of fields"}`;
  }
}

/** Fields that every record of a logger carries. */
export class Bound {
  /** @param {Fields} fields */
  constructor(fields) {
    this.fields = fields;
    this.members = membersOfFields(fields);
    this.names = new Set(fields.filter((_, index) => index % 2 === 0));
  }

  /**
   * Return the members of a record that has `fields` besides, each after a comma.
   *
   * @param {Fields} fields
   */
  membersWith(fields) {
    if (this.names.size === 0) return membersOfFields(fields);
    return mentions(fields, this.names)
      ? membersOfFields(merged(this.fields, fields))
      : this.members + membersOfFields(fields);
  }

  /**
   * Return these fields and others, which count more.
   *
   * @param {Fields} fields
   */
  with(fields) {
    return new Bound(merged(this.fields, fields));
  }
}

/**
 * Return a copy of what a caller said besides the message, which no later change of his can touch. Never throws.
 *
 * @param {unknown} said an object, or an error; anything else becomes the field `fields`
 * @param {unknown} [message] which may be an error, too
 * @returns {Fields}
 */
export function fieldsOf(said, message) {
  /** @type {Fields} */
  const fields = [];
  const state = rendering();
  try {
    if (typeof message === "object" && isError(message)) addError(fields, message, state);
    if (said === undefined || said === null) return fields;
    if (isError(said)) addError(fields, said, state);
    else if (typeof said !== "object" || Array.isArray(said)) fields.push("fields", valueOf(said, state));
    else addMembers(fields, said, state);
  } catch (error) {
    fields.push("fields", new Json(unreadable(error)));
  }
  return fields;
}

/**
 * Return the message as text. Never throws.
 *
 * @param {unknown} message
 * @returns {string | Json}
 */
export function messageOf(message) {
  if (typeof message === "string") return textOf(message);
  if (message === undefined) return "";
  try {
    if (isError(message)) return textOf(String(message.message));
  } catch {
    // It is rendered like anything else.
  }
  const text = jsonOf(message);
  return text.startsWith('"') ? new Json(text) : textOf(text);
}

/**
 * @param {Fields} fields
 * @param {object} said
 * @param {Rendering} state
 */
function addMembers(fields, said, state) {
  const names = Object.keys(said);
  if (names.length === 0 && !isPlain(said)) fields.push("fields", valueOf(said, state));
  for (let index = 0; index < names.length && index < MOST; index++) addMember(fields, said, names[index], state);
  if (names.length > MOST) fields.push("left_out", `${names.length - MOST} fields`);
}

/**
 * @param {Fields} fields
 * @param {object} said
 * @param {string} name
 * @param {Rendering} state
 */
function addMember(fields, said, name, state) {
  let value;
  try {
    value = /** @type {Record<string, unknown>} */ (said)[name];
  } catch (error) {
    fields.push(name, new Json(unreadable(error)));
    return;
  }
  if (value === undefined) return;
  if (typeof value === "object" && ERRORS.has(name) && isError(value)) addError(fields, value, state);
  else fields.push(name, valueOf(value, state));
}

/**
 * @param {unknown} value
 * @param {Rendering} state
 * @returns {string | number | boolean | null | Json}
 */
function valueOf(value, state) {
  if (typeof value === "boolean" || value === null || (typeof value === "number" && Number.isFinite(value)))
    return value;
  if (typeof value !== "string" || value.length > state.left) return new Json(jsonOf(value, state));
  const text = textOf(value);
  state.left -= sizeOf(text);
  return text;
}

/**
 * @param {Fields} fields
 * @param {Error} error
 * @param {Rendering} state
 */
function addError(fields, error, state) {
  fields.push("error_type", valueOf(error.name || "Error", state), "stack_trace", valueOf(stackOf(error), state));
  if (error.message) fields.push("error_message", valueOf(error.message, state));
}

/** @param {unknown} error */
function stackOf(error) {
  const parts = [];
  for (let each = error; isError(each) && parts.length < MOST_CAUSES; each = /** @type {any} */ (each).cause) {
    parts.push(each.stack || `${each.name}: ${each.message}`);
  }
  return parts.join("\nCaused by: ");
}

/**
 * @param {Fields} first
 * @param {Fields} second
 * @returns {Fields}
 */
function merged(first, second) {
  const names = new Set(second.filter((_, index) => index % 2 === 0));
  const kept = first.filter((_, index) => !names.has(first[index - (index % 2)]));
  return [...kept, ...second];
}

/**
 * @param {Fields} fields
 * @param {Set<unknown>} names
 */
function mentions(fields, names) {
  for (let index = 0; index < fields.length; index += 2) if (names.has(fields[index])) return true;
  return false;
}

/** @param {Fields} fields */
function membersOfFields(fields) {
  let members = "";
  let aside = "";
  for (let index = 0; index < fields.length; index += 2) {
    const member = `,${jsonOfText(String(fields[index]))}:${jsonOfValue(fields[index + 1])}`;
    // What a record says of itself is not to be said twice.
    if (OURS.has(/** @type {string} */ (fields[index]))) aside += member;
    else members += member;
  }
  return aside ? `${members},"attributes":{${aside.slice(1)}}` : members;
}

/** @param {Fields[number]} value */
function jsonOfValue(value) {
  if (typeof value === "string") return jsonOfText(value);
  return value instanceof Json ? value.text : String(value);
}

/** @param {Fields[number]} value */
function sizeOf(value) {
  if (typeof value === "string") return value.length;
  return value instanceof Json ? value.text.length : 8;
}

/**
 * @param {number} size
 * @param {Fields[number]} value
 */
function addSize(size, value) {
  return size + sizeOf(value);
}

/**
 * Return a record with texts of `longest` characters at most, for a server that takes no larger one.
 *
 * @param {string} json
 * @param {number} longest
 */
export function shortenedRecord(json, longest) {
  const record = JSON.parse(json);
  for (const [name, value] of Object.entries(record)) {
    const text = typeof value === "object" ? toJson(value) : value;
    if (typeof text === "string" && text.length > longest) record[name] = shortened(text, longest);
  }
  return toJson(record);
}
