// The client for browsers.

import { LogClient } from "./client.js";
import { Leaving, leftBehind } from "./leaving.js";
import { settingsOf } from "./settings.js";
import { Shipper } from "./shipper.js";
import { webWorkerCourier } from "./web_worker.js";

export { LogClient } from "./client.js";
export { Logger, TraceLogger } from "./logger.js";
export { VERSION } from "./version.js";

/** @typedef {import("./settings.js").Options} Options */
/** @typedef {import("./shipper.js").Stats} Stats */

const MOST_BYTES = 16_777_216;

/** A client whose requests are made in a worker of its own. What a page cannot send any more, the next one sends. */
export class WebWorkerLogClient extends LogClient {
  /**
   * @param {string | URL} [serverUrl] such as `https://logs.example`; by default, where the page comes from
   * @param {Options} [options]
   * @throws {TypeError} naming what is wrong, and what to do
   */
  constructor(serverUrl = "/", options = {}) {
    const settings = settingsOf(serverUrl, options, defaults());
    const shipper = new Shipper(settings, surroundings(options.token));
    super(shipper, watchErrors);
    shipper.resume(leftBehind(settings.endpoint));
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
 * @param {string | undefined} token
 * @returns {import("./shipper.js").Surroundings}
 */
function surroundings(token) {
  /** @type {Leaving | null} */
  let leaving = null;
  return {
    courier: webWorkerCourier,
    tell: (line) => console.warn(line),
    begin: (shipper) => {
      if (typeof document !== "undefined") leaving ??= new Leaving(shipper, token);
    },
    end: () => {
      leaving?.end();
      leaving = null;
    },
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
    logger.fatal(error ?? message, { file_path: filename, line_number: lineno, origin: "error" });
  };
  const onRejection = (/** @type {PromiseRejectionEvent} */ { reason }) => {
    logger.fatal(reason instanceof Error ? reason : `unhandled rejection: ${String(reason)}`, {
      origin: "unhandledrejection",
    });
  };
  addEventListener("error", onError);
  addEventListener("unhandledrejection", onRejection);
  return () => {
    removeEventListener("error", onError);
    removeEventListener("unhandledrejection", onRejection);
  };
}
