// The queue of entries in memory, limited by number and by size.

import { Batch } from "./batch.js";
import { now } from "./builtins.js";

/** @typedef {import("./record.js").Entry} Entry */
/** @typedef {import("./losses.js").Losses} Losses */

const FULL = "queue full";
const BROKEN = "could not be rendered";
const MAX_BATCH = 1_048_576; // characters; a larger record is a batch of its own

export class Queue {
  /** @type {(Entry | undefined)[]} */
  #entries = [];
  #first = 0; // index of the oldest entry; those before it are removed
  #unrendered = 0; // index of the oldest entry that is not rendered
  #size = 0;
  #batches = 0;
  #settings;
  #losses;

  /**
   * @param {import("./settings.js").Settings} settings
   * @param {Losses} losses
   */
  constructor(settings, losses) {
    this.#settings = settings;
    this.#losses = losses;
  }

  get length() {
    return this.#entries.length - this.#first;
  }

  /** The approximate size of the queued entries, in characters. */
  get size() {
    return this.#size;
  }

  /** When the oldest entry was logged, in milliseconds since 1970. */
  get oldestTime() {
    return this.#entries[this.#first]?.time ?? now();
  }

  /**
   * Add an entry. If the queue is full, drop the oldest entries.
   *
   * @param {Entry} entry
   */
  put(entry) {
    this.#entries.push(entry);
    this.#size += entry.size;
    while (
      this.length > this.#settings.maxQueueSize ||
      (this.#size > this.#settings.maxQueueBytes && this.length > 1)
    ) {
      this.#shift();
      this.#losses.add(FULL);
    }
  }

  /** Remove the oldest entries, and return them as a batch; null if there is nothing to send or report. */
  take() {
    const records = [];
    for (let size = 0; this.length > 0 && records.length < this.#settings.batchSize && size < MAX_BATCH;) {
      if (this.#unrendered === this.#first) this.render(1);
      const { json } = this.#shift();
      if (json === null) continue;
      records.push(json);
      size += json.length;
    }
    if (records.length === 0 && !this.#losses.hasUnreported) return null;
    this.#batches += 1;
    return new Batch(`${this.#settings.clientId}-${this.#batches}`, records, this.#losses.take());
  }

  /**
   * Render entries that are not rendered yet, the oldest first. Return whether there are more.
   *
   * @param {number} maximum
   */
  render(maximum) {
    const stop = Math.min(this.#unrendered + maximum, this.#entries.length);
    for (; this.#unrendered < stop; this.#unrendered++) {
      const entry = /** @type {Entry} */ (this.#entries[this.#unrendered]);
      this.#size -= entry.size;
      try {
        entry.render();
      } catch {
        this.#losses.add(BROKEN);
      }
      this.#size += entry.size;
    }
    return this.#unrendered < this.#entries.length;
  }

  #shift() {
    const entry = /** @type {Entry} */ (this.#entries[this.#first]);
    this.#entries[this.#first] = undefined;
    this.#first += 1;
    this.#unrendered = Math.max(this.#unrendered, this.#first);
    this.#size -= entry.size;
    if (this.#first >= 1000 && this.#first * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#first);
      this.#unrendered -= this.#first;
      this.#first = 0;
    }
    return entry;
  }
}
