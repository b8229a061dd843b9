/**
 * Return what an earlier page of this site could not send to an address.
 *
 * @param {string} endpoint
 * @returns {Batch[]}
 */
export function leftBehind(endpoint: string): Batch[];
export class Leaving {
    /**
     * @param {Shipper} shipper
     * @param {string | undefined} token
     */
    constructor(shipper: Shipper, token: string | undefined);
    end(): void;
    #private;
}
export type Delivery = import("./sender.js").Delivery;
export type Shipper = import("./shipper.js").Shipper;
import { Batch } from "./batch.js";
