export class Shipper {
    /**
     * @param {Settings} settings
     * @param {Platform} platform
     */
    constructor(settings: Settings, platform: Platform);
    settings: import("./settings.js").Settings;
    /** The number of records so far. */
    count: number;
    losses: Losses;
    queue: Queue;
    outbox: Outbox;
    /** The number of records that are not settled: neither acknowledged nor counted as lost. */
    get pending(): number;
    /**
     * Queue an entry.
     *
     * @param {import("./record.js").Entry} entry
     */
    put(entry: import("./record.js").Entry): void;
    /**
     * Send batches that an earlier page could not send.
     *
     * @param {import("./batch.js").Batch[]} batches
     */
    resume(batches: import("./batch.js").Batch[]): void;
    /** Create the transport if there is none, and watch for the end of the program. */
    start(): void;
    /**
     * Wait until all earlier records are settled. Return whether they are, and none was lost meanwhile.
     *
     * @param {number} milliseconds
     * @returns {Promise<boolean>}
     */
    flush(milliseconds: number): Promise<boolean>;
    /**
     * Send the pending records, and stop the transport. A later record starts it again.
     *
     * @param {number} milliseconds
     * @returns {Promise<boolean>}
     */
    close(milliseconds: number): Promise<boolean>;
    /** Keep a process alive whose event loop is empty, if the transport can send only with the event loop. */
    delayExit(): void;
    /**
     * Send the next delivery without waiting for the response, because the process ends.
     *
     * @param {number} since when the process began to end, on the clock of `monotonic`
     */
    startLastRequest(since: number): void;
    /**
     * Send the pending records without the event loop, because the process ends.
     *
     * @param {number} since when the process began to end, on the clock of `monotonic`
     */
    drain(since: number): void;
    /**
     * From now on, send each record within its logging call, because other exit listeners may log.
     *
     * @param {number} since when the process began to end, on the clock of `monotonic`
     */
    drainNewRecords(since: number): void;
    /** Send the pending records now, unless the server requested a pause. */
    sendNow(): void;
    /**
     * Return the records that are not acknowledged, the oldest first.
     *
     * @param {number} maxPart maximum characters of each delivery
     * @param {number} maxTotal approximate maximum characters of all deliveries together
     * @returns {Delivery[]}
     */
    pendingDeliveries(maxPart: number, maxTotal: number): Delivery[];
    /**
     * Record that the server has acknowledged a delivery that was sent without the transport.
     *
     * @param {Delivery} delivery
     * @param {HttpResponse} response
     */
    acknowledge(delivery: Delivery, response: HttpResponse): void;
    /**
     * Write a warning to stderr or the console.
     *
     * @param {string} line
     */
    warn(line: string): void;
    /**
     * Call a function, and ignore what is logged meanwhile. Otherwise a hooked `fetch` or `console` would log without end.
     *
     * @template Result
     * @param {() => Result} action
     * @returns {Result}
     */
    withoutLogging<Result>(action: () => Result): Result;
    /** @returns {Stats} */
    stats(): Stats;
    #private;
}
export type HttpResponse = import("./transport.js").HttpResponse;
export type Transport = import("./transport.js").Transport;
export type Delivery = import("./outbox.js").Delivery;
export type Settings = import("./settings.js").Settings;
/**
 * What differs between Node and browsers.
 */
export type Platform = {
    transport: (onResponse: (response: HttpResponse) => void) => Transport;
    warn: (line: string) => void;
    /**
     * called before the first record, to watch for the end of the program
     */
    start: (shipper: Shipper) => void;
    stop: (shipper: Shipper) => void;
    /**
     * called when the server may have acknowledged records
     */
    onSettled?: (() => void) | undefined;
};
/**
 * The state of a client's records.
 */
export type Stats = {
    /**
     * records that are queued or in flight
     */
    queued: number;
    /**
     * approximate size of the queued records
     */
    bytes: number;
    /**
     * records sent, counting each attempt
     */
    sent: number;
    /**
     * records that the server has acknowledged
     */
    acknowledged: number;
    /**
     * lost records, by reason
     */
    dropped: Record<string, number>;
    /**
     * records that the server has stored with shorter texts, or from a batch that
     * it made the client divide, by reason
     */
    changed: Record<string, number>;
    /**
     * the last error, or an empty string
     */
    lastError: string;
    /**
     * whether the last attempt succeeded; true before the first one
     */
    healthy: boolean;
};
import { Losses } from "./losses.js";
import { Queue } from "./queue.js";
import { Outbox } from "./outbox.js";
