// Sending pending records when a Node process ends, without changing how it ends.

import { isMainThread } from "node:worker_threads";

import { monotonic } from "./builtins.js";

/** @typedef {import("./shipper.js").Shipper} Shipper */

/** @type {NodeJS.Signals[]} */
const SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP"];
const MARK = Symbol.for("concurrent-log"); // marks the listeners of every loaded copy of this module
/** @type {Set<Shipper>} */
const shippers = new Set();
let exitedAt = NaN; // on the clock of `monotonic`

/**
 * Send the pending records of this shipper when the process ends.
 *
 * @param {Shipper} shipper
 */
export function watchExit(shipper) {
  if (shippers.size === 0) {
    process.on("beforeExit", onIdle);
    // Before all other listeners: after one that throws, no further listener is called.
    process.prependListener("exit", onExit);
    // First, to see all other listeners, including those registered by `once`, which are removed when they are called.
    if (isMainThread) for (const signal of SIGNALS) process.prependListener(signal, onSignal);
  }
  shippers.add(shipper);
  // The first record was logged by an exit listener: Node no longer calls listeners that are added now.
  if (/** @type {{ _exiting?: boolean }} */ (process)._exiting) onExit();
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
  for (const shipper of shippers) shipper.delayExit();
}

function onExit() {
  if (Number.isNaN(exitedAt)) exitedAt = monotonic();
  drainAll(exitedAt);
  for (const shipper of shippers) shipper.drainNewRecords(exitedAt);
}

/** @param {number} since when the process began to end; `stopTimeout` bounds the time from then on, in all calls together */
function drainAll(since) {
  for (const shipper of shippers) shipper.startLastRequest(since);
  for (const shipper of shippers) shipper.drain(since);
}

/** @param {NodeJS.Signals} signal */
function onSignal(signal) {
  if (process.listeners(signal).filter((each) => !(MARK in each)).length > countOfSignalExit()) {
    // The program handles this signal. If it exits, the exit listener sends the rest.
    for (const shipper of shippers) shipper.sendNow();
    return;
  }
  drainAll(monotonic());
  process.off(signal, onSignal);
  if (process.listenerCount(signal) === 0) process.kill(process.pid, signal);
}
onSignal[MARK] = true;

/**
 * Return how many listeners of a signal belong to the package signal-exit, which many packages depend on. Like
 * `onSignal`, its listeners end the process only if the program has no listener of its own.
 */
function countOfSignalExit() {
  const before = /** @type {{ __signal_exit_emitter__?: { count?: number } }} */ (process).__signal_exit_emitter__;
  const now = /** @type {Record<symbol, { count?: number }>} */ (globalThis)[Symbol.for("signal-exit emitter")];
  return (before?.count ?? 0) + (now?.count ?? 0);
}
