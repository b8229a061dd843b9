// The client for Node.js.

import { writeSync } from "node:fs";
import { hostname } from "node:os";

import { LogClient } from "./client.js";
import { unwatchExit, watchExit } from "./process_exit.js";
import { messageOf } from "./record.js";
import { settingsOf } from "./settings.js";
import { Shipper } from "./shipper.js";
import { threadCourier } from "./worker_thread.js";
import { isError } from "./values.js";

export { LogClient } from "./client.js";
export { Logger, TraceLogger } from "./logger.js";
export { VERSION } from "./version.js";

/** @typedef {import("./settings.js").Options} Options */
/** @typedef {import("./shipper.js").Stats} Stats */

const SURROUNDINGS = {
  courier: threadCourier,
  // Not by `process.stderr`: where nobody reads it any more, that throws later, when nobody can catch it.
  tell: (/** @type {string} */ line) => void writeSync(2, `${line}\n`),
  begin: watchExit,
  end: unwatchExit,
};

/**
 * A client whose requests are made in a thread of its own.
 *
 * What is not said is taken from the environment: `LOG_SERVER_URL`, `SERVICE_NAME`, `ENVIRONMENT` or `NODE_ENV`,
 * `SERVICE_VERSION`, `LOG_TYPE`, `ENABLE_GLOBAL_ERROR_HANDLER`.
 */
export class WorkerThreadsLogClient extends LogClient {
  /**
   * @param {string | URL} [serverUrl] such as `https://logs.example`; by default, `http://localhost:8000`
   * @param {Options} [options]
   * @throws {TypeError} naming what is wrong, and what to do
   */
  constructor(serverUrl = process.env.LOG_SERVER_URL || "http://localhost:8000", options = {}) {
    super(new Shipper(settingsOf(serverUrl, options, defaults()), SURROUNDINGS), watchErrors);
  }
}

/**
 * Return a client for where the program runs: here, in Node.
 *
 * @param {string | URL} [serverUrl] such as `https://logs.example`; by default, `http://localhost:8000`
 * @param {Options} [options]
 * @returns {LogClient}
 * @throws {TypeError} naming what is wrong, and what to do
 */
export function createLogClient(serverUrl, options) {
  return new WorkerThreadsLogClient(serverUrl, options);
}

function defaults() {
  const { SERVICE_NAME, ENVIRONMENT, NODE_ENV, SERVICE_VERSION, LOG_TYPE, ENABLE_GLOBAL_ERROR_HANDLER } = process.env;
  const options = {
    service: SERVICE_NAME || undefined,
    environment: ENVIRONMENT || NODE_ENV || undefined,
    serviceVersion: SERVICE_VERSION || undefined,
    logType: LOG_TYPE || "BACKEND",
    enableGlobalErrorHandler: /^(true|1|yes|on)$/i.test(ENABLE_GLOBAL_ERROR_HANDLER ?? ""),
  };
  return { options, common: { host: hostname(), process_id: process.pid, process_name: process.title } };
}

/**
 * Log errors that nobody catches, without catching them: the process prints them and ends as ever.
 *
 * @param {import("./logger.js").Logger} logger
 */
function watchErrors(logger) {
  const onError = (/** @type {unknown} */ error, /** @type {string} */ origin) => {
    const message = isError(error) ? error : `uncaught: ${messageOf(error)}`;
    logger.fatal(message, { file_path: null, origin });
  };
  process.on("uncaughtExceptionMonitor", onError);
  return () => void process.off("uncaughtExceptionMonitor", onError);
}
