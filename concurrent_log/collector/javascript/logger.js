// The logging methods, one for each level. They never throw, never wait, and never change their arguments.

import { BoundFields, Entry, fieldsOf, messageOf } from "./record.js";
import { limitStackTrace, restoreStackTrace } from "./call_site.js";
import { Trace } from "./trace.js";

/** @typedef {import("./shipper.js").Shipper} Shipper */
/** @typedef {"TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL"} Level */
/** @typedef {Record<string, unknown>} LogFields */

const FAILED = "failed here";
const NOTHING = new BoundFields([]);

export class Logger {
  #shipper;
  #bound;
  #capturesCaller;

  /**
   * @param {Shipper} shipper
   * @param {BoundFields} [bound]
   */
  constructor(shipper, bound = NOTHING) {
    this.#shipper = shipper;
    this.#bound = bound;
    this.#capturesCaller = shipper.settings.caller;
  }

  /**
   * Log at any level.
   *
   * @param {Level | (string & {})} level such as `INFO`; the server also maps the level names of other libraries
   * @param {unknown} message text; any other value is rendered as text
   * @param {LogFields | Error} [fields] further fields of the record; an error adds its type and stack trace
   */
  log(level, message, fields) {
    this.#record(level, message, fields, limitStackTrace(), this.#capturesCaller ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  trace(message, fields) {
    this.#record("TRACE", message, fields, limitStackTrace(), this.#capturesCaller ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  debug(message, fields) {
    this.#record("DEBUG", message, fields, limitStackTrace(), this.#capturesCaller ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  info(message, fields) {
    this.#record("INFO", message, fields, limitStackTrace(), this.#capturesCaller ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  warn(message, fields) {
    this.#record("WARN", message, fields, limitStackTrace(), this.#capturesCaller ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  error(message, fields) {
    this.#record("ERROR", message, fields, limitStackTrace(), this.#capturesCaller ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  fatal(message, fields) {
    this.#record("FATAL", message, fields, limitStackTrace(), this.#capturesCaller ? new Error() : null);
  }

  /**
   * Return a logger that adds these fields to its records, besides the fields of this logger.
   *
   * @param {LogFields} fields
   * @returns {Logger}
   */
  with(fields) {
    return new Logger(this.#shipper, this.#bound.with(fieldsOf(fields)));
  }

  /**
   * Return a logger for one span of a trace: the trace of the current request, or a new one.
   *
   * @param {string | string[]} [traceparent] the header of that name of the current request
   * @returns {TraceLogger}
   */
  withTrace(traceparent) {
    const trace = new Trace(traceparent);
    const fields = fieldsOf({ trace_id: trace.traceId, span_id: trace.spanId });
    return new TraceLogger(this.#shipper, this.#bound.with(fields), trace);
  }

  /**
   * Each method creates the error itself, so that its stack is two frames deep: the method and its caller. Creating it
   * takes most of the time of a logging call, and each further frame takes more.
   *
   * @param {string} level
   * @param {unknown} message
   * @param {unknown} fields
   * @param {number} limit
   * @param {Error | null} caller
   */
  #record(level, message, fields, limit, caller) {
    restoreStackTrace(limit);
    const shipper = this.#shipper;
    try {
      const given = fieldsOf(fields, message);
      shipper.put(new Entry(messageOf(level), messageOf(message), given, this.#bound, shipper.count, caller));
    } catch {
      shipper.losses.add(FAILED); // The program has run out of stack or memory.
    }
  }
}

/** A logger for one span of a trace. */
export class TraceLogger extends Logger {
  #trace;

  /**
   * @param {Shipper} shipper
   * @param {BoundFields} bound
   * @param {Trace} trace
   */
  constructor(shipper, bound, trace) {
    super(shipper, bound);
    this.#trace = trace;
  }

  /** The trace id: 32 hexadecimal digits. */
  get traceId() {
    return this.#trace.traceId;
  }

  /** The header `traceparent` for requests to other services. */
  get traceparent() {
    return this.#trace.traceparent;
  }

  /** The headers for a request to another service, as in `fetch(url, { headers: logger.headers })`. */
  get headers() {
    return { traceparent: this.traceparent };
  }
}
