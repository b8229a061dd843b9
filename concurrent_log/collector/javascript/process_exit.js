// The end of a process of Node: what waits is sent, and the process ends as it would have without us.

import { isMainThread } from "node:worker_threads";

import { ticks } from "./builtins.js";

/** @typedef {import("./shipper.js").Shipper} Shipper */

/** @type {NodeJS.Signals[]} */
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"];
const OURS = Symbol.for("concurrent-log"); // marks the listeners of each copy of this file
/** @type {Set<Shipper>} */
const shippers = new Set();
let exitedAt = NaN; // in `ticks`

/**
 * Send at the end what this shipper has.
 *
 * @param {Shipper} shipper
 */
export function watchExit(shipper) {
  if (shippers.size === 0) {
    process.on("beforeExit", onIdle);
    // Before all others, since one that throws is the last that is called.
    process.prependListener("exit", onExit);
    // First, so that it is seen who else listens, also of those who listen once.
    if (isMainThread) for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  }
  shippers.add(shipper);
  if (/** @type {{ _exiting?: boolean }} */ (process)._exiting) onExit(); // Its first record is of such a listener.
}

/** @param {Shipper} shipper */
export function unwatchExit(shipper) {
  shippers.delete(shipper);
  if (shippers.size === 0) {
    process.off("beforeExit", onIdle);
    process.off("exit", onExit);
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

function onIdle() {
  for (const shipper of shippers) shipper.linger();
}

function onExit() {
  if (Number.isNaN(exitedAt)) exitedAt = ticks();
  drainAll(exitedAt);
  for (const shipper of shippers) shipper.drainAlways(exitedAt);
}

/** @param {number} since when the end began: all that is done at the end takes `stopTimeout` together */
function drainAll(since) {
  for (const shipper of shippers) shipper.depart(since);
  for (const shipper of shippers) shipper.drain(since);
}

/** @param {NodeJS.Signals} signal */
function onSignal(signal) {
  if (process.listeners(signal).filter((each) => !(OURS in each)).length > countOfSignalExit()) {
    // The program decides what a signal means, and the exit sends the rest.
    for (const shipper of shippers) shipper.hurry();
    return;
  }
  drainAll(ticks());
  process.off(signal, onSignal);
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
onSignal[OURS] = true;

/**
 * Return how many listeners of a signal are those of the package signal-exit, which many others depend on. They do
 * what `onSignal` does, and only where nobody else listens.
 */
function countOfSignalExit() {
  const before = /** @type {{ __signal_exit_emitter__?: { count?: number } }} */ (process).__signal_exit_emitter__;
  const now = /** @type {Record<symbol, { count?: number }>} */ (globalThis)[Symbol.for("signal-exit emitter")];
  return (before?.count ?? 0) + (now?.count ?? 0);
}
