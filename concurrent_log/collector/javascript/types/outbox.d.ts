/**
 * Return for how many milliseconds a server asks: a number of seconds, or a date; 0 for anything else.
 *
 * @param {string} header
 * @param {number} since when it was said
 */
export function retryAfter(header: string, since: number): number;
export class Sender {
    /**
     * @param {import("./settings.js").Settings} settings
     * @param {import("./queue.js").Queue} queue
     * @param {import("./losses.js").Losses} losses
     * @param {(line: string) => void} tell
     * @param {() => number} [random]
     */
    constructor(settings: import("./settings.js").Settings, queue: import("./queue.js").Queue, losses: import("./losses.js").Losses, tell: (line: string) => void, random?: () => number);
    acknowledged: number;
    sent: number;
    lastError: string;
    isHealthy: boolean;
    /** Whether the server asked for the pause. */
    isAsked: boolean;
    /** Those that are not settled; the first one goes next. @type {Batch[]} */
    batches: Batch[];
    /**
     * Return what is to be sent now, or null for nothing.
     *
     * @returns {Delivery | null}
     */
    next(): Delivery | null;
    /**
     * Return whether there is a batch at an index; what waits is in batches as far as that is asked for.
     *
     * @param {number} index
     */
    has(index: number): boolean;
    /** How many records are in batches, and not settled. */
    get left(): number;
    /** Whether the server is still to be told of losses. */
    get owesDrops(): boolean;
    /**
     * Return the request for a part of a batch.
     *
     * @param {Batch} batch
     * @param {Part} part
     * @returns {Delivery}
     */
    deliveryOf(batch: Batch, part: Part): Delivery;
    /**
     * Take the answer to a delivery, and return for how many milliseconds to wait before the next one.
     *
     * @param {Delivery} delivery
     * @param {Answer} answer
     */
    settle(delivery: Delivery, answer: Answer): number;
    /**
     * Note that the server has a part of a batch.
     *
     * @param {Delivery} delivery
     * @param {Answer} answer
     */
    acknowledge({ batch, part }: Delivery, answer: Answer): void;
    #private;
}
export type Batch = import("./batch.js").Batch;
export type Part = import("./batch.js").Part;
export type Answer = import("./transport.js").Answer;
/**
 * A part of a batch that is to be sent.
 */
export type Delivery = {
    batch: Batch;
    part: Part;
    body: string;
    compress: boolean;
};
