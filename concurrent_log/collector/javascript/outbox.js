// What an answer means: what to send again, and when; what to divide, and what to give up. It sends nothing itself.
//
// Sent again, with growing pauses: no answer, 408, 429, 5xx, and whatever says that the client is set up wrongly, such
// as 401 or 404, since that can be put right while the records wait. Divided: 413, 400 and 422. Every 2xx is a success.

import { now } from "./builtins.js";
import { shortenedRecord } from "./record.js";

/** @typedef {import("./batch.js").Batch} Batch */
/** @typedef {import("./batch.js").Part} Part */
/** @typedef {import("./transport.js").Answer} Answer */

/**
 * A part of a batch that is to be sent.
 *
 * @typedef {object} Delivery
 * @property {Batch} batch
 * @property {Part} part
 * @property {string} body
 * @property {boolean} compress
 */

const REFUSED = "refused by the server";
const REJECTED = "rejected by the server";
const TOO_LARGE = "too large for the server";

const FIRST_PAUSE = 500; // milliseconds before the second attempt, at most
const LONGEST_PAUSE = 60_000;
const LONGEST_RETRY_AFTER = 300_000; // for which a server may ask
const TOLD_AFTER = 3; // attempts in vain until that is said
const SHORTER = [16_384, 2_048, 256]; // characters of a text in a record that is too large alone
const HOPELESS = 10; // records refused one by one, after which the rest of a batch is, too

export class Sender {
  acknowledged = 0;
  sent = 0;
  lastError = "";
  isHealthy = true;
  /** Whether the server asked for the pause. */
  isAsked = false;
  /** Those that are not settled; the first one goes next. @type {Batch[]} */
  batches = [];
  #failures = 0;
  #refused = 0;
  #isTold = false;
  #mayCompress = true;
  #settings;
  #queue;
  #losses;
  #tell;
  #random;

  /**
   * @param {import("./settings.js").Settings} settings
   * @param {import("./queue.js").Queue} queue
   * @param {import("./losses.js").Losses} losses
   * @param {(line: string) => void} tell
   * @param {() => number} [random]
   */
  constructor(settings, queue, losses, tell, random = Math.random) {
    this.#settings = settings;
    this.#queue = queue;
    this.#losses = losses;
    this.#tell = tell;
    this.#random = random;
  }

  /**
   * Return what is to be sent now, or null for nothing.
   *
   * @returns {Delivery | null}
   */
  next() {
    while (this.batches.length && this.batches[0].parts.length === 0) {
      this.batches.shift();
      this.#refused = 0;
    }
    if (this.batches.length === 0) this.#take();
    const [batch] = this.batches;
    return batch ? this.deliveryOf(batch, batch.parts[0]) : null;
  }

  /**
   * Return whether there is a batch at an index; what waits is in batches as far as that is asked for.
   *
   * @param {number} index
   */
  has(index) {
    while (this.batches.length <= index && this.#take());
    return this.batches.length > index;
  }

  #take() {
    const batch = this.#queue.take();
    if (batch !== null) this.batches.push(batch);
    return batch !== null;
  }

  /** How many records are in batches, and not settled. */
  get left() {
    return this.batches.reduce((sum, batch) => sum + batch.left, 0);
  }

  /** Whether the server is still to be told of losses. */
  get owesDrops() {
    return this.#losses.areUnreported || this.batches.some(({ drops, parts }) => drops.length > 0 && parts.length > 0);
  }

  /**
   * Return the request for a part of a batch.
   *
   * @param {Batch} batch
   * @param {Part} part
   * @returns {Delivery}
   */
  deliveryOf(batch, part) {
    const { enableCompression, compressFrom, envelope } = this.#settings;
    const compress = enableCompression && this.#mayCompress && part.stop - part.start >= compressFrom;
    return { batch, part, body: batch.body(part, envelope), compress };
  }

  /**
   * Take the answer to a delivery, and return for how many milliseconds to wait before the next one.
   *
   * @param {Delivery} delivery
   * @param {Answer} answer
   */
  settle(delivery, answer) {
    this.sent += delivery.part.stop - delivery.part.start;
    if (answer.status === 415 && delivery.compress) {
      this.#mayCompress = false;
      return 0;
    }
    if (isTransient(answer)) return this.#pauseAfter(answer);
    this.#recover();
    if (isSuccess(answer)) this.acknowledge(delivery, answer);
    else this.#divide(delivery, answer);
    return 0;
  }

