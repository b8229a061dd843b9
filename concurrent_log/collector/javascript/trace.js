// The trace that a page and its back end share: W3C Trace Context, https://www.w3.org/TR/trace-context/.

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

/**
 * Return a random number of so many bytes, in hexadecimal digits.
 *
 * @param {number} bytes
 */
export function randomHex(bytes) {
  const numbers =
    globalThis.crypto?.getRandomValues(new Uint8Array(bytes)) ??
    Uint8Array.from({ length: bytes }, () => Math.random() * 256);
  return Array.from(numbers, (each) => each.toString(16).padStart(2, "0")).join("");
}

/** One step of a trace. */
export class Trace {
  /** @param {unknown} [traceparent] the header of a request that is being served; a new trace begins without one */
  constructor(traceparent) {
    const found = TRACEPARENT.exec(
      String(Array.isArray(traceparent) ? traceparent[0] : traceparent)
        .trim()
        .toLowerCase(),
    );
    /** The id of the trace: 32 hexadecimal digits. */
    this.traceId = found?.[1] ?? randomHex(16);
    /** The id of this step: 16 hexadecimal digits. */
    this.spanId = randomHex(8);
  }

  /** What tells another service of the trace. */
  get traceparent() {
    return `00-${this.traceId}-${this.spanId}-01`;
  }
}
