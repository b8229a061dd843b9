// A record: what a logging call said, kept as it was then, and made JSON when it leaves.

import { membersOf } from "./place.js";
import { Json, isError, jsonOf, jsonOfText, shortened, unreadable } from "./values.js";

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

/** What waits to be sent. */
export class Entry {
  /**
   * @param {string} level
   * @param {string} message
   * @param {Fields} fields
   * @param {Bound} bound
   * @param {number} sequence
   * @param {Error | null} seen
   */
  constructor(level, message, fields, bound, sequence, seen) {
    this.time = Date.now();
    this.level = level;
    this.message = message;
    this.fields = fields;
    this.bound = bound;
    this.sequence = sequence;
    this.seen = seen;
    this.size = FIXED + message.length + sizeOf(fields);
  }

  /** Return the record as JSON. */
  json() {
    const head =
      `{"created_at":${this.time},"level":${jsonOfText(this.level)},"message":${jsonOfText(this.message)}` +
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
  try {
    if (typeof message === "object" && isError(message)) addError(fields, message);
    if (said === undefined || said === null) return fields;
    if (isError(said)) addError(fields, said);
    else if (typeof said !== "object" || Array.isArray(said)) fields.push("fields", valueOf(said));
    else for (const name of Object.keys(said)) addMember(fields, said, name);
  } catch (error) {
    fields.push("fields", new Json(unreadable(error)));
  }
  return fields;
}

/**
 * Return the message as text. Never throws.
 *
 * @param {unknown} message
 * @returns {string}
 */
export function messageOf(message) {
  if (typeof message === "string") return message;
  if (message === undefined) return "";
  try {
    if (isError(message)) return String(message.message);
  } catch {
    // It is rendered like anything else.
  }
  const text = jsonOf(message);
  return text.startsWith('"') ? JSON.parse(text) : text;
}

/**
 * @param {Fields} fields
 * @param {object} said
 * @param {string} name
 */
function addMember(fields, said, name) {
  let value;
  try {
    value = /** @type {Record<string, unknown>} */ (said)[name];
  } catch (error) {
    fields.push(name, new Json(unreadable(error)));
    return;
  }
  if (value === undefined) return;
  if (typeof value === "object" && ERRORS.has(name) && isError(value)) addError(fields, value);
  else fields.push(name, valueOf(value));
}

/**
 * @param {unknown} value
 * @returns {string | number | boolean | null | Json}
 */
function valueOf(value) {
  if (typeof value === "string" || typeof value === "boolean" || value === null) return value;
  return typeof value === "number" && Number.isFinite(value) ? value : new Json(jsonOf(value));
}

/**
 * @param {Fields} fields
 * @param {Error} error
 */
function addError(fields, error) {
  fields.push("error_type", messageOf(error.name || "Error"), "stack_trace", stackOf(error));
  if (error.message) fields.push("error_message", messageOf(error.message));
}

/** @param {unknown} error */
function stackOf(error) {
  const parts = [];
  for (let each = error; isError(each) && parts.length < MOST_CAUSES; each = /** @type {any} */ (each).cause) {
    parts.push(messageOf(each.stack || `${each.name}: ${each.message}`));
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

/** @param {Fields} fields */
function sizeOf(fields) {
  let size = 0;
  for (const each of fields) {
    if (typeof each === "string") size += each.length;
    else size += each instanceof Json ? each.text.length : 8;
  }
  return size;
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
    const text = typeof value === "object" ? JSON.stringify(value) : value;
    if (typeof text === "string" && text.length > longest) record[name] = shortened(text, longest);
  }
  return JSON.stringify(record);
}
