// Whether an answer is the collector's: at its address, a login page, a captive portal or a proxy may answer instead.
//
// Only an answer of the collector settles records. From version 2 of the protocol on, it contains the id of the batch;
// earlier servers answer with the number of records only.

/** @typedef {import("./transport.js").HttpResponse} HttpResponse */

/**
 * What the server has committed: the number of records of a batch, and of those that it has not stored.
 *
 * @typedef {{ records: number, rejected: number }} Acknowledgement
 */

const REFUSALS = [400, 409, 413, 422]; // the statuses
const FIRST_WITH_ID = 2; // the version of the protocol
const FOREIGN = "this is not an answer of a collector; does a login page or a proxy answer at this address?";
const CONTROL_CHARACTERS = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/**
 * Return what a response acknowledges; null if it is not the collector's answer to this batch.
 *
 * @param {HttpResponse} response
 * @param {string} batchId
 * @param {number} records
 * @returns {Acknowledgement | null}
 */
export function acknowledgement(response, batchId, records) {
  const { status, protocol = 1, batch_id, count, stored, duplicate, rejected } = contentOf(response);
  if (response.status < 200 || response.status >= 300 || status !== "ok" || count !== records) return null;
  const lost = Array.isArray(rejected) ? Math.min(rejected.length, records) : 0;
  if (protocol === 1) return { records, rejected: lost };
  if (!(Number.isInteger(protocol) && protocol >= FIRST_WITH_ID) || batch_id !== batchId) return null;
  if (typeof duplicate !== "boolean" || !(Number.isInteger(stored) && stored >= 0 && stored <= records)) return null;
  return { records, rejected: duplicate ? lost : records - stored };
}

/**
 * Return whether the collector refuses the content of a request, which must not be sent again as it is.
 *
 * @param {HttpResponse} response
 */
export function isRefusal(response) {
  return REFUSALS.includes(response.status) && typeof contentOf(response).detail === "string";
}

/**
 * Return a response that settles nothing in one line.
 *
 * @param {HttpResponse} response
 */
export function describeFailure(response) {
  const { status } = response;
  const isForeign = (status >= 200 && status < 300) || REFUSALS.includes(status);
  return describe(response) + (isForeign ? ` (${FOREIGN})` : "");
}

/**
 * Return a response in one line, without characters that could control a terminal.
 *
 * @param {HttpResponse} response
 */
export function describe({ status, reason }) {
  const text = reason.replace(/\s+/g, " ").slice(0, 300).replace(CONTROL_CHARACTERS, escaped);
  return `${status || ""} ${text}`.trim();
}

/** @param {string} character */
function escaped(character) {
  return `\\u${/** @type {number} */ (character.codePointAt(0)).toString(16).padStart(4, "0")}`;
}

/**
 * Return the object in a response; an empty one if it contains none, or has another content type.
 *
 * @param {HttpResponse} response
 * @returns {Record<string, any>}
 */
function contentOf({ contentType, reason }) {
  if (contentType.split(";")[0].trim().toLowerCase() !== "application/json") return {};
  try {
    const content = JSON.parse(reason);
    return typeof content === "object" && content !== null ? content : {};
  } catch {
    return {};
  }
}
