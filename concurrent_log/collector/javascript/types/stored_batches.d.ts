export class Leftovers {
    /** @param {string} endpoint */
    constructor(endpoint: string);
    /**
     * Keep what is not kept yet, as far as there is room.
     *
     * @param {Delivery[]} deliveries
     */
    keep(deliveries: Delivery[]): void;
    /** Forget what is settled. */
    tidy(): void;
    /**
     * Return what pages before this one, or beside it, have kept.
     *
     * @param {(records: number) => void} onExpired told how many records were kept for too long
     * @returns {Batch[]}
     */
    restored(onExpired: (records: number) => void): Batch[];
    #private;
}
export type Part = import("./batch.js").Part;
export type Delivery = import("./outbox.js").Delivery;
import { Batch } from "./batch.js";
