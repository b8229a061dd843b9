// What a page keeps for the next one of its site, until the server has it. Both may send it: it has the same id.

import { Batch } from "./batch.js";
import { toJson } from "./builtins.js";

/** @typedef {import("./batch.js").Part} Part */
/** @typedef {import("./outbox.js").Delivery} Delivery */

const PREFIX = "concurrent-log";
const MOST = 1_000_000; // characters, of all pages of the site together
const LONGEST = 12 * 86_400_000; // milliseconds; the server knows for two weeks what it has stored

export class Leftovers {
  /** What is kept and not settled, by its key. @type {Map<string, { batch: Batch, part: Part }>} */
  #kept = new Map();
  #prefix;

  /** @param {string} endpoint */
  constructor(endpoint) {
    this.#prefix = `${PREFIX} ${endpoint} `;
  }

  /**
   * Keep what is not kept yet, as far as there is room.
   *
   * @param {Delivery[]} deliveries
   */
  keep(deliveries) {
    try {
      let room = MOST - sizeOfAll();
      for (const { batch, part } of deliveries) {
        const key = this.#prefix + batch.idOf(part);
        if (this.#kept.has(key)) continue;
        const text = toJson({ ...batch.cut(part), keptAt: Date.now() });
        room -= text.length;
        if (room < 0) return;
        localStorage.setItem(key, text);
        this.#kept.set(key, { batch, part });
      }
    } catch {
      // There is no room, or the page may keep nothing.
    }
  }

  /** Forget what is settled. */
  tidy() {
    for (const [key, { batch, part }] of this.#kept) {
      if (batch.parts.some(({ start, stop }) => start >= part.start && stop <= part.stop)) continue;
      this.#kept.delete(key);
      forget(key);
    }
  }

  /**
   * Return what pages before this one, or beside it, have kept.
   *
   * @param {(records: number) => void} onExpired told how many records were kept for too long
   * @returns {Batch[]}
   */
  restored(onExpired) {
    return keys()
      .filter((key) => key.startsWith(this.#prefix))
      .flatMap((key) => this.#restored(key, onExpired));
  }

  /**
   * @param {string} key
   * @param {(records: number) => void} onExpired
   */
  #restored(key, onExpired) {
    try {
      const { id, records, drops, partOf, keptAt } = JSON.parse(localStorage.getItem(key) ?? "");
      if (this.#prefix + id !== key || !areTexts(records) || !areTexts(partOf) || !Array.isArray(drops))
        throw new TypeError("somebody else wrote it");
      if (!(Date.now() - keptAt < LONGEST)) {
        onExpired(records.length);
        throw new RangeError("the server may not know any more whether it has it");
      }
      const batch = new Batch(id, records, drops, partOf);
      this.#kept.set(key, { batch, part: batch.parts[0] });
      return [batch];
    } catch {
      forget(key);
      return [];
    }
  }
}

/** @param {unknown} value */
function areTexts(value) {
  return Array.isArray(value) && value.every((each) => typeof each === "string");
}

function sizeOfAll() {
  const ours = Object.keys(localStorage).filter((key) => key.startsWith(`${PREFIX} `));
  return ours.reduce((sum, key) => sum + (localStorage.getItem(key)?.length ?? 0), 0);
}

function keys() {
  try {
    return Object.keys(localStorage);
  } catch {
    return []; // The page may keep nothing.
  }
}

/** @param {string} key */
function forget(key) {
  try {
    localStorage.removeItem(key);
  } catch {
    // The page may keep nothing any more.
  }
}
