// The options of a client, checked at once.

import { toJson } from "./builtins.js";
import { randomHex } from "./trace.js";
import { VERSION } from "./version.js";

/**
 * The options of a client.
 *
 * @typedef {object} Options
 * @property {string} [service] the name of the program
 * @property {string} [environment] where it runs, such as `production`
 * @property {string} [serviceVersion] the version of the program
 * @property {string} [logType] the kind of the program; defaults to `BACKEND` in Node, `FRONTEND` in a browser
 * @property {string} [token] the token of the server, if it requires one
 * @property {Record<string, string>} [headers] further headers of each request
 * @property {number} [batchSize] maximum records per batch; defaults to 1000
 * @property {number} [flushInterval] maximum milliseconds that a record waits for its batch to fill; defaults to 1000
 * @property {boolean} [enableCompression] whether to compress batches; defaults to true
 * @property {number} [compressFrom] minimum records of a compressed batch; defaults to 100
 * @property {number} [maxQueueSize] maximum queued records, beyond which the oldest are dropped; defaults to 100,000
 * @property {number} [maxQueueBytes] approximate maximum bytes of the queue; defaults to 64 MiB, in a browser 16 MiB
 * @property {number} [timeout] maximum milliseconds of a request; defaults to 10,000
 * @property {number} [stopTimeout] maximum milliseconds that `flush`, `close` and the exit wait; defaults to 5000
 * @property {boolean} [caller] whether records contain the function, file and line that logged them; defaults to true
 * @property {boolean} [enableGlobalErrorHandler] whether to log uncaught errors; defaults to false
 */

/**
 * The options with their defaults, and the values derived from them.
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
const STRINGS = ["service", "environment", "serviceVersion", "logType", "token"];
const AT_LEAST_ONE = ["batchSize", "compressFrom", "maxQueueSize", "maxQueueBytes", "timeout"];
const AT_LEAST_ZERO = ["flushInterval", "stopTimeout"];
const BOOLEANS = ["enableCompression", "caller", "enableGlobalErrorHandler"];
const NAMES = [...STRINGS, ...AT_LEAST_ONE, ...AT_LEAST_ZERO, ...BOOLEANS, "headers"];
const MAX_TIMER = 2_147_483_647; // milliseconds; the maximum of setTimeout

/**
 * Return the settings of a client.
 *
 * @param {string | URL} serverUrl
 * @param {Options} options
 * @param {{ base?: string, common: Record<string, unknown>, options: Options }} platform the base of relative URLs,
 *   the fields of each record, and the default options
 * @returns {Settings}
 * @throws {TypeError | RangeError} naming the wrong option and the remedy
 */
export function settingsOf(serverUrl, options, platform) {
  check(options);
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  /** @type {typeof DEFAULTS & Options & { logType: string }} */
  const { token, service, environment, serviceVersion, ...rest } = {
    ...DEFAULTS,
    logType: "BACKEND",
    ...platform.options,
    ...given,
  };
  const common = {
    service,
    environment,
    service_version: serviceVersion,
    log_type: rest.logType,
    ...platform.common,
  };
  const clientId = randomHex(16);
  const endpoint = endpointOf(serverUrl, platform.base);
  const client = { id: clientId, name: `concurrent-log-js/${VERSION}` };
  return {
    ...rest,
    endpoint,
    hint: hintFor(endpoint, platform.base),
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
    if (typeof Headers !== "undefined") new Headers(texts); // Node may run without it, but the worker thread has it.
  } catch {
    throw new TypeError(`headers must be names and values that HTTP allows, not ${Object.keys(given).join(", ")}`);
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
    if (!NAMES.includes(name)) throw new TypeError(`there is no option ${name}: use one of ${NAMES.join(", ")}`);
    if (value !== undefined) checkOption(name, value);
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function checkOption(name, value) {
  const isNumber = typeof value === "number" && value <= (/Timeout|timeout|Interval/.test(name) ? MAX_TIMER : Infinity);
  if (STRINGS.includes(name) && typeof value !== "string") throw wrong(name, value, "a string");
  if (BOOLEANS.includes(name) && typeof value !== "boolean") throw wrong(name, value, "true or false");
  if (AT_LEAST_ONE.includes(name) && !(isNumber && value >= 1)) throw wrong(name, value, "a number of at least 1");
  if (AT_LEAST_ZERO.includes(name) && !(isNumber && value >= 0)) throw wrong(name, value, "a number of at least 0");
  if (name === "headers" && (typeof value !== "object" || value === null)) throw wrong(name, value, "an object");
  if (name === "token" && !/^[\x21-\x7e]+$/.test(String(value)))
    throw new TypeError("token must consist of printable ASCII characters");
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string} expected
 */
function wrong(name, value, expected) {
  return new TypeError(`${name} must be ${expected}, not ${typeof value === "string" ? toJson(value) : String(value)}`);
}

/**
 * Return the likely cause when a page gets no response from another origin. A browser hides the cause from the page.
 *
 * @param {string} endpoint
 * @param {string | undefined} page
 */
function hintFor(endpoint, page) {
  const origin = page && new URL(page).origin;
  if (!origin || new URL(endpoint).origin === origin) return "";
  return ` (if it is running, allow the origin of this page: concurrent-log serve --cors-origin ${origin})`;
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
