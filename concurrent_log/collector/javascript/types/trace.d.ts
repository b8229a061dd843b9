/**
 * Return random bytes as hexadecimal digits.
 *
 * @param {number} bytes
 */
export function randomHex(bytes: number): string;
/** A span of a trace. */
export class Trace {
    /** @param {unknown} [traceparent] the header of the current request; without a valid one, a new trace starts */
    constructor(traceparent?: unknown);
    /** The trace id: 32 hexadecimal digits. */
    traceId: string;
    /** The span id: 16 hexadecimal digits. */
    spanId: string;
    /** The header `traceparent` for requests to other services. */
    get traceparent(): string;
}
