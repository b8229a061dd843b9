// Sees to it that the server gets what is logged: when a batch leaves, and what happens at the end.

import { Losses } from "./losses.js";
import { clearTimeout, now, setTimeout, ticks } from "./builtins.js";
import { Queue } from "./queue.js";
import { Sender } from "./outbox.js";

/** @typedef {import("./transport.js").Answer} Answer */
/** @typedef {import("./transport.js").Courier} Courier */
/** @typedef {import("./outbox.js").Delivery} Delivery */
/** @typedef {import("./settings.js").Settings} Settings */

/**
 * What differs between Node and a browser.
 *
 * @typedef {object} Surroundings
 * @property {(onAnswer: (answer: Answer) => void) => Courier} courier
 * @property {(line: string) => void} tell
 * @property {(shipper: Shipper) => void} begin called before the first record: what watches for the end may begin
 * @property {(shipper: Shipper) => void} end
 * @property {() => void} [settled] called when the server may have more than before
 */

/**
 * What became of the records of a client.
 *
 * @typedef {object} Stats
 * @property {number} queued how many wait, or are on their way
 * @property {number} bytes about how many bytes those that wait take
 * @property {number} sent how many were sent, however often each
 * @property {number} acknowledged how many the server has
 * @property {Record<string, number>} dropped how many were lost, by reason
 * @property {string} lastError what went wrong last; empty for nothing
 * @property {boolean} healthy whether the last attempt was a success, or there was none
 */

const RENDERED_AFTER = 10; // milliseconds
const RENDERED_AT_ONCE = 1000; // records
const LAST_PAUSE = 100; // milliseconds between two attempts at the end
const LAST_ATTEMPTS = 4; // in vain, one after the other
const LONGEST = 2_147_483_647; // milliseconds that a timer knows

export class Shipper {
  /** @type {Delivery | null} */
  #onItsWay = null;
  /** @type {Courier | null} */
  #courier = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #isPaused = false;
  #isRendering = false;
  #isOurs = false;
  /** How many records there were when the process was about to end by itself. */
  #countWhenIdle = -1;
  /** When the process began to exit, in `ticks`. @type {number | null} */
  #exitedAt = null;
  /** What is to be called when something is settled. @type {Set<() => void>} */
  #waiting = new Set();
  #around;

  /**
   * @param {Settings} settings
   * @param {Surroundings} around
   */
  constructor(settings, around) {
    const tell = this.tell.bind(this);
    this.settings = settings;
    this.#around = around;
    /** How many records there were. */
    this.count = 0;
    this.losses = new Losses(tell);
    this.queue = new Queue(settings, this.losses);
    this.sender = new Sender(settings, this.queue, this.losses, tell);
  }

  /** How many records are not settled. */
  get left() {
    return this.queue.length + this.sender.left;
  }

