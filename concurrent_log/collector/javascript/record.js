// A record: a copy of the arguments of a logging call, rendered as JSON before it is sent.

import { callSiteMembers } from "./call_site.js";
import { now, toJson } from "./builtins.js";
import {
  Json,
  MAX_MEMBERS,
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

const RESERVED = new Set(["level", "level_number", "message", "created_at", "sequence"]);
const CALL_SITE = new Set(["file_path", "line_number", "function_name"]);
const ERROR_FIELDS = new Set(["error", "err", "exception"]);
const STANDARD_FIELDS = new Set(["name", "message", "stack", "cause", "errors"]);
const MAX_CAUSES = 5;
const MAX_ERRORS = 10; // causes and collected errors in a stack trace
const MAX_RECORD = 1_048_576; // characters; a larger record loses its fields, but not its message
const OVERHEAD = 200; // approximate size of a record without its message and fields, in characters

/**
 * Names and values in turn. Each value is a string, a finite number, a boolean, null, or JSON.
 *
 * @typedef {(string | number | boolean | null | Json)[]} Fields
 */

/** @type {Fields} */
const NONE = [];

/** A record in the queue. */
export class Entry {
  /**
   * @param {string | Json} level
   * @param {string | Json} message
   * @param {Fields} fields
   * @param {BoundFields} bound
   * @param {number} sequence
   * @param {Error | null} caller
   */
  constructor(level, message, fields, bound, sequence, caller) {
    this.time = now();
    this.level = level;
    this.message = message;
    this.fields = fields;
    this.bound = bound;
    this.sequence = sequence;
    this.caller = caller;
    /** The record as JSON, once it is rendered. @type {string | null} */
    this.json = null;
    /** The approximate size, in characters. */
    this.size = OVERHEAD + sizeOf(message) + fields.reduce(addSize, 0);
  }

  /** Render the record as JSON, and release its parts: `caller` keeps the functions on its stack in memory. */
  render() {
    this.json = this.#rendered();
    this.size = OVERHEAD + this.json.length;
    this.message = "";
    this.fields = NONE;
    this.caller = null;
  }

  #rendered() {
    const head =
      `{"created_at":${this.time},"level":${jsonOfValue(this.level)},"message":${jsonOfValue(this.message)}` +
      `,"sequence":${this.sequence}`;
    const callSite = this.caller !== null && !includesAny(this.fields, CALL_SITE) ? callSiteMembers(this.caller) : "";
    const json = `${head}${callSite}${this.bound.membersWith(this.fields)}}`;
    return json.length <= MAX_RECORD ? json : `${head}${callSite},"left_out":"${json.length} characters of fields"}`;
  }
}

/** The fields that a logger adds to each of its records. */
export class BoundFields {
  /** @param {Fields} fields */
  constructor(fields) {
    this.fields = fields;
    this.members = membersOfFields(fields);
    this.names = new Set(fields.filter((_, index) => index % 2 === 0));
  }

  /**
   * Return these fields and the fields of one record as members of a JSON object, each after a comma.
   *
   * @param {Fields} fields
   */
  membersWith(fields) {
    if (this.names.size === 0) return membersOfFields(fields);
    return includesAny(fields, this.names)
      ? membersOfFields(merged(this.fields, fields))
      : this.members + membersOfFields(fields);
  }

  /**
   * Return these fields, overridden by others.
   *
   * @param {Fields} fields
   */
  with(fields) {
    return new BoundFields(merged(this.fields, fields));
  }
}

/**
 * Return a copy of the fields of a logging call, which later changes by the program do not affect. Never throws.
 *
 * @param {unknown} given an object or an error; any other value becomes the field `fields`
 * @param {unknown} [message] adds its fields if it is an error
 * @returns {Fields}
 */
