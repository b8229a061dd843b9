// The file, line and function that logged a record.

import { toJson } from "./builtins.js";

const MAX_KNOWN = 2000; // call sites in the cache
// V8's frame of evaluated code. The innermost parentheses have the place that called eval.
const EVALUATED = /^eval at .*\(([^()]+):(\d+):\d+\)/;
/** @type {Map<string, string>} */
const known = new Map();

/**
 * Limit the stack of new errors to two frames, that of the logging method and that of its caller. Return the limit
 * before, for `restoreStackTrace`.
 *
 * @returns {number}
 */
export function limitStackTrace() {
  const limit = Error.stackTraceLimit;
  restoreStackTrace(2);
  return limit;
}

/** @param {number} limit */
export function restoreStackTrace(limit) {
  try {
    Error.stackTraceLimit = limit;
  } catch {
    // The intrinsics are frozen. Errors then have more frames than needed.
  }
}

/**
 * Return the call site as members of a JSON object, each after a comma.
 *
 * @param {Error | null} caller an error created in the logging method
 * @returns {string}
 */
export function callSiteMembers(caller) {
  const line = callerLine(caller);
  let members = known.get(line);
  if (members === undefined) {
    members = toMembers(parseFrame(line));
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(line, members);
  }
  return members;
}

/** @param {Error | null} caller */
function callerLine(caller) {
  try {
    const lines = String(caller?.stack).split("\n");
    return (/^\w*Error\b/.test(lines[0]) ? lines[2] : lines[1]) ?? "";
  } catch {
    return ""; // The program formats stacks with code of its own, which failed.
  }
}

/**
 * @typedef {object} CallSite
 * @property {string} [file] a path or a URL
 * @property {number} [line] from 1
 * @property {string} [name] of the function
 */

/**
 * Parse a line of a stack trace in the format of V8, Firefox or Safari.
 *
 * @param {string} line
 * @returns {CallSite}
 */
export function parseFrame(line) {
  const found =
    /^\s*at (?:async )?(?:(?<name>.*?) \()?(?<file>.*?):(?<line>\d+)(?::\d+)?\)?$/.exec(line) ??
    /^(?:(?<name>[^@]*)@)?(?<file>.*?):(?<line>\d+)(?::\d+)?$/.exec(line);
  if (!found?.groups) return {};
  const { name, file, line: number } = found.groups;
  const evaluated = EVALUATED.exec(file);
  if (evaluated) return { file: pathOf(evaluated[1]), line: Number(evaluated[2]), name: nameOf(name) };
  return { file: pathOf(file), line: Number(number), name: nameOf(name) };
}

/** @param {string} file */
function pathOf(file) {
  if (!file.startsWith("file://")) return file;
  try {
    return decodeURIComponent(new URL(file).pathname).replace(/^\/(?=[A-Za-z]:)/, "");
  } catch {
    return file;
  }
}

/** @param {string | undefined} name */
function nameOf(name) {
  const plain = name
    ?.replace(/^(?:new|async) /, "")
    .replace(/^eval$/, "")
    .replace(/ \[as .*\]$/, "")
    .replace(/^Object\./, "");
  return !plain || plain.includes("<") || / code$/.test(plain) ? undefined : plain;
}

/** @param {CallSite} callSite */
function toMembers({ file, line, name }) {
  if (file === undefined) return "";
  const where = `,"file_path":${toJson(file)},"line_number":${line}`;
  return name === undefined ? where : `${where},"function_name":${toJson(name)}`;
}
