// What a client is told, checked at once.

import { toJson } from "./builtins.js";
import { randomHex } from "./trace.js";
import { VERSION } from "./version.js";

/**
 * What a client may be told.
 *
 * @typedef {object} Options
 * @property {string} [service] the name of the program
 * @property {string} [environment] where it runs, such as `production`
 * @property {string} [serviceVersion] its version
 * @property {string} [logType] of which kind it is; `BACKEND` in Node, `FRONTEND` in a browser
 * @property {string} [token] what the server asks for, if it does
 * @property {Record<string, string>} [headers] further headers of each request
 * @property {number} [batchSize] so many records leave at once; 1000
 * @property {number} [flushInterval] so many milliseconds after its first record, a smaller batch leaves, too; 1000
 * @property {boolean} [enableCompression] whether batches are compressed; true
 * @property {number} [compressFrom] from how many records on; 100
 * @property {number} [maxQueueSize] how many records may wait; then the oldest are dropped; 100,000
 * @property {number} [maxQueueBytes] about how many bytes they may take; 64 MiB, in a browser 16 MiB
 * @property {number} [timeout] for how many milliseconds a request may last; 10,000
 * @property {number} [stopTimeout] for how many milliseconds `flush`, `close` and the exit wait; 5000
 * @property {boolean} [caller] whether records tell which function, file and line logged them; true
 * @property {boolean} [enableGlobalErrorHandler] whether errors that nobody catches are logged; false
 */

/**
 * What a client was told, and what follows from it.
 *
 * @typedef {Required<Omit<Options, "token" | "service" | "environment" | "serviceVersion">> & {
 *   endpoint: string, clientId: string, envelope: string, hint: string }} Settings
 */

const DEFAULTS = {
  headers: {},
  batchSize: 1000,
  flushInterval: 1000,
  enableCompression: true,
  compressFrom: 100,
  maxQueueSize: 100_000,
  maxQueueBytes: 67_108_864,
  timeout: 10_000,
  stopTimeout: 5000,
  caller: true,
  enableGlobalErrorHandler: false,
};
const TEXTS = ["service", "environment", "serviceVersion", "logType", "token"];
const FROM_ONE = ["batchSize", "compressFrom", "maxQueueSize", "maxQueueBytes", "timeout"];
const FROM_ZERO = ["flushInterval", "stopTimeout"];
const SWITCHES = ["enableCompression", "caller", "enableGlobalErrorHandler"];
const NAMES = [...TEXTS, ...FROM_ONE, ...FROM_ZERO, ...SWITCHES, "headers"];
const LONGEST_TIME = 2_147_483_647; // milliseconds that a timer knows

/**
 * Return the settings of a client.
 *
 * @param {string | URL} serverUrl
 * @param {Options} options
 * @param {{ base?: string, common: Record<string, unknown>, options: Options }} surroundings what counts where nothing
 *   is said: for addresses, in each record, and as options
 * @returns {Settings}
 * @throws {TypeError | RangeError} naming what is wrong, and what to do
 */
export function settingsOf(serverUrl, options, surroundings) {
  check(options);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  /** @type {typeof DEFAULTS & Options & { logType: string }} */
  const { token, service, environment, serviceVersion, ...rest } = {
    ...DEFAULTS,
    logType: "BACKEND",
    ...surroundings.options,
    ...given,
  };
  const common = {
    service,
    environment,
    service_version: serviceVersion,
    log_type: rest.logType,
    ...surroundings.common,
  };
  const clientId = randomHex(16);
  const endpoint = endpointOf(serverUrl, surroundings.base);
  const client = { id: clientId, name: `concurrent-log-js/${VERSION}` };
  return {
    ...rest,
    endpoint,
    hint: hintFor(endpoint, surroundings.base),
    headers: headersOf(rest.headers, token),
    clientId,
    envelope: `"client":${toJson(client)},"common":${toJson(common)}`,
  };
}

/**
 * @param {Record<string, string>} given
 * @param {string | undefined} token
 */
function headersOf(given, token) {
  const texts = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, String(value)]));
  try {
    if (typeof Headers !== "undefined") new Headers(texts); // Node can be told to do without, but not in our thread.
  } catch {
    throw new TypeError(`headers must be of names and values that HTTP allows, not ${Object.keys(given).join(", ")}`);
  }
  return {
    ...texts,
    "Content-Type": "application/json",
    ...(token ? { Authorization: `Bearer ${token}` } : {}),
  };
}

/** @param {Options} options */
function check(options) {
  if (typeof options !== "object" || options === null) throw new TypeError(`options must be an object, not ${options}`);
  for (const [name, value] of Object.entries(options)) {
    if (!NAMES.includes(name)) throw new TypeError(`there is no option ${name}: take one of ${NAMES.join(", ")}`);
    if (value !== undefined) checkOne(name, value);
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function checkOne(name, value) {
  const isNumber =
    typeof value === "number" && value <= (/Timeout|timeout|Interval/.test(name) ? LONGEST_TIME : Infinity);
  if (TEXTS.includes(name) && typeof value !== "string") throw wrong(name, value, "a text");
  if (SWITCHES.includes(name) && typeof value !== "boolean") throw wrong(name, value, "true or false");
  if (FROM_ONE.includes(name) && !(isNumber && value >= 1)) throw wrong(name, value, "a number, 1 at least");
  if (FROM_ZERO.includes(name) && !(isNumber && value >= 0)) throw wrong(name, value, "a number, 0 at least");
  if (name === "headers" && (typeof value !== "object" || value === null)) throw wrong(name, value, "an object");
  if (name === "token" && !/^[\x21-\x7e]+$/.test(String(value)))
    throw new TypeError("token must be of printable ASCII characters");
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string} what
 */
function wrong(name, value, what) {
  return new TypeError(`${name} must be ${what}, not ${typeof value === "string" ? toJson(value) : String(value)}`);
}

/**
 * Return what may be wrong where a page gets no answer, which a browser does not tell it.
 *
 * @param {string} endpoint
 * @param {string | undefined} page
 */
function hintFor(endpoint, page) {
  const origin = page && new URL(page).origin;
  if (!origin || new URL(endpoint).origin === origin) return "";
  return ` (if it is up, it does not let in pages of this origin: concurrent-log serve --cors-origin ${origin})`;
}

/**
 * @param {string | URL} serverUrl
 * @param {string | undefined} base
 */
function endpointOf(serverUrl, base) {
  let url;
  try {
    url = new URL(serverUrl, base);
  } catch {
    throw new TypeError(`the server's address must be like https://logs.example, not ${toJson(String(serverUrl))}`);
  }
  if (!/^https?:$/.test(url.protocol))
    throw new TypeError(`the server's address must begin with http:// or https://, not ${url.protocol}`);
  if (!/\/logs\/?$/.test(url.pathname)) url.pathname = `${url.pathname.replace(/\/$/, "")}/logs`;
  return url.href;
}
