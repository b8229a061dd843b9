// Trace ids that several services share: W3C Trace Context, https://www.w3.org/TR/trace-context/.

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-.*)?$/;

/**
 * Return random bytes as hexadecimal digits.
 *
 * @param {number} bytes
 */
export function randomHex(bytes) {
  const numbers =
    globalThis.crypto?.getRandomValues(new Uint8Array(bytes)) ??
    Uint8Array.from({ length: bytes }, () => Math.random() * 256);
  return Array.from(numbers, (each) => each.toString(16).padStart(2, "0")).join("");
}

/** A span of a trace. */
export class Trace {
  /** @param {unknown} [traceparent] the header of the current request; without a valid one, a new trace starts */
  constructor(traceparent) {
    const found = TRACEPARENT.exec(
      String(Array.isArray(traceparent) ? traceparent[0] : traceparent)
        .trim()
        .toLowerCase(),
    );
    /** The trace id: 32 hexadecimal digits. */
    this.traceId = found?.[1] ?? randomHex(16);
    /** The span id: 16 hexadecimal digits. */
    this.spanId = randomHex(8);
  }

  /** The header `traceparent` for requests to other services. */
  get traceparent() {
    return `00-${this.traceId}-${this.spanId}-01`;
  }
}
