// Where entries wait in memory, within limits.

import { Batch } from "./batch.js";

/** @typedef {import("./record.js").Entry} Entry */
/** @typedef {import("./losses.js").Losses} Losses */

export const FULL = "queue full";
const BROKEN = "could not be rendered";
const LARGEST_BATCH = 1_048_576; // characters, unless it is one record

export class Queue {
  /** @type {(Entry | undefined)[]} */
  #entries = [];
  #first = 0; // index of the oldest; those before are gone
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

  /** About how many characters wait. */
  get size() {
    return this.#size;
  }

  /** When the oldest was logged, in milliseconds since 1970. */
  get since() {
    return this.#entries[this.#first]?.time ?? Date.now();
  }

  /**
   * Let an entry wait; the oldest ones go where there is no room.
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

  /** Return the next batch, of those that wait longest; null where there is nothing to tell the server. */
  take() {
    const records = [];
    for (let size = 0; this.length > 0 && records.length < this.#settings.batchSize && size < LARGEST_BATCH;) {
      const record = this.#rendered(this.#shift());
      if (record !== null) records.push(record);
      size += record?.length ?? 0;
    }
    if (records.length === 0 && !this.#losses.areUnreported) return null;
    this.#batches += 1;
    return new Batch(`${this.#settings.clientId}-${this.#batches}`, records, this.#losses.take());
  }

  #shift() {
    const entry = /** @type {Entry} */ (this.#entries[this.#first]);
    this.#entries[this.#first] = undefined;
    this.#first += 1;
    this.#size -= entry.size;
    if (this.#first >= 1000 && this.#first * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#first);
      this.#first = 0;
    }
    return entry;
  }

  /** @param {Entry} entry */
  #rendered(entry) {
    try {
      return entry.json();
    } catch {
      this.#losses.add(BROKEN);
      return null;
    }
  }
}
