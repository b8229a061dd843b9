export class Shipper {
    /**
     * @param {Settings} settings
     * @param {Surroundings} around
     */
    constructor(settings: Settings, around: Surroundings);
    settings: import("./settings.js").Settings;
    /** How many records there were. */
    count: number;
    losses: Losses;
    queue: Queue;
    sender: Sender;
    /** How many records are not settled. */
    get left(): number;
    /**
     * Let an entry be sent.
     *
     * @param {import("./record.js").Entry} entry
     */
    put(entry: import("./record.js").Entry): void;
    /**
     * Send what somebody before us could not send.
     *
     * @param {import("./batch.js").Batch[]} batches
     */
    resume(batches: import("./batch.js").Batch[]): void;
    /** Let there be a courier; what watches for the end begins, too. */
    begin(): void;
    /**
     * Wait until the server has all that was put before, and return whether it has; false also where something was lost.
     *
     * @param {number} milliseconds
     * @returns {Promise<boolean>}
     */
    flush(milliseconds: number): Promise<boolean>;
    /**
     * Send what waits, and end what was begun; what is logged later begins anew.
     *
     * @param {number} milliseconds
     * @returns {Promise<boolean>}
     */
    close(milliseconds: number): Promise<boolean>;
    /** Go on for a while where the process is about to end by itself, and nothing can be sent without the event loop. */
    linger(): void;
    /**
     * Let what is next be on its way, since the process ends.
     *
     * @param {number} since when that began, in `ticks`
     */
    depart(since: number): void;
    /**
     * Send what waits without the event loop, since the process ends.
     *
     * @param {number} since when that began, in `ticks`
     */
    drain(since: number): void;
    /**
     * Send without the event loop each record that is still to come, such as those of other listeners.
     *
     * @param {number} since when the process began to end, in `ticks`
     */
    drainAlways(since: number): void;
    /** Send now what waits, unless the server asked for a pause. */
    hurry(): void;
    /**
     * Return what is not acknowledged, the oldest first, in parts of so many characters at most.
     *
     * @param {number} most
     * @param {number} altogether about how many characters are enough
     * @returns {Delivery[]}
     */
    unsettled(most: number, altogether: number): Delivery[];
    /**
     * Note that the server has what was sent another way.
     *
     * @param {Delivery} delivery
     * @param {Answer} answer
     */
    acknowledge(delivery: Delivery, answer: Answer): void;
    /**
     * Say something to whoever runs the program.
     *
     * @param {string} line
     */
    tell(line: string): void;
    /**
     * Do something of which nothing is logged here, lest we log for ever that we log.
     *
     * @template Result
     * @param {() => Result} action
     * @returns {Result}
     */
    unlogged<Result>(action: () => Result): Result;
    /** @returns {Stats} */
    stats(): Stats;
    #private;
}
export type Answer = import("./transport.js").Answer;
export type Courier = import("./transport.js").Courier;
export type Delivery = import("./outbox.js").Delivery;
export type Settings = import("./settings.js").Settings;
/**
 * What differs between Node and a browser.
 */
export type Surroundings = {
    courier: (onAnswer: (answer: Answer) => void) => Courier;
    tell: (line: string) => void;
    /**
     * called before the first record: what watches for the end may begin
     */
    begin: (shipper: Shipper) => void;
    end: (shipper: Shipper) => void;
    /**
     * called when the server may have more than before
     */
    settled?: (() => void) | undefined;
};
/**
 * What became of the records of a client.
 */
export type Stats = {
    /**
     * how many wait, or are on their way
     */
    queued: number;
    /**
     * about how many bytes those that wait take
     */
    bytes: number;
    /**
     * how many were sent, however often each
     */
    sent: number;
    /**
     * how many the server has
     */
    acknowledged: number;
    /**
     * how many were lost, by reason
     */
    dropped: Record<string, number>;
    /**
     * what went wrong last; empty for nothing
     */
    lastError: string;
    /**
     * whether the last attempt was a success, or there was none
     */
    healthy: boolean;
};
import { Losses } from "./losses.js";
import { Queue } from "./queue.js";
import { Sender } from "./outbox.js";
