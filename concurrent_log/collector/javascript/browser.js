// The client for browsers.

import { LogClient } from "./client.js";
import { PageExit } from "./page_exit.js";
import { StoredBatches } from "./stored_batches.js";
import { messageText } from "./record.js";
import { settingsOf } from "./settings.js";
import { Shipper } from "./shipper.js";
import { isError } from "./values.js";
import { webWorkerTransport } from "./web_worker.js";

export { LogClient } from "./client.js";
export { Logger, TraceLogger } from "./logger.js";
export { VERSION } from "./version.js";

/** @typedef {import("./settings.js").Options} Options */
/** @typedef {import("./shipper.js").Stats} Stats */

const MAX_QUEUE_BYTES = 16_777_216;
const EXPIRED = "kept for too long";

/** A client that sends from a web worker. Records that a page cannot send are sent by the next page of the site. */
export class WebWorkerLogClient extends LogClient {
  /**
   * @param {string | URL} [serverUrl] such as `https://logs.example`; defaults to the server of the page
   * @param {Options} [options]
   * @throws {TypeError} naming the wrong option and the remedy
   */
  constructor(serverUrl = "/", options = {}) {
    const settings = settingsOf(serverUrl, options, defaults());
    const storedBatches = new StoredBatches(settings.endpoint);
    const shipper = new Shipper(settings, platform(storedBatches, options.token));
    super(shipper, watchErrors);
    shipper.resume(storedBatches.restore((records) => shipper.losses.add(EXPIRED, records)));
  }
}

/**
 * Return a client for the current runtime, here a browser.
 *
 * @param {string | URL} [serverUrl] such as `https://logs.example`; defaults to the server of the page
 * @param {Options} [options]
 * @returns {LogClient}
 * @throws {TypeError} naming the wrong option and the remedy
 */
export function createLogClient(serverUrl, options) {
  return new WebWorkerLogClient(serverUrl, options);
}

/**
 * @param {StoredBatches} storedBatches
 * @param {string | undefined} token
 * @returns {import("./shipper.js").Platform}
 */
function platform(storedBatches, token) {
  /** @type {PageExit | null} */
  let pageExit = null;
  return {
    transport: webWorkerTransport,
    warn: (line) => console.warn(line),
    start: (shipper) => {
      if (typeof document !== "undefined") pageExit ??= new PageExit(shipper, storedBatches, token);
    },
    stop: () => {
      pageExit?.end();
      pageExit = null;
    },
    onSettled: () => storedBatches.removeSettled(),
  };
}

function defaults() {
  const options = { logType: "FRONTEND", maxQueueBytes: MAX_QUEUE_BYTES };
  const { location, navigator } = globalThis;
  // A page has no process id. A random number distinguishes its records from those of other pages.
  const page = Math.floor(Math.random() * 2 ** 31);
  const common = { host: location?.hostname, process_id: page, user_agent: navigator?.userAgent };
  return { base: location?.href, options, common };
}

/**
 * Log uncaught errors. The browser still shows them in its console.
 *
 * @param {import("./logger.js").Logger} logger
 */
function watchErrors(logger) {
  const onError = (/** @type {ErrorEvent} */ { error, message, filename, lineno }) => {
    // For a script of another origin, `error` is null, and there is no file name.
    logger.fatal(error ?? message, { file_path: filename || null, line_number: lineno || null, origin: "error" });
  };
  const onRejection = (/** @type {PromiseRejectionEvent} */ { reason }) => {
    const message = isError(reason) ? reason : `unhandled rejection: ${messageText(reason)}`;
    logger.fatal(message, { file_path: null, origin: "unhandledrejection" });
  };
  addEventListener("error", onError);
  addEventListener("unhandledrejection", onRejection);
  return () => {
    removeEventListener("error", onError);
    removeEventListener("unhandledrejection", onRejection);
  };
}
