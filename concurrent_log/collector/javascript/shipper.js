// Decides when records are sent: at intervals, when a batch is full, on request, and when the process ends.

import { Losses } from "./losses.js";
import { clearTimeout, now, setTimeout, monotonic } from "./builtins.js";
import { Queue } from "./queue.js";
import { Outbox } from "./outbox.js";

/** @typedef {import("./transport.js").HttpResponse} HttpResponse */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./outbox.js").Delivery} Delivery */
/** @typedef {import("./settings.js").Settings} Settings */

/**
 * What differs between Node and browsers.
 *
 * @typedef {object} Platform
 * @property {(onResponse: (response: HttpResponse) => void) => Transport} transport
 * @property {(line: string) => void} warn
 * @property {(shipper: Shipper) => void} start called before the first record, to watch for the end of the program
 * @property {(shipper: Shipper) => void} stop
 * @property {() => void} [onSettled] called when the server may have acknowledged records
 */

/**
 * The state of a client's records.
 *
 * @typedef {object} Stats
 * @property {number} queued records that are queued or in flight
 * @property {number} bytes approximate size of the queued records
 * @property {number} sent records sent, counting each attempt
 * @property {number} acknowledged records that the server has acknowledged
 * @property {Record<string, number>} dropped lost records, by reason
 * @property {Record<string, number>} changed records that the server has stored with shorter texts, or from a batch that
 *   it made the client divide, by reason
 * @property {string} lastError the last error, or an empty string
 * @property {boolean} healthy whether the last attempt succeeded; true before the first one
 */

const RENDER_DELAY = 10; // milliseconds
const RENDER_CHUNK = 1000; // records
const LAST_PAUSE = 100; // milliseconds between two attempts while the process ends
const MAX_LAST_FAILURES = 4; // in a row, while the process ends
const MAX_TIMER = 2_147_483_647; // milliseconds; the maximum of setTimeout

export class Shipper {
  /** @type {Delivery | null} */
  #inFlight = null;
  /** @type {Transport | null} */
  #transport = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isPaused = false;
  #isRendering = false;
  #isInternal = false;
  /** The number of records when the event loop last became empty. */
  #countWhenIdle = -1;
  /** When the process began to exit, on the clock of `monotonic`. @type {number | null} */
  #exitedAt = null;
  /** Called whenever records may have been settled. @type {Set<() => void>} */
  #waiters = new Set();
  #platform;

  /**
   * @param {Settings} settings
   * @param {Platform} platform
   */
  constructor(settings, platform) {
    const warn = this.warn.bind(this);
    this.settings = settings;
    this.#platform = platform;
    /** The number of records so far. */
    this.count = 0;
    this.losses = new Losses(warn);
    this.queue = new Queue(settings, this.losses);
    this.outbox = new Outbox(settings, this.queue, this.losses, warn);
  }

  /** The number of records that are not settled: neither acknowledged nor counted as lost. */
  get pending() {
    return this.queue.length + this.outbox.pending;
  }

