/** @typedef {import("./shipper.js").Shipper} Shipper */
/** @typedef {import("./shipper.js").Stats} Stats */
export class LogClient extends Logger {
    /**
     * @param {Shipper} shipper
     * @param {(logger: Logger) => () => void} watch logs what nobody catches, and returns what ends that
     */
    constructor(shipper: Shipper, watch: (logger: Logger) => () => void);
    /** Log from now on errors that nobody catches, as FATAL. They take their course as ever. */
    enableGlobalErrorHandler(): void;
    /**
     * Wait until the server has acknowledged all that was logged before.
     *
     * @param {number} [milliseconds] how long at most; by default, `stopTimeout`
     * @returns {Promise<boolean>} whether it has; false also where something was lost meanwhile
     */
    flush(milliseconds?: number): Promise<boolean>;
    /**
     * Send what waits, and end everything that was begun. What is logged afterwards begins anew.
     *
     * @param {number} [milliseconds] how long at most; by default, `stopTimeout`
     * @returns {Promise<boolean>} as `flush`
     */
    close(milliseconds?: number): Promise<boolean>;
    /**
     * Return what became of the records up to now.
     *
     * @returns {Stats}
     */
    stats(): Stats;
    #private;
}
export type Shipper = import("./shipper.js").Shipper;
export type Stats = import("./shipper.js").Stats;
import { Logger } from "./logger.js";
