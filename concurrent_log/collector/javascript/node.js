// The client for Node.js.

import { writeSync } from "node:fs";
import { hostname } from "node:os";

import { LogClient } from "./client.js";
import { unwatchExit, watchExit } from "./process_exit.js";
import { messageText } from "./record.js";
import { settingsOf } from "./settings.js";
import { Shipper } from "./shipper.js";
import { threadTransport } from "./worker_thread.js";
import { isError } from "./values.js";

export { LogClient } from "./client.js";
export { Logger, TraceLogger } from "./logger.js";
export { VERSION } from "./version.js";

/** @typedef {import("./settings.js").Options} Options */
/** @typedef {import("./shipper.js").Stats} Stats */

const PLATFORM = {
  transport: threadTransport,
  // Not `process.stderr`: if its reader is gone, a write fails later, as an error that nothing can catch.
  warn: (/** @type {string} */ line) => void writeSync(2, `${line}\n`),
  start: watchExit,
  stop: unwatchExit,
};

/**
 * A client that sends from a worker thread.
 *
 * Defaults come from the environment: `LOG_SERVER_URL`, `SERVICE_NAME`, `ENVIRONMENT` or `NODE_ENV`, `SERVICE_VERSION`,
 * `LOG_TYPE`, `ENABLE_GLOBAL_ERROR_HANDLER`.
 */
export class WorkerThreadsLogClient extends LogClient {
  /**
   * @param {string | URL} [serverUrl] such as `https://logs.example`; defaults to `http://localhost:8000`
   * @param {Options} [options]
   * @throws {TypeError} naming the wrong option and the remedy
   */
  constructor(serverUrl = process.env.LOG_SERVER_URL || "http://localhost:8000", options = {}) {
    super(new Shipper(settingsOf(serverUrl, options, defaults()), PLATFORM), watchErrors);
  }
}

/**
 * Return a client for the current runtime, here Node.
 *
 * @param {string | URL} [serverUrl] such as `https://logs.example`; defaults to `http://localhost:8000`
 * @param {Options} [options]
 * @returns {LogClient}
 * @throws {TypeError} naming the wrong option and the remedy
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
 * Log uncaught errors without catching them: Node still prints them and ends the process.
 *
 * @param {import("./logger.js").Logger} logger
 */
function watchErrors(logger) {
  const onError = (/** @type {unknown} */ error, /** @type {string} */ origin) => {
    const message = isError(error) ? error : `uncaught: ${messageText(error)}`;
    logger.fatal(message, { file_path: null, origin });
  };
  process.on("uncaughtExceptionMonitor", onError);
  return () => void process.off("uncaughtExceptionMonitor", onError);
}
