/**
 * Return a random number of so many bytes, in hexadecimal digits.
 *
 * @param {number} bytes
 */
export function randomHex(bytes: number): string;
/** One step of a trace. */
export class Trace {
    /** @param {unknown} [traceparent] the header of a request that is being served; a new trace begins without one */
    constructor(traceparent?: unknown);
    /** The id of the trace: 32 hexadecimal digits. */
    traceId: string;
    /** The id of this step: 16 hexadecimal digits. */
    spanId: string;
    /** What tells another service of the trace. */
    get traceparent(): string;
}
