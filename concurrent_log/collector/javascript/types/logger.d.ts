export class Logger {
    /**
     * @param {Shipper} shipper
     * @param {Bound} [bound]
     */
    constructor(shipper: Shipper, bound?: Bound);
    /**
     * Log at any level.
     *
     * @param {Level | (string & {})} level such as `INFO`; the server knows the names of other dialects, too
     * @param {unknown} message text; anything else is rendered
     * @param {LogFields | Error} [fields] whatever belongs to the record; an error gives its type and stack trace
     */
    log(level: Level | (string & {}), message: unknown, fields?: LogFields | Error): void;
    /**
     * @param {unknown} message
     * @param {LogFields | Error} [fields]
     */
    trace(message: unknown, fields?: LogFields | Error): void;
    /**
     * @param {unknown} message
     * @param {LogFields | Error} [fields]
     */
    debug(message: unknown, fields?: LogFields | Error): void;
    /**
     * @param {unknown} message
     * @param {LogFields | Error} [fields]
     */
    info(message: unknown, fields?: LogFields | Error): void;
    /**
     * @param {unknown} message
     * @param {LogFields | Error} [fields]
     */
    warn(message: unknown, fields?: LogFields | Error): void;
    /**
     * @param {unknown} message
     * @param {LogFields | Error} [fields]
     */
    error(message: unknown, fields?: LogFields | Error): void;
    /**
     * @param {unknown} message
     * @param {LogFields | Error} [fields]
     */
    fatal(message: unknown, fields?: LogFields | Error): void;
    /**
     * Return a logger whose records carry these fields, besides those that this one's carry.
     *
     * @param {LogFields} fields
     * @returns {Logger}
     */
    with(fields: LogFields): Logger;
    /**
     * Return a logger for one step of a trace: that of the request which brought `traceparent`, or a new one.
     *
     * @param {string | string[]} [traceparent] the header of that name
     * @returns {TraceLogger}
     */
    withTrace(traceparent?: string | string[]): TraceLogger;
    #private;
}
/** A logger for one step of a trace. */
export class TraceLogger extends Logger {
    /**
     * @param {Shipper} shipper
     * @param {Bound} bound
     * @param {Trace} trace
     */
    constructor(shipper: Shipper, bound: Bound, trace: Trace);
    /** The id of the trace: 32 hexadecimal digits. */
    get traceId(): string;
    /** What tells another service of the trace: the value of the header `traceparent`. */
    get traceparent(): string;
    /** The headers for a request to another service, as in `fetch(url, { headers: logger.headers })`. */
    get headers(): {
        traceparent: string;
    };
    #private;
}
export type Shipper = import("./shipper.js").Shipper;
export type Level = "TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL";
export type LogFields = Record<string, unknown>;
import { Bound } from "./record.js";
import { Trace } from "./trace.js";