  /**
   * Queue an entry.
   *
   * @param {import("./record.js").Entry} entry
   */
  put(entry) {
    if (this.#isInternal) return; // The program has hooked a function that the client itself calls, and logs the call.
    this.count += 1;
    this.queue.put(entry);
    if (this.#transport === null) this.start();
    if (this.#exitedAt !== null) {
      this.drain(this.#exitedAt);
      return;
    }
    if (!this.#isRendering) this.#renderSoon();
    if (this.#timer === undefined && this.#inFlight === null) this.#schedule(this.settings.flushInterval);
    // Not in this call: a logging call must not take the time that rendering a batch takes.
    if (this.queue.length === this.settings.batchSize && this.#inFlight === null && !this.#isPaused) this.#schedule(0);
  }

  /**
   * Send batches that an earlier page could not send.
   *
   * @param {import("./batch.js").Batch[]} batches
   */
  resume(batches) {
    if (batches.length === 0) return;
    this.outbox.batches.push(...batches);
    this.start();
    this.#schedule(0);
  }

  /** Create the transport if there is none, and watch for the end of the program. */
  start() {
    this.#transport ??= this.#platform.transport((response) => this.#onResponse(response));
    this.#platform.start(this);
  }

  /**
   * Wait until all earlier records are settled. Return whether they are, and none was lost meanwhile.
   *
   * @param {number} milliseconds
   * @returns {Promise<boolean>}
   */
  flush(milliseconds) {
    const countBefore = this.count;
    const lost = this.losses.count;
    const isSettled = () => this.count - this.pending >= countBefore && !this.outbox.hasUnreportedDrops;
    if (isSettled()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiters.delete(check);
        resolve(isSettled() && this.losses.count === lost);
      };
      const check = () => isSettled() && end();
      const timer = setTimeout(end, Math.min(milliseconds, MAX_TIMER)); // Keeps the process alive meanwhile.
      this.#waiters.add(check);
      this.start();
      this.sendNow();
    });
  }

  /**
   * Send the pending records, and stop the transport. A later record starts it again.
   *
   * @param {number} milliseconds
   * @returns {Promise<boolean>}
   */
  async close(milliseconds) {
    const countBefore = this.count;
    const isDone = await this.flush(milliseconds);
    if (this.count > countBefore) return isDone; // A record that was logged meanwhile needs the transport.
    this.#cancelTimer();
    this.#transport?.end();
    this.#transport = this.#inFlight = null;
    this.#platform.stop(this);
    this.#reportUnsent();
    return isDone;
  }

  /** Keep a process alive whose event loop is empty, if the transport can send only with the event loop. */
  delayExit() {
    if (this.#transport?.wait || this.pending === 0 || this.count === this.#countWhenIdle) return;
    this.#countWhenIdle = this.count;
    void this.flush(this.settings.stopTimeout);
  }

  /**
   * Send the next delivery without waiting for the response, because the process ends.
   *
   * @param {number} since when the process began to end, on the clock of `monotonic`
   */
  startLastRequest(since) {
    this.#cancelTimer();
    this.#inFlight ??= this.#send(since + this.settings.stopTimeout - monotonic());
  }

  /**
   * Send the pending records without the event loop, because the process ends.
   *
   * @param {number} since when the process began to end, on the clock of `monotonic`
   */
  drain(since) {
    this.#cancelTimer();
    if (this.#transport?.wait) this.#drainWith(this.#transport.wait, since + this.settings.stopTimeout);
    this.#reportUnsent();
  }

  /**
   * From now on, send each record within its logging call, because other exit listeners may log.
   *
   * @param {number} since when the process began to end, on the clock of `monotonic`
   */
  drainNewRecords(since) {
    this.#exitedAt = since;
  }

  /**
   * @param {(milliseconds: number) => HttpResponse | undefined} wait
   * @param {number} deadline
   */
  #drainWith(wait, deadline) {
    for (let failures = 0; failures < MAX_LAST_FAILURES;) {
      this.#inFlight ??= this.#send(deadline - monotonic());
      const response = this.#inFlight && wait(deadline - monotonic());
      if (!this.#inFlight || !response) return;
      const pause = this.outbox.settle(this.#inFlight, response);
      this.#inFlight = null;
      failures = pause ? failures + 1 : 0;
      if (pause) wait(Math.min(LAST_PAUSE, deadline - monotonic()));
    }
  }

  #reportUnsent() {
    const why = this.outbox.lastError && ` (${this.outbox.lastError})`;
    if (this.pending) this.warn(`${this.pending} records could not be sent in time${why}`);
    this.losses.warn();
  }

  /** Send the pending records now, unless the server requested a pause. */
  sendNow() {
    if (this.#inFlight === null && !(this.#isPaused && this.outbox.isServerPause)) this.#schedule(0);
  }

  /**
   * Return the records that are not acknowledged, the oldest first.
   *
   * @param {number} maxPart maximum characters of each delivery
   * @param {number} maxTotal approximate maximum characters of all deliveries together
   * @returns {Delivery[]}
   */
  pendingDeliveries(maxPart, maxTotal) {
    const deliveries = [];
    for (let index = 0, left = maxTotal; left > 0 && this.outbox.fill(index); index++) {
      const batch = this.outbox.batches[index];
      batch.divide(maxPart);
      for (const part of batch.parts) {
        deliveries.push(this.outbox.deliveryOf(batch, part));
        left -= deliveries[deliveries.length - 1].body.length;
      }
    }
    return deliveries;
  }

  /**
   * Record that the server has acknowledged a delivery that was sent without the transport.
   *
   * @param {Delivery} delivery
   * @param {HttpResponse} response
   */
  acknowledge(delivery, response) {
    this.outbox.acknowledge(delivery, response);
    this.#notifyWaiters();
  }

  /**
   * Write a warning to stderr or the console.
   *
   * @param {string} line
   */
  warn(line) {
    try {
      this.withoutLogging(() => this.#platform.warn(`concurrent-log: ${line}`));
    } catch {
      // There is no stderr or console.
    }
  }

  /**
   * Call a function, and ignore what is logged meanwhile. Otherwise a hooked `fetch` or `console` would log without end.
   *
   * @template Result
   * @param {() => Result} action
   * @returns {Result}
   */
  withoutLogging(action) {
    this.#isInternal = true;
    try {
      return action();
    } finally {
      this.#isInternal = false;
    }
  }

  /** @returns {Stats} */
  stats() {
    const { outbox, queue, losses } = this;
    return {
      queued: this.pending,
      bytes: queue.size,
      sent: outbox.sent,
      acknowledged: outbox.acknowledged,
      dropped: losses.totals,
      changed: losses.changed,
      lastError: outbox.lastError,
      healthy: outbox.isHealthy,
    };
  }

  /** Render queued entries, even if they cannot be sent: an entry uses more memory before that. */
  #renderSoon() {
    this.#isRendering = true;
    unrefTimer(() => {
      this.#isRendering = false;
      if (this.queue.render(RENDER_CHUNK)) this.#renderSoon();
    }, RENDER_DELAY);
  }

  /** @param {number} milliseconds */
  #schedule(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = unrefTimer(() => this.#onTimer(), milliseconds);
  }

  #cancelTimer() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isPaused = false;
  }

  #onTimer() {
    this.#cancelTimer();
    this.#inFlight ??= this.#send();
  }

  /**
   * Send the next delivery, and return it.
   *
   * @param {number} [longest] maximum milliseconds, besides the timeout
   */
  #send(longest = Infinity) {
    const delivery = this.outbox.next();
    if (delivery === null) return null;
    const { endpoint: url, headers, timeout } = this.settings;
    const { body, compress } = delivery;
    const milliseconds = Math.max(1, Math.ceil(Math.min(timeout, longest)));
    this.withoutLogging(() => this.#transport?.post({ url, headers, body, compress, timeout: milliseconds }));
    return delivery;
  }

  /** @param {HttpResponse} response */
  #onResponse(response) {
    const delivery = this.#inFlight;
    if (delivery === null) return;
    this.#inFlight = null;
    const pause = this.outbox.settle(delivery, response);
    this.#notifyWaiters();
    if (pause) {
      this.#schedule(pause);
      this.#isPaused = true;
    } else if (this.outbox.pending || this.#waiters.size || this.queue.length >= this.settings.batchSize) {
      this.#schedule(0);
    } else if (this.queue.length) {
      const waited = Math.max(0, now() - this.queue.oldestTime); // The clock may have been set back.
      this.#schedule(Math.max(0, this.settings.flushInterval - waited));
    }
  }

  #notifyWaiters() {
    this.#platform.onSettled?.();
    for (const check of [...this.#waiters]) check();
  }
}

/**
 * Start a timer that does not keep the process alive.
 *
 * @param {() => void} callback
 * @param {number} milliseconds
 */
function unrefTimer(callback, milliseconds) {
  const timer = setTimeout(callback, milliseconds);
  /** @type {{ unref?: () => void }} */ (/** @type {unknown} */ (timer)).unref?.();
  return timer;
}
