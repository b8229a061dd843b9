export class Logger {
    /**
     * @param {Shipper} shipper
     * @param {BoundFields} [bound]
     */
    constructor(shipper: Shipper, bound?: BoundFields);
    /**
     * Log at any level.
     *
     * @param {Level | (string & {})} level such as `INFO`; the server also maps the level names of other libraries
     * @param {unknown} message text; any other value is rendered as text
     * @param {LogFields | Error} [fields] further fields of the record; an error adds its type and stack trace
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
     * Return a logger that adds these fields to its records, besides the fields of this logger.
     *
     * @param {LogFields} fields
     * @returns {Logger}
     */
    with(fields: LogFields): Logger;
    /**
     * Return a logger for one span of a trace: the trace of the current request, or a new one.
     *
     * @param {string | string[]} [traceparent] the header of that name of the current request
     * @returns {TraceLogger}
     */
    withTrace(traceparent?: string | string[]): TraceLogger;
    #private;
}
/** A logger for one span of a trace. */
export class TraceLogger extends Logger {
    /**
     * @param {Shipper} shipper
     * @param {BoundFields} bound
     * @param {Trace} trace
     */
    constructor(shipper: Shipper, bound: BoundFields, trace: Trace);
    /** The trace id: 32 hexadecimal digits. */
    get traceId(): string;
    /** The header `traceparent` for requests to other services. */
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
import { BoundFields } from "./record.js";
import { Trace } from "./trace.js";
