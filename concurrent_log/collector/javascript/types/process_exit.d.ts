/**
 * Send the pending records of this shipper when the process ends.
 *
 * @param {Shipper} shipper
 */
export function watchExit(shipper: Shipper): void;
/** @param {Shipper} shipper */
export function unwatchExit(shipper: Shipper): void;
export type Shipper = import("./shipper.js").Shipper;
