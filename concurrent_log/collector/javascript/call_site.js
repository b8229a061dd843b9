// Where in the program a record was logged.

import { toJson } from "./builtins.js";

const MOST = 2000; // places that are remembered, so that each is taken apart once
// What V8 says of text that is evaluated: where that was asked for, in the innermost parentheses.
const EVALUATED = /^eval at .*\(([^()]+):(\d+):\d+\)/;
/** @type {Map<string, string>} */
const known = new Map();

/**
 * Let errors know only the function that makes them and who called it, until `widen`; return what to give to that.
 *
 * @returns {number}
 */
export function narrow() {
  const limit = Error.stackTraceLimit;
  widen(2);
  return limit;
}

/** @param {number} limit */
export function widen(limit) {
  try {
    Error.stackTraceLimit = limit;
  } catch {
    // The intrinsics are frozen, and errors know more.
  }
}

/**
 * Return the members of a record that tell the place, as JSON, each after a comma.
 *
 * @param {Error | null} seen made by the method that the place called
 * @returns {string}
 */
export function membersOf(seen) {
  const line = lineOf(seen);
  let members = known.get(line);
  if (members === undefined) {
    members = asMembers(placeOf(line));
    if (known.size >= MOST) known.clear();
    known.set(line, members);
  }
  return members;
}

/** @param {Error | null} seen */
function lineOf(seen) {
  try {
    const lines = String(seen?.stack).split("\n");
    return (/^\w*Error\b/.test(lines[0]) ? lines[2] : lines[1]) ?? "";
  } catch {
    return ""; // The program renders stacks by code of its own.
  }
}

/**
 * @typedef {object} Place
 * @property {string} [file] a path, or an address
 * @property {number} [line] from 1
 * @property {string} [name] of the function
 */

/**
 * Return what a line of a stack says, as V8, Firefox or Safari writes it.
 *
 * @param {string} line
 * @returns {Place}
 */
export function placeOf(line) {
  const found =
    /^\s*at (?:async )?(?:(?<name>.*?) \()?(?<file>.*?):(?<line>\d+)(?::\d+)?\)?$/.exec(line) ??
    /^(?:(?<name>[^@]*)@)?(?<file>.*?):(?<line>\d+)(?::\d+)?$/.exec(line);
  if (!found?.groups) return {};
  const { name, file, line: number } = found.groups;
  const around = EVALUATED.exec(file);
  if (around) return { file: pathOf(around[1]), line: Number(around[2]), name: nameOf(name) };
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

/** @param {Place} place */
function asMembers({ file, line, name }) {
  if (file === undefined) return "";
  const where = `,"file_path":${toJson(file)},"line_number":${line}`;
  return name === undefined ? where : `${where},"function_name":${toJson(name)}`;
}
