/** @typedef {import("./shipper.js").Shipper} Shipper */
/** @typedef {import("./shipper.js").Stats} Stats */
export class LogClient extends Logger {
    /**
     * @param {Shipper} shipper
     * @param {(logger: Logger) => () => void} watchErrors starts to log uncaught errors, and returns a function that stops
     */
    constructor(shipper: Shipper, watchErrors: (logger: Logger) => () => void);
    /** Log uncaught errors as FATAL from now on. The runtime still handles them as usual. */
    enableGlobalErrorHandler(): void;
    /**
     * Wait until the server has acknowledged all earlier records.
     *
     * @param {number} [milliseconds] maximum; defaults to `stopTimeout`
     * @returns {Promise<boolean>} true if it has; false after the time is up, and if a record was lost meanwhile
     */
    flush(milliseconds?: number): Promise<boolean>;
    /**
     * Flush, and stop the worker and the error handler. A later record starts the worker again.
     *
     * @param {number} [milliseconds] maximum; defaults to `stopTimeout`
     * @returns {Promise<boolean>} like `flush`
     */
    close(milliseconds?: number): Promise<boolean>;
    /**
     * Return the numbers of queued, sent, acknowledged and lost records, and the last error.
     *
     * @returns {Stats}
     */
    stats(): Stats;
    #private;
}
export type Shipper = import("./shipper.js").Shipper;
export type Stats = import("./shipper.js").Stats;
import { Logger } from "./logger.js";
