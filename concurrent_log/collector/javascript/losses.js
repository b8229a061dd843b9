// What was lost, by reason: counted, told, and reported to the server.

import { now, ticks } from "./builtins.js";

const SILENCE = 30_000; // milliseconds between two lines about losses

/** @typedef {{ reason: string, records: number, since: number }} Drop `since` is in milliseconds since 1970 */

export class Losses {
  /** @type {Map<string, number>} */
  #totals = new Map();
  /** @type {Map<string, Drop>} */
  #unreported = new Map();
  #untold = 0;
  #toldAt = -Infinity;
  #tell;

  /** @param {(line: string) => void} tell */
  constructor(tell) {
    this.#tell = tell;
  }

  /** How many records were lost. */
  get count() {
    let count = 0;
    for (const each of this.#totals.values()) count += each;
    return count;
  }

  /** How many records were lost, by reason. */
  get totals() {
    return Object.fromEntries(this.#totals);
  }

  /** Whether there is something that the server does not know. */
  get areUnreported() {
    return this.#unreported.size > 0;
  }

  /**
   * Count records that are lost, and say so: at once, and then every 30 seconds at most.
   *
   * @param {string} reason
   * @param {number} [records]
   */
  add(reason, records = 1) {
    if (records === 0) return;
    this.#totals.set(reason, (this.#totals.get(reason) ?? 0) + records);
    this.giveBack([{ reason, records, since: now() }]);
    this.#untold += records;
    if (ticks() - this.#toldAt >= SILENCE) this.tell();
  }

  /** Say what was lost and is not told yet. */
  tell() {
    if (this.#untold === 0) return;
    const all = [...this.#totals].map(([reason, records]) => `${records} ${reason}`).join(", ");
    this.#toldAt = ticks();
    this.#tell(`lost ${this.#untold} more records; altogether: ${all}`);
    this.#untold = 0;
  }

  /** Return what the server is to be told, and take it to be told. */
  take() {
    const drops = [...this.#unreported.values()];
    this.#unreported.clear();
    return drops;
  }

  /**
   * Let be told with another batch what could not be told.
   *
   * @param {Drop[]} drops
   */
  giveBack(drops) {
    for (const { reason, records, since } of drops) {
      const before = this.#unreported.get(reason);
      this.#unreported.set(reason, {
        reason,
        records: records + (before?.records ?? 0),
        since: Math.min(since, before?.since ?? Infinity),
      });
    }
  }
}
