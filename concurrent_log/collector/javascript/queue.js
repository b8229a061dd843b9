// Where entries wait in memory, within limits.

import { Batch } from "./batch.js";
import { now } from "./builtins.js";

/** @typedef {import("./record.js").Entry} Entry */
/** @typedef {import("./losses.js").Losses} Losses */

const FULL = "queue full";
const BROKEN = "could not be rendered";
const LARGEST_BATCH = 1_048_576; // characters, unless it is one record

export class Queue {
  /** @type {(Entry | undefined)[]} */
  #entries = [];
  #first = 0; // index of the oldest; those before are gone
  #fresh = 0; // index of the oldest that is not rendered
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
    return this.#entries[this.#first]?.time ?? now();
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
      if (this.#fresh === this.#first) this.render(1);
      const { json } = this.#shift();
      if (json === null) continue;
      records.push(json);
      size += json.length;
    }
    if (records.length === 0 && !this.#losses.areUnreported) return null;
    this.#batches += 1;
    return new Batch(`${this.#settings.clientId}-${this.#batches}`, records, this.#losses.take());
  }

  /**
   * Make so many of those JSON that are not, the oldest first, and return whether there are more.
   *
   * @param {number} most
   */
  render(most) {
    const stop = Math.min(this.#fresh + most, this.#entries.length);
    for (; this.#fresh < stop; this.#fresh++) {
      const entry = /** @type {Entry} */ (this.#entries[this.#fresh]);
      this.#size -= entry.size;
      try {
        entry.render();
      } catch {
        this.#losses.add(BROKEN);
      }
      this.#size += entry.size;
    }
    return this.#fresh < this.#entries.length;
  }

  #shift() {
    const entry = /** @type {Entry} */ (this.#entries[this.#first]);
    this.#entries[this.#first] = undefined;
    this.#first += 1;
    this.#fresh = Math.max(this.#fresh, this.#first);
    this.#size -= entry.size;
    if (this.#first >= 1000 && this.#first * 2 >= this.#entries.length) {
      this.#entries.splice(0, this.#first);
      this.#fresh -= this.#first;
      this.#first = 0;
    }
    return entry;
  }
}
