export class Queue {
    /**
     * @param {import("./settings.js").Settings} settings
     * @param {Losses} losses
     */
    constructor(settings: import("./settings.js").Settings, losses: Losses);
    get length(): number;
    /** The approximate size of the queued entries, in characters. */
    get size(): number;
    /** When the oldest entry was logged, in milliseconds since 1970. */
    get oldestTime(): number;
    /**
     * Add an entry. If the queue is full, drop the oldest entries.
     *
     * @param {Entry} entry
     */
    put(entry: Entry): void;
    /** Remove the oldest entries, and return them as a batch; null if there is nothing to send or report. */
    take(): Batch | null;
    /**
     * Render entries that are not rendered yet, the oldest first. Return whether there are more.
     *
     * @param {number} maximum
     */
    render(maximum: number): boolean;
    #private;
}
export type Entry = import("./record.js").Entry;
export type Losses = import("./losses.js").Losses;
import { Batch } from "./batch.js";
