// The client for browsers.

import { LogClient } from "./client.js";
import { Leaving } from "./page_exit.js";
import { Leftovers } from "./stored_batches.js";
import { messageOf } from "./record.js";
import { settingsOf } from "./settings.js";
import { Shipper } from "./shipper.js";
import { isError } from "./values.js";
import { webWorkerCourier } from "./web_worker.js";

export { LogClient } from "./client.js";
export { Logger, TraceLogger } from "./logger.js";
export { VERSION } from "./version.js";

/** @typedef {import("./settings.js").Options} Options */
/** @typedef {import("./shipper.js").Stats} Stats */

const MOST_BYTES = 16_777_216;
const EXPIRED = "kept for too long";

/** A client whose requests are made in a worker of its own. What a page cannot send any more, the next one sends. */
export class WebWorkerLogClient extends LogClient {
  /**
   * @param {string | URL} [serverUrl] such as `https://logs.example`; by default, where the page comes from
   * @param {Options} [options]
   * @throws {TypeError} naming what is wrong, and what to do
   */
  constructor(serverUrl = "/", options = {}) {
    const settings = settingsOf(serverUrl, options, defaults());
    const leftovers = new Leftovers(settings.endpoint);
    const shipper = new Shipper(settings, surroundings(leftovers, options.token));
    super(shipper, watchErrors);
    shipper.resume(leftovers.restored((records) => shipper.losses.add(EXPIRED, records)));
  }
}

/**
 * Return a client for where the program runs: here, in a browser.
 *
 * @param {string | URL} [serverUrl] such as `https://logs.example`; by default, where the page comes from
 * @param {Options} [options]
 * @returns {LogClient}
 * @throws {TypeError} naming what is wrong, and what to do
 */
export function createLogClient(serverUrl, options) {
  return new WebWorkerLogClient(serverUrl, options);
}

/**
 * @param {Leftovers} leftovers
 * @param {string | undefined} token
 * @returns {import("./shipper.js").Surroundings}
 */
function surroundings(leftovers, token) {
  /** @type {Leaving | null} */
  let leaving = null;
  return {
    courier: webWorkerCourier,
    tell: (line) => console.warn(line),
    begin: (shipper) => {
      if (typeof document !== "undefined") leaving ??= new Leaving(shipper, leftovers, token);
    },
    end: () => {
      leaving?.end();
      leaving = null;
    },
    settled: () => leftovers.tidy(),
  };
}

function defaults() {
  const options = { logType: "FRONTEND", maxQueueBytes: MOST_BYTES };
  const { location, navigator } = globalThis;
  // A page has no process: a number of its own tells its records from those of other pages.
  const page = Math.floor(Math.random() * 2 ** 31);
  const common = { host: location?.hostname, process_id: page, user_agent: navigator?.userAgent };
  return { base: location?.href, options, common };
}

/**
 * Log errors that nobody catches; the browser goes on to show them.
 *
 * @param {import("./logger.js").Logger} logger
 */
function watchErrors(logger) {
  const onError = (/** @type {ErrorEvent} */ { error, message, filename, lineno }) => {
    // A script of another origin tells nothing of itself.
    logger.fatal(error ?? message, { file_path: filename || null, line_number: lineno || null, origin: "error" });
  };
  const onRejection = (/** @type {PromiseRejectionEvent} */ { reason }) => {
    const message = isError(reason) ? reason : `unhandled rejection: ${messageOf(reason)}`;
    logger.fatal(message, { file_path: null, origin: "unhandledrejection" });
  };
  addEventListener("error", onError);
  addEventListener("unhandledrejection", onRejection);
  return () => {
    removeEventListener("error", onError);
    removeEventListener("unhandledrejection", onRejection);
  };
}
