export class StoredBatches {
    /** @param {string} endpoint */
    constructor(endpoint: string);
    /**
     * Store the deliveries that are not stored yet, while there is room.
     *
     * @param {Delivery[]} deliveries
     */
    store(deliveries: Delivery[]): void;
    /** Remove the batches that are settled. */
    removeSettled(): void;
    /**
     * Return the batches that earlier pages, or other open pages, have stored.
     *
     * @param {(records: number) => void} onExpired called with the number of records that are too old to be sent
     * @returns {Batch[]}
     */
    restore(onExpired: (records: number) => void): Batch[];
    #private;
}
export type Part = import("./batch.js").Part;
export type Delivery = import("./outbox.js").Delivery;
import { Batch } from "./batch.js";
