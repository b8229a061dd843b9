export class Queue {
    /**
     * @param {import("./settings.js").Settings} settings
     * @param {Losses} losses
     */
    constructor(settings: import("./settings.js").Settings, losses: Losses);
    get length(): number;
    /** About how many characters wait. */
    get size(): number;
    /** When the oldest was logged, in milliseconds since 1970. */
    get since(): number;
    /**
     * Let an entry wait; the oldest ones go where there is no room.
     *
     * @param {Entry} entry
     */
    put(entry: Entry): void;
    /** Return the next batch, of those that wait longest; null where there is nothing to tell the server. */
    take(): Batch | null;
    /**
     * Make so many of those JSON that are not, the oldest first, and return whether there are more.
     *
     * @param {number} most
     */
    render(most: number): boolean;
    #private;
}
export type Entry = import("./record.js").Entry;
export type Losses = import("./losses.js").Losses;
import { Batch } from "./batch.js";