  /**
   * Note that the server has a part of a batch.
   *
   * @param {Delivery} delivery
   * @param {Answer} answer
   */
  acknowledge({ batch, part }, answer) {
    const records = batch.settle(part);
    const rejected = Math.min(rejectedIn(answer.reason), records);
    if (rejected) this.lastError = told(answer);
    this.#losses.add(REJECTED, rejected);
    this.acknowledged += records - rejected;
    this.#refused = -Infinity; // The server takes some of them.
  }

  /** @param {Answer} answer */
  #pauseAfter(answer) {
    this.#failures += 1;
    this.isHealthy = false;
    this.lastError = told(answer);
    const isSetUpWrongly = answer.status >= 300 && answer.status < 500 && ![408, 429].includes(answer.status);
    if (!this.#isTold && (this.#failures >= TOLD_AFTER || isSetUpWrongly)) {
      this.#isTold = true;
      const hint = answer.status === 0 ? this.#settings.hint : "";
      this.#tell(`${this.#settings.endpoint} does not take records, which wait: ${this.lastError}${hint}`);
    }
    const longest = Math.min(FIRST_PAUSE * 2 ** (this.#failures - 1), LONGEST_PAUSE);
    const backoff = this.#random() * longest;
    const asked = Math.min(retryAfter(answer.retryAfter, now()), LONGEST_RETRY_AFTER);
    this.isAsked = asked > 0;
    return this.isAsked ? asked + Math.min(backoff, 1000) : backoff;
  }

  #recover() {
    if (this.#isTold) this.#tell(`${this.#settings.endpoint} answers again`);
    this.#failures = 0;
    this.#isTold = this.isAsked = false;
    this.isHealthy = true;
  }

  /**
   * @param {Delivery} delivery
   * @param {Answer} answer
   */
  #divide({ batch, part }, answer) {
    if (batch.parts[0] !== part) return; // It was divided or settled meanwhile.
    if (part.stop - part.start > 1) batch.halve();
    else if (answer.status !== 413 || !isShortened(batch, part)) this.#giveUp(batch, part, answer);
  }

  /**
   * @param {Batch} batch
   * @param {Part} part
   * @param {Answer} answer
   */
  #giveUp(batch, part, answer) {
    this.lastError = told(answer);
    const { drops } = batch.cut(part);
    const records = batch.settle(part);
    if (records) this.#losses.giveBack(drops);
    this.#losses.add(answer.status === 413 ? TOO_LARGE : REFUSED, records);
    this.#refused += 1;
    if (this.#refused >= HOPELESS) {
      this.#losses.add(REFUSED, batch.left);
      for (const each of batch.parts) batch.settle(each);
    }
  }
}

/**
 * Return whether a record that is too large alone has shorter texts now.
 *
 * @param {Batch} batch
 * @param {Part} part
 */
function isShortened(batch, part) {
  const [before] = batch.cut(part).records;
  const shorter = SHORTER.filter((each) => !part.shortened || each < part.shortened);
  const longest = before && shorter.find((each) => shortenedRecord(before, each).length < before.length);
  if (longest) batch.shorten(longest);
  return Boolean(longest);
}

/** @param {Answer} answer */
function isSuccess({ status }) {
  return status >= 200 && status < 300;
}

/** @param {Answer} answer */
function isTransient(answer) {
  return !isSuccess(answer) && ![400, 413, 422].includes(answer.status);
}

/**
 * Return for how many milliseconds a server asks: a number of seconds, or a date; 0 for anything else.
 *
 * @param {string} header
 * @param {number} since when it was said
 */
export function retryAfter(header, since) {
  if (!header) return 0;
  const milliseconds = /^\d+(\.\d+)?$/.test(header) ? Number(header) * 1000 : Date.parse(header) - since;
  return milliseconds > 0 ? milliseconds : 0;
}

/** @param {string} text */
function rejectedIn(text) {
  try {
    const { rejected } = JSON.parse(text);
    return Array.isArray(rejected) ? rejected.length : 0;
  } catch {
    return 0; // Another server than ours.
  }
}

/** @param {Answer} answer */
function told({ status, reason }) {
  return `${status || ""} ${reason.replace(/\s+/g, " ").slice(0, 300)}`.trim();
}
