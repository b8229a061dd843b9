// The batches that the server has not acknowledged, and the meaning of each response for them: send again, when; divide;
// drop. This module sends nothing itself.
//
// Sent again, after growing pauses: no response, 408, 429, 5xx, and every status that means a wrong configuration, such
// as 401 or 404, because it can be fixed while the records are queued. So is every answer that is not the collector's, even
// if its status is 200. Divided: 413, 400 and 422. Dropped: 409, because other records are stored under the id.

import { acknowledgement, describe, describeFailure, isRefusal } from "./answer.js";
import { now } from "./builtins.js";
import { shortenedRecord } from "./record.js";

/** @typedef {import("./batch.js").Batch} Batch */
/** @typedef {import("./batch.js").Part} Part */
/** @typedef {import("./transport.js").HttpResponse} HttpResponse */

/**
 * A part of a batch, as one request.
 *
 * @typedef {object} Delivery
 * @property {Batch} batch
 * @property {Part} part
 * @property {string} body
 * @property {boolean} compress
 */

const REFUSED = "refused by the server";
const CONFLICT = "other records are stored under the batch id";
const REJECTED = "rejected by the server";
const TOO_LARGE = "too large for the server";
const DIVIDED = "sent in a divided batch";
const SHORTENED = "sent with shorter texts";

const FIRST_PAUSE = 500; // milliseconds before the second attempt, at most
const MAX_PAUSE = 60_000;
const MAX_RETRY_AFTER = 300_000; // milliseconds; a server that requests more gets this
const REPORT_AFTER = 3; // failed attempts before a warning
const TEXT_LIMITS = [16_384, 2_048, 256]; // characters of each text in a record that is too large for the server
const SMALLEST_LIMIT = 16_384; // characters; something that refuses less as too large is not the collector
const MAX_REFUSED = 10; // records refused one by one, before the rest of their batch is dropped

export class Outbox {
  acknowledged = 0;
  sent = 0;
  lastError = "";
  isHealthy = true;
  /** Whether the server requested the current pause. */
  isServerPause = false;
  /** The batches that are not settled. The first one is sent next. @type {Batch[]} */
  batches = [];
  #failures = 0;
  #refused = 0;
  #isReported = false;
  #mayCompress = true;
  #settings;
  #queue;
  #losses;
  #warn;
  #random;

  /**
   * @param {import("./settings.js").Settings} settings
   * @param {import("./queue.js").Queue} queue
   * @param {import("./losses.js").Losses} losses
   * @param {(line: string) => void} warn
   * @param {() => number} [random]
   */
  constructor(settings, queue, losses, warn, random = Math.random) {
    this.#settings = settings;
    this.#queue = queue;
    this.#losses = losses;
    this.#warn = warn;
    this.#random = random;
  }

  /**
   * Return the next delivery, or null if there is nothing to send.
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
   * Take batches from the queue until there is one at an index. Return whether there is one.
   *
   * @param {number} index
   */
  fill(index) {
    while (this.batches.length <= index && this.#take());
    return this.batches.length > index;
  }

  #take() {
    const batch = this.#queue.take();
    if (batch !== null) this.batches.push(batch);
    return batch !== null;
  }

  /** The number of records in batches that are not settled. */
  get pending() {
    return this.batches.reduce((sum, batch) => sum + batch.pending, 0);
  }