  /**
   * Let an entry be sent.
   *
   * @param {import("./record.js").Entry} entry
   */
  put(entry) {
    if (this.#isOurs) return; // Somebody hands on to us what we do ourselves.
    this.count += 1;
    this.queue.put(entry);
    if (this.#courier === null) this.begin();
    if (this.#exitedAt !== null) {
      this.drain(this.#exitedAt);
      return;
    }
    if (!this.#isRendering) this.#renderSoon();
    if (this.#timer === undefined && this.#onItsWay === null) this.#sleep(this.settings.flushInterval);
    // Never at once: the caller is not to wait for what a batch takes.
    if (this.queue.length === this.settings.batchSize && this.#onItsWay === null && !this.#isPaused) this.#sleep(0);
  }

  /**
   * Send what somebody before us could not send.
   *
   * @param {import("./batch.js").Batch[]} batches
   */
  resume(batches) {
    if (batches.length === 0) return;
    this.sender.batches.push(...batches);
    this.begin();
    this.#sleep(0);
  }

  /** Let there be a courier; what watches for the end begins, too. */
  begin() {
    this.#courier ??= this.#around.courier((answer) => this.#answered(answer));
    this.#around.begin(this);
  }

  /**
   * Wait until the server has all that was put before, and return whether it has; false also where something was lost.
   *
   * @param {number} milliseconds
   * @returns {Promise<boolean>}
   */
  flush(milliseconds) {
    const mark = this.count;
    const lost = this.losses.count;
    const isSettled = () => this.count - this.left >= mark && !this.sender.owesDrops;
    if (isSettled()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const end = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve(isSettled() && this.losses.count === lost);
      };
      const look = () => isSettled() && end();
      const timer = setTimeout(end, Math.min(milliseconds, LONGEST)); // It keeps the process alive meanwhile.
      this.#waiting.add(look);
      this.begin();
      this.hurry();
    });
  }

  /**
   * Send what waits, and end what was begun; what is logged later begins anew.
   *
   * @param {number} milliseconds
   * @returns {Promise<boolean>}
   */
  async close(milliseconds) {
    const mark = this.count;
    const isDone = await this.flush(milliseconds);
    if (this.count > mark) return isDone; // It has begun anew.
    this.#rest();
    this.#courier?.end();
    this.#courier = this.#onItsWay = null;
    this.#around.end(this);
    this.#sayGoodbye();
    return isDone;
  }

  /** Go on for a while where the process is about to end by itself, and nothing can be sent without the event loop. */
  linger() {
    if (this.#courier?.wait || this.left === 0 || this.count === this.#countWhenIdle) return;
    this.#countWhenIdle = this.count;
    void this.flush(this.settings.stopTimeout);
  }

  /**
   * Let what is next be on its way, since the process ends.
   *
   * @param {number} since when that began, in `ticks`
   */
  depart(since) {
    this.#rest();
    this.#onItsWay ??= this.#send(since + this.settings.stopTimeout - ticks());
  }

  /**
   * Send what waits without the event loop, since the process ends.
   *
   * @param {number} since when that began, in `ticks`
   */
  drain(since) {
    this.#rest();
    if (this.#courier?.wait) this.#drainBy(this.#courier.wait, since + this.settings.stopTimeout);
    this.#sayGoodbye();
  }

  /**
   * Send without the event loop each record that is still to come, such as those of other listeners.
   *
   * @param {number} since when the process began to end, in `ticks`
   */
  drainAlways(since) {
    this.#exitedAt = since;
  }

  /**
   * @param {(milliseconds: number) => Answer | undefined} wait
   * @param {number} deadline
   */
  #drainBy(wait, deadline) {
    for (let failures = 0; failures < LAST_ATTEMPTS;) {
      this.#onItsWay ??= this.#send(deadline - ticks());
      const answer = this.#onItsWay && wait(deadline - ticks());
      if (!this.#onItsWay || !answer) return;
      const pause = this.sender.settle(this.#onItsWay, answer);
      this.#onItsWay = null;
      failures = pause ? failures + 1 : 0;
      if (pause) wait(Math.min(LAST_PAUSE, deadline - ticks()));
    }
  }

  #sayGoodbye() {
    const why = this.sender.lastError && ` (${this.sender.lastError})`;
    if (this.left) this.tell(`${this.left} records could not be sent in time${why}`);
    this.losses.tell();
  }

  /** Send now what waits, unless the server asked for a pause. */
  hurry() {
    if (this.#onItsWay === null && !(this.#isPaused && this.sender.isAsked)) this.#sleep(0);
  }

  /**
   * Return what is not acknowledged, the oldest first, in parts of so many characters at most.
   *
   * @param {number} most
   * @param {number} altogether about how many characters are enough
   * @returns {Delivery[]}
   */
  unsettled(most, altogether) {
    const deliveries = [];
    for (let index = 0, left = altogether; left > 0 && this.sender.has(index); index++) {
      const batch = this.sender.batches[index];
      batch.divide(most);
      for (const part of batch.parts) {
        deliveries.push(this.sender.deliveryOf(batch, part));
        left -= deliveries[deliveries.length - 1].body.length;
      }
    }
    return deliveries;
  }

  /**
   * Note that the server has what was sent another way.
   *
   * @param {Delivery} delivery
   * @param {Answer} answer
   */
  acknowledge(delivery, answer) {
    this.sender.acknowledge(delivery, answer);
    this.#look();
  }

  /**
   * Say something to whoever runs the program.
   *
   * @param {string} line
   */
  tell(line) {
    try {
      this.unlogged(() => this.#around.tell(`concurrent-log: ${line}`));
    } catch {
      // There is nobody to tell.
    }
  }

  /**
   * Do something of which nothing is logged here, lest we log for ever that we log.
   *
   * @template Result
   * @param {() => Result} action
   * @returns {Result}
   */
  unlogged(action) {
    this.#isOurs = true;
    try {
      return action();
    } finally {
      this.#isOurs = false;
    }
  }

  /** @returns {Stats} */
  stats() {
    const { sender, queue, losses } = this;
    return {
      queued: this.left,
      bytes: queue.size,
      sent: sender.sent,
      acknowledged: sender.acknowledged,
      dropped: losses.totals,
      lastError: sender.lastError,
      healthy: sender.isHealthy,
    };
  }

  /** Render what waits, also where it cannot be sent: until then, it keeps in memory more than it will take. */
  #renderSoon() {
    this.#isRendering = true;
    later(() => {
      this.#isRendering = false;
      if (this.queue.render(RENDERED_AT_ONCE)) this.#renderSoon();
    }, RENDERED_AFTER);
  }

  /** @param {number} milliseconds */
  #sleep(milliseconds) {
    clearTimeout(this.#timer);
    this.#timer = later(() => this.#wake(), milliseconds);
  }

  #rest() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#isPaused = false;
  }

  #wake() {
    this.#rest();
    this.#onItsWay ??= this.#send();
  }

  /**
   * Send what is next, and return it.
   *
   * @param {number} [longest] milliseconds that it may take
   */
  #send(longest = Infinity) {
    const delivery = this.sender.next();
    if (delivery === null) return null;
    const { endpoint: url, headers, timeout } = this.settings;
    const { body, compress } = delivery;
    const milliseconds = Math.max(1, Math.ceil(Math.min(timeout, longest)));
    this.unlogged(() => this.#courier?.post({ url, headers, body, compress, timeout: milliseconds }));
    return delivery;
  }

  /** @param {Answer} answer */
  #answered(answer) {
    const delivery = this.#onItsWay;
    if (delivery === null) return;
    this.#onItsWay = null;
    const pause = this.sender.settle(delivery, answer);
    this.#look();
    if (pause) {
      this.#sleep(pause);
      this.#isPaused = true;
    } else if (this.sender.left || this.#waiting.size || this.queue.length >= this.settings.batchSize) {
      this.#sleep(0);
    } else if (this.queue.length) {
      const waited = Math.max(0, now() - this.queue.since); // The clock may have been set back.
      this.#sleep(Math.max(0, this.settings.flushInterval - waited));
    }
  }

  #look() {
    this.#around.settled?.();
    for (const look of [...this.#waiting]) look();
  }
}

/**
 * Set a timer that keeps no process alive.
 *
 * @param {() => void} call
 * @param {number} milliseconds
 */
function later(call, milliseconds) {
  const timer = setTimeout(call, milliseconds);
  /** @type {{ unref?: () => void }} */ (/** @type {unknown} */ (timer)).unref?.();
  return timer;
}
