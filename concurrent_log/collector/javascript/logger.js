// What programs call: a method for each level. None of them throws, waits, or changes what it is given.

import { Bound, Entry, fieldsOf, messageOf } from "./record.js";
import { narrow, widen } from "./call_site.js";
import { Trace } from "./trace.js";

/** @typedef {import("./shipper.js").Shipper} Shipper */
/** @typedef {"TRACE" | "DEBUG" | "INFO" | "WARN" | "ERROR" | "FATAL"} Level */
/** @typedef {Record<string, unknown>} LogFields */

const FAILED = "failed here";
const NOTHING = new Bound([]);

export class Logger {
  #shipper;
  #bound;
  #sees;

  /**
   * @param {Shipper} shipper
   * @param {Bound} [bound]
   */
  constructor(shipper, bound = NOTHING) {
    this.#shipper = shipper;
    this.#bound = bound;
    this.#sees = shipper.settings.caller;
  }

  /**
   * Log at any level.
   *
   * @param {Level | (string & {})} level such as `INFO`; the server knows the names of other dialects, too
   * @param {unknown} message text; anything else is rendered
   * @param {LogFields | Error} [fields] whatever belongs to the record; an error gives its type and stack trace
   */
  log(level, message, fields) {
    this.#put(level, message, fields, narrow(), this.#sees ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  trace(message, fields) {
    this.#put("TRACE", message, fields, narrow(), this.#sees ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  debug(message, fields) {
    this.#put("DEBUG", message, fields, narrow(), this.#sees ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  info(message, fields) {
    this.#put("INFO", message, fields, narrow(), this.#sees ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  warn(message, fields) {
    this.#put("WARN", message, fields, narrow(), this.#sees ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  error(message, fields) {
    this.#put("ERROR", message, fields, narrow(), this.#sees ? new Error() : null);
  }

  /**
   * @param {unknown} message
   * @param {LogFields | Error} [fields]
   */
  fatal(message, fields) {
    this.#put("FATAL", message, fields, narrow(), this.#sees ? new Error() : null);
  }

  /**
   * Return a logger whose records carry these fields, besides those that this one's carry.
   *
   * @param {LogFields} fields
   * @returns {Logger}
   */
  with(fields) {
    return new Logger(this.#shipper, this.#bound.with(fieldsOf(fields)));
  }

  /**
   * Return a logger for one step of a trace: that of the request which brought `traceparent`, or a new one.
   *
   * @param {string | string[]} [traceparent] the header of that name
   * @returns {TraceLogger}
   */
  withTrace(traceparent) {
    const trace = new Trace(traceparent);
    const fields = fieldsOf({ trace_id: trace.traceId, span_id: trace.spanId });
    return new TraceLogger(this.#shipper, this.#bound.with(fields), trace);
  }

  /**
   * Each method makes the error itself, which knows the method and who called it, and no more: that takes most of the
   * time of a call, and each further function some more.
   *
   * @param {string} level
   * @param {unknown} message
   * @param {unknown} fields
   * @param {number} limit
   * @param {Error | null} seen
   */
  #put(level, message, fields, limit, seen) {
    widen(limit);
    const shipper = this.#shipper;
    try {
      const said = fieldsOf(fields, message);
      shipper.put(new Entry(messageOf(level), messageOf(message), said, this.#bound, shipper.count, seen));
    } catch {
      shipper.losses.add(FAILED); // The program has run out of stack or memory.
    }
  }
}

/** A logger for one step of a trace. */
export class TraceLogger extends Logger {
  #trace;

  /**
   * @param {Shipper} shipper
   * @param {Bound} bound
   * @param {Trace} trace
   */
  constructor(shipper, bound, trace) {
    super(shipper, bound);
    this.#trace = trace;
  }

  /** The id of the trace: 32 hexadecimal digits. */
  get traceId() {
    return this.#trace.traceId;
  }

  /** What tells another service of the trace: the value of the header `traceparent`. */
  get traceparent() {
    return this.#trace.traceparent;
  }

  /** The headers for a request to another service, as in `fetch(url, { headers: logger.headers })`. */
  get headers() {
    return { traceparent: this.traceparent };
  }
}
