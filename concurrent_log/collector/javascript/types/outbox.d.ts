/**
 * Return the milliseconds of a `Retry-After` header, which is a number of seconds or a date; 0 for anything else.
 *
 * @param {string} header
 * @param {number} since when the header was received
 */
export function retryAfter(header: string, since: number): number;
export class Outbox {
    /**
     * @param {import("./settings.js").Settings} settings
     * @param {import("./queue.js").Queue} queue
     * @param {import("./losses.js").Losses} losses
     * @param {(line: string) => void} warn
     * @param {() => number} [random]
     */
    constructor(settings: import("./settings.js").Settings, queue: import("./queue.js").Queue, losses: import("./losses.js").Losses, warn: (line: string) => void, random?: () => number);
    acknowledged: number;
    sent: number;
    lastError: string;
    isHealthy: boolean;
    /** Whether the server requested the current pause. */
    isServerPause: boolean;
    /** The batches that are not settled. The first one is sent next. @type {Batch[]} */
    batches: Batch[];
    /**
     * Return the next delivery, or null if there is nothing to send.
     *
     * @returns {Delivery | null}
     */
    next(): Delivery | null;
    /**
     * Take batches from the queue until there is one at an index. Return whether there is one.
     *
     * @param {number} index
     */
    fill(index: number): boolean;
    /** The number of records in batches that are not settled. */
    get pending(): number;
    /** Whether there are losses that the server has not acknowledged. */
    get hasUnreportedDrops(): boolean;
    /**
     * Return the request for a part of a batch.
     *
     * @param {Batch} batch
     * @param {Part} part
     * @returns {Delivery}
     */
    deliveryOf(batch: Batch, part: Part): Delivery;
    /**
     * Handle the response to a delivery. Return the milliseconds to pause before the next delivery.
     *
     * @param {Delivery} delivery
     * @param {HttpResponse} response
     */
    settle(delivery: Delivery, response: HttpResponse): number;
    /**
     * Settle a part of a batch if the response is the collector's, and acknowledges it. Return whether it does.
     *
     * @param {Delivery} delivery
     * @param {HttpResponse} response
     */
    acknowledge({ batch, part }: Delivery, response: HttpResponse): boolean;
    #private;
}
export type Batch = import("./batch.js").Batch;
export type Part = import("./batch.js").Part;
export type HttpResponse = import("./transport.js").HttpResponse;
/**
 * A part of a batch, as one request.
 */
export type Delivery = {
    batch: Batch;
    part: Part;
    body: string;
    compress: boolean;
};
