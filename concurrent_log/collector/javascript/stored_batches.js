// Batches in localStorage, which a page stores for the next page of its site until the server has acknowledged them.
// If both pages send a batch, it has the same id, and the server stores it once.

import { Batch } from "./batch.js";
import { toJson } from "./builtins.js";

/** @typedef {import("./batch.js").Part} Part */
/** @typedef {import("./outbox.js").Delivery} Delivery */

const PREFIX = "concurrent-log";
const MAX_TOTAL = 1_000_000; // characters, of all pages of the site together
const MAX_AGE = 12 * 86_400_000; // milliseconds; the server remembers batch ids for two weeks

export class StoredBatches {
  /** Stored and not settled, by key. @type {Map<string, { batch: Batch, part: Part }>} */
  #stored = new Map();
  #prefix;

  /** @param {string} endpoint */
  constructor(endpoint) {
    this.#prefix = `${PREFIX} ${endpoint} `;
  }

  /**
   * Store the deliveries that are not stored yet, while there is room.
   *
   * @param {Delivery[]} deliveries
   */
  store(deliveries) {
    try {
      let room = MAX_TOTAL - totalSize();
      for (const { batch, part } of deliveries) {
        const key = this.#prefix + batch.idOf(part);
        if (this.#stored.has(key)) continue;
        const text = toJson({ ...batch.cut(part), keptAt: Date.now() });
        room -= text.length;
        if (room < 0) return;
        localStorage.setItem(key, text);
        this.#stored.set(key, { batch, part });
      }
    } catch {
      // The storage is full, or the browser denies access to it.
    }
  }

  /** Remove the batches that are settled. */
  removeSettled() {
    for (const [key, { batch, part }] of this.#stored) {
      if (batch.parts.some(({ start, stop }) => start >= part.start && stop <= part.stop)) continue;
      this.#stored.delete(key);
      remove(key);
    }
  }

  /**
   * Return the batches that earlier pages, or other open pages, have stored.
   *
   * @param {(records: number) => void} onExpired called with the number of records that are too old to be sent
   * @returns {Batch[]}
   */
  restore(onExpired) {
    return storageKeys()
      .filter((key) => key.startsWith(this.#prefix))
      .flatMap((key) => this.#restoreOne(key, onExpired));
  }

  /**
   * @param {string} key
   * @param {(records: number) => void} onExpired
   */
  #restoreOne(key, onExpired) {
    try {
      const { id, records, drops, partOf, keptAt } = JSON.parse(localStorage.getItem(key) ?? "");
      if (this.#prefix + id !== key || !areStrings(records) || !areStrings(partOf) || !Array.isArray(drops))
        throw new TypeError("not stored by this client");
      if (!(Date.now() - keptAt < MAX_AGE)) {
        onExpired(records.length);
        throw new RangeError("the server may have forgotten whether it has stored this batch");
      }
      const batch = new Batch(id, records, drops, partOf);
      this.#stored.set(key, { batch, part: batch.parts[0] });
      return [batch];
    } catch {
      remove(key);
      return [];
    }
  }
}

/** @param {unknown} value */
function areStrings(value) {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function totalSize() {
  const ours = Object.keys(localStorage).filter((key) => key.startsWith(`${PREFIX} `));
  return ours.reduce((sum, key) => sum + (localStorage.getItem(key)?.length ?? 0), 0);
}

function storageKeys() {
  try {
    return Object.keys(localStorage);
  } catch {
    return []; // The browser denies access to the storage.
  }
}

/** @param {string} key */
function remove(key) {
  try {
    localStorage.removeItem(key);
  } catch {
    // The browser no longer allows access to the storage.
  }
}