export function fieldsOf(given, message) {
  /** @type {Fields} */
  const fields = [];
  const state = rendering();
  try {
    if (typeof message === "object" && isError(message)) addError(fields, message, state);
    if (given === undefined || given === null) return fields;
    if (isError(given)) addError(fields, given, state);
    else if (typeof given !== "object" || Array.isArray(given)) fields.push("fields", valueOf(given, state));
    else addMembers(fields, given, state);
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
    // It is rendered like any other value.
  }
  const text = jsonOf(message);
  // The server makes the members of an object fields of the record.
  return /^["{]/.test(text) ? new Json(text) : textOf(text);
}

/**
 * @param {Fields} fields
 * @param {object} given
 * @param {Rendering} state
 */
function addMembers(fields, given, state) {
  const names = Object.keys(given);
  if (names.length === 0 && !isPlain(given)) fields.push("fields", valueOf(given, state));
  for (let index = 0; index < names.length && index < MAX_MEMBERS; index++)
    addMember(fields, given, names[index], state);
  if (names.length > MAX_MEMBERS) fields.push("left_out", `${names.length - MAX_MEMBERS} fields`);
}

/**
 * @param {Fields} fields
 * @param {object} given
 * @param {string} name
 * @param {Rendering} state
 */
function addMember(fields, given, name, state) {
  let value;
  try {
    value = /** @type {Record<string, unknown>} */ (given)[name];
  } catch (error) {
    fields.push(name, new Json(unreadable(error)));
    return;
  }
  if (value === undefined) return;
  if (typeof value === "object" && ERROR_FIELDS.has(name) && isError(value)) addError(fields, value, state);
  else fields.push(name, valueOf(value, state));
}

/**
 * @param {unknown} value
 * @param {Rendering} state
 * @returns {string | number | boolean | null | Json}
 */
function valueOf(value, state) {
  if (
    typeof value === "boolean" ||
    value === null ||
    (typeof value === "number" && Number.isFinite(value) && !Object.is(value, -0))
  )
    return value;
  if (typeof value !== "string" || value.length > state.budget) return new Json(jsonOf(value, state));
  const text = textOf(value);
  state.budget -= sizeOf(text);
  return text;
}

/**
 * Add the type, the stack trace and the message of an error, and the fields that its program has set, such as `code`.
 *
 * @param {Fields} fields
 * @param {Error} error
 * @param {Rendering} state
 */
function addError(fields, error, state) {
  fields.push("error_type", valueOf(error.name || "Error", state), "stack_trace", valueOf(stackOf(error), state));
  if (error.message) fields.push("error_message", valueOf(error.message, state));
  const own = ownFields(error, MAX_CAUSES);
  if (own) fields.push("error", new Json(jsonOf(own, state)));
}

/**
 * Return the stack traces of an error, its causes, and the errors that an AggregateError collects.
 *
 * @param {unknown} error
 */
function stackOf(error) {
  /** @type {string[]} */
  const parts = [];
  /** @type {Set<unknown>} */
  const known = new Set();
  const add = (/** @type {string} */ prefix, /** @type {any} */ each) => {
    if (known.has(each) || parts.length >= MAX_ERRORS) return;
    if (typeof each === "object") known.add(each);
    if (!isError(each)) return void parts.push(prefix + String(messageText(each)));
    parts.push(prefix + (each.stack || `${each.name}: ${each.message}`));
    const { cause, errors } = /** @type {Error & { cause?: unknown, errors?: unknown }} */ (each);
    if (Array.isArray(errors)) errors.slice(0, MAX_ERRORS).forEach((one, index) => add(`Error ${index + 1}: `, one));
    if (cause !== undefined && cause !== null) add("Caused by: ", cause);
  };
  add("", error);
  return parts.join("\n");
}

/**
 * Return the text of a message of any kind; objects are JSON.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function messageText(value) {
  const message = messageOf(value);
  return message instanceof Json ? message.text : message;
}

/**
 * Return the fields that the program has set on an error, and those of its cause; undefined if there are none.
 *
 * @param {any} error
 * @param {number} depth maximum number of causes
 * @returns {Record<string, unknown> | undefined}
 */
function ownFields(error, depth) {
  const names = Object.keys(error).filter((name) => !STANDARD_FIELDS.has(name));
  const own = names.slice(0, MAX_MEMBERS).map((name) => [name, readable(error, name)]);
  const cause = isError(error.cause) && depth > 0 ? ownFields(error.cause, depth - 1) : undefined;
  if (cause) own.push(["cause", cause]);
  return own.length ? Object.fromEntries(own) : undefined;
}

/**
 * @param {any} object
 * @param {string} name
 */
function readable(object, name) {
  try {
    return object[name];
  } catch (error) {
    return new Json(unreadable(error));
  }
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
function includesAny(fields, names) {
  for (let index = 0; index < fields.length; index += 2) if (names.has(fields[index])) return true;
  return false;
}

/** @param {Fields} fields */
function membersOfFields(fields) {
  let members = "";
  let attributes = "";
  for (let index = 0; index < fields.length; index += 2) {
    const member = `,${jsonOfText(String(fields[index]))}:${jsonOfValue(fields[index + 1])}`;
    // A field must not have the name of a member that every record has.
    if (RESERVED.has(/** @type {string} */ (fields[index]))) attributes += member;
    else members += member;
  }
  return attributes ? `${members},"attributes":{${attributes.slice(1)}}` : members;
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
 * Return a record with shortened texts, for a server that rejects it as too large.
 *
 * @param {string} json
 * @param {number} longest maximum characters of each text
 */
export function shortenedRecord(json, longest) {
  const record = JSON.parse(json);
  for (const [name, value] of Object.entries(record)) {
    const text = typeof value === "object" ? toJson(value) : value;
    if (typeof text === "string" && text.length > longest) record[name] = shortened(text, longest);
  }
  return toJson(record);
}
