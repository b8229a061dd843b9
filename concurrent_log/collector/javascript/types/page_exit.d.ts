export class PageExit {
    /**
     * @param {Shipper} shipper
     * @param {StoredBatches} storedBatches
     * @param {string | undefined} token
     */
    constructor(shipper: Shipper, storedBatches: StoredBatches, token: string | undefined);
    /** Store the pending records, and remove the listeners. */
    end(): void;
    #private;
}
export type StoredBatches = import("./stored_batches.js").StoredBatches;
export type Delivery = import("./outbox.js").Delivery;
export type Shipper = import("./shipper.js").Shipper;
