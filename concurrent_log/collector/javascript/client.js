// A client: a logger that owns what ships its records.

import { Logger } from "./logger.js";

/** @typedef {import("./shipper.js").Shipper} Shipper */
/** @typedef {import("./shipper.js").Stats} Stats */

export class LogClient extends Logger {
  #shipper;
  #watch;
  /** @type {(() => void) | null} */
  #unwatch = null;

  /**
   * @param {Shipper} shipper
   * @param {(logger: Logger) => () => void} watch logs what nobody catches, and returns what ends that
   */
  constructor(shipper, watch) {
    super(shipper);
    this.#shipper = shipper;
    this.#watch = watch;
    if (shipper.settings.enableGlobalErrorHandler) this.enableGlobalErrorHandler();
  }

  /** Log from now on errors that nobody catches, as FATAL. They take their course as ever. */
  enableGlobalErrorHandler() {
    this.#unwatch ??= this.#watch(this);
  }

  /**
   * Wait until the server has acknowledged all that was logged before.
   *
   * @param {number} [milliseconds] how long at most; by default, `stopTimeout`
   * @returns {Promise<boolean>} whether it has; false also where something was lost meanwhile
   */
  flush(milliseconds = this.#shipper.settings.stopTimeout) {
    return this.#shipper.flush(milliseconds);
  }

  /**
   * Send what waits, and end everything that was begun. What is logged afterwards begins anew.
   *
   * @param {number} [milliseconds] how long at most; by default, `stopTimeout`
   * @returns {Promise<boolean>} as `flush`
   */
  close(milliseconds = this.#shipper.settings.stopTimeout) {
    this.#unwatch?.();
    this.#unwatch = null;
    return this.#shipper.close(milliseconds);
  }

  /**
   * Return what became of the records up to now.
   *
   * @returns {Stats}
   */
  stats() {
    return this.#shipper.stats();
  }
}
