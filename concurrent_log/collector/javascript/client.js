// A client: a logger that owns the shipper of its records.

import { Logger } from "./logger.js";

/** @typedef {import("./shipper.js").Shipper} Shipper */
/** @typedef {import("./shipper.js").Stats} Stats */

export class LogClient extends Logger {
  #shipper;
  #watchErrors;
  /** @type {(() => void) | null} */
  #unwatchErrors = null;

  /**
   * @param {Shipper} shipper
   * @param {(logger: Logger) => () => void} watchErrors starts to log uncaught errors, and returns a function that stops
   */
  constructor(shipper, watchErrors) {
    super(shipper);
    this.#shipper = shipper;
    this.#watchErrors = watchErrors;
    if (shipper.settings.enableGlobalErrorHandler) this.enableGlobalErrorHandler();
  }

  /** Log uncaught errors as FATAL from now on. The runtime still handles them as usual. */
  enableGlobalErrorHandler() {
    this.#unwatchErrors ??= this.#watchErrors(this);
  }

  /**
   * Wait until the server has acknowledged all earlier records.
   *
   * @param {number} [milliseconds] maximum; defaults to `stopTimeout`
   * @returns {Promise<boolean>} true if it has; false after the time is up, and if a record was lost meanwhile
   */
  flush(milliseconds = this.#shipper.settings.stopTimeout) {
    return this.#shipper.flush(milliseconds);
  }

  /**
   * Flush, and stop the worker and the error handler. A later record starts the worker again.
   *
   * @param {number} [milliseconds] maximum; defaults to `stopTimeout`
   * @returns {Promise<boolean>} like `flush`
   */
  close(milliseconds = this.#shipper.settings.stopTimeout) {
    this.#unwatchErrors?.();
    this.#unwatchErrors = null;
    return this.#shipper.close(milliseconds);
  }

  /**
   * Return the numbers of queued, sent, acknowledged and lost records, and the last error.
   *
   * @returns {Stats}
   */
  stats() {
    return this.#shipper.stats();
  }
}
