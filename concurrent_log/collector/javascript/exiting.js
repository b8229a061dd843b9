// The end of a process of Node: what waits is sent, and the process ends as it would have without us.

import { isMainThread } from "node:worker_threads";

/** @typedef {import("./shipper.js").Shipper} Shipper */

/** @type {NodeJS.Signals[]} */
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"];
/** @type {Set<Shipper>} */
const shippers = new Set();

/**
 * Send at the end what this shipper has.
 *
 * @param {Shipper} shipper
 */
export function watchExit(shipper) {
  if (shippers.size === 0) {
    process.on("exit", drainAll);
    // First, so that it is seen who else listens, also of those who listen once.
    if (isMainThread) for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  }
  shippers.add(shipper);
}

/** @param {Shipper} shipper */
export function unwatchExit(shipper) {
  shippers.delete(shipper);
  if (shippers.size === 0) {
    process.off("exit", drainAll);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

function drainAll() {
  for (const shipper of shippers) shipper.drain(shipper.settings.stopTimeout);
}

/** @param {NodeJS.Signals} signal */
function onSignal(signal) {
  if (process.listenerCount(signal) > 1) {
    // The program decides what a signal means, and the exit sends the rest.
    for (const shipper of shippers) shipper.hurry();
    return;
  }
  drainAll();
  process.off(signal, onSignal);
  process.kill(process.pid, signal);
}
