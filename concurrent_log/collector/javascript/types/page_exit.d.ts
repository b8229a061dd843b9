export class Leaving {
    /**
     * @param {Shipper} shipper
     * @param {Leftovers} leftovers
     * @param {string | undefined} token
     */
    constructor(shipper: Shipper, leftovers: Leftovers, token: string | undefined);
    /** Keep what could not be sent, and see to nothing any more. */
    end(): void;
    #private;
}
export type Leftovers = import("./stored_batches.js").Leftovers;
export type Delivery = import("./outbox.js").Delivery;
export type Shipper = import("./shipper.js").Shipper;