  /** Whether there are losses that the server has not acknowledged. */
  get hasUnreportedDrops() {
    return this.#losses.hasUnreported || this.batches.some(({ drops, parts }) => drops.length > 0 && parts.length > 0);
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
   * Handle the response to a delivery. Return the milliseconds to pause before the next delivery.
   *
   * @param {Delivery} delivery
   * @param {HttpResponse} response
   */
  settle(delivery, response) {
    this.sent += delivery.part.stop - delivery.part.start;
    if (response.status === 415 && delivery.compress) {
      this.#mayCompress = false;
      return 0;
    }
    const isTooLarge = response.status === 413 && (isRefusal(response) || delivery.body.length > SMALLEST_LIMIT);
    if (this.acknowledge(delivery, response)) this.#recover();
    else if (isTooLarge || isRefusal(response)) {
      this.#recover();
      this.#divide(delivery, response);
    } else return this.#pauseAfter(response);
    return 0;
  }

  /**
   * Settle a part of a batch if the response is the collector's, and acknowledges it. Return whether it does.
   *
   * @param {Delivery} delivery
   * @param {HttpResponse} response
   */
  acknowledge({ batch, part }, response) {
    const acknowledged = acknowledgement(response, batch.idOf(part), part.stop - part.start);
    if (acknowledged === null) return false;
    const isDivided = part.stop - part.start < batch.records.length;
    const records = batch.settle(part);
    const rejected = Math.min(acknowledged.rejected, records);
    if (rejected) this.lastError = describe(response);
    this.#losses.add(REJECTED, rejected);
    if (part.shortened) this.#losses.note(SHORTENED, records - rejected);
    else if (isDivided && part.isRefused) this.#losses.note(DIVIDED, records - rejected);
    this.acknowledged += records - rejected;
    this.#refused = -Infinity; // The server accepts some records of this batch.
    return true;
  }

  /** @param {HttpResponse} response */
  #pauseAfter(response) {
    this.#failures += 1;
    this.isHealthy = false;
    this.lastError = describeFailure(response);
    const isMisconfigured = response.status >= 200 && response.status < 500 && ![408, 429].includes(response.status);
    if (!this.#isReported && (this.#failures >= REPORT_AFTER || isMisconfigured)) {
      this.#isReported = true;
      const hint = response.status === 0 ? this.#settings.hint : "";
      this.#warn(`${this.#settings.endpoint} accepts no records, they stay queued: ${this.lastError}${hint}`);
    }
    const longest = Math.min(FIRST_PAUSE * 2 ** (this.#failures - 1), MAX_PAUSE);
    const backoff = this.#random() * longest;
    const requested = Math.min(retryAfter(response.retryAfter, now()), MAX_RETRY_AFTER);
    this.isServerPause = requested > 0;
    return this.isServerPause ? requested + Math.min(backoff, 1000) : backoff;
  }

  #recover() {
    if (this.#isReported) this.#warn(`${this.#settings.endpoint} accepts records again`);
    this.#failures = 0;
    this.#isReported = this.isServerPause = false;
    this.isHealthy = true;
  }

  /**
   * @param {Delivery} delivery
   * @param {HttpResponse} response
   */
  #divide({ batch, part }, response) {
    if (batch.parts[0] !== part) return; // It was divided or settled while the request was in flight.
    if (response.status === 409) this.#drop(batch, part, response, CONFLICT);
    else if (part.stop - part.start > 1) batch.halve();
    else if (response.status !== 413 || !isShortened(batch, part)) this.#refuse(batch, part, response);
  }

  /**
   * @param {Batch} batch
   * @param {Part} part
   * @param {HttpResponse} response
   */
  #refuse(batch, part, response) {
    this.#drop(batch, part, response, response.status === 413 ? TOO_LARGE : REFUSED);
    this.#refused += 1;
    if (this.#refused >= MAX_REFUSED) {
      this.#losses.add(REFUSED, batch.pending);
      for (const each of batch.parts) batch.settle(each);
    }
  }

  /**
   * @param {Batch} batch
   * @param {Part} part
   * @param {HttpResponse} response
   * @param {string} reason
   */
  #drop(batch, part, response, reason) {
    this.lastError = describe(response);
    const { drops } = batch.cut(part);
    const records = batch.settle(part);
    if (records) this.#losses.restore(drops);
    this.#losses.add(reason, records);
  }
}

/**
 * Shorten the texts of a record that is too large for the server. Return whether that made it smaller.
 *
 * @param {Batch} batch
 * @param {Part} part
 */
function isShortened(batch, part) {
  const [before] = batch.cut(part).records;
  const limits = TEXT_LIMITS.filter((each) => !part.shortened || each < part.shortened);
  const limit = before && limits.find((each) => shortenedRecord(before, each).length < before.length);
  if (limit) batch.shorten(limit);
  return Boolean(limit);
}

/**
 * Return the milliseconds of a `Retry-After` header, which is a number of seconds or a date; 0 for anything else.
 *
 * @param {string} header
 * @param {number} since when the header was received
 */
export function retryAfter(header, since) {
  if (!header) return 0;
  const milliseconds = /^\d+(\.\d+)?$/.test(header) ? Number(header) * 1000 : Date.parse(header) - since;
  return milliseconds > 0 ? milliseconds : 0;
}
