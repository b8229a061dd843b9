// Lost records: counted by reason, warned about, and reported to the server.

import { now, monotonic } from "./builtins.js";

const WARN_INTERVAL = 30_000; // milliseconds between two warnings

/** @typedef {{ reason: string, records: number, since: number }} Drop `since` is in milliseconds since 1970 */

export class Losses {
  /** @type {Map<string, number>} */
  #totals = new Map();
  /** @type {Map<string, number>} */
  #changed = new Map();
  /** @type {Map<string, Drop>} */
  #unreported = new Map();
  #unwarned = 0;
  #warnedAt = -Infinity;
  #warn;

  /** @param {(line: string) => void} warn */
  constructor(warn) {
    this.#warn = warn;
  }

  /** The number of lost records. */
  get count() {
    let count = 0;
    for (const each of this.#totals.values()) count += each;
    return count;
  }

  /** The number of lost records by reason. */
  get totals() {
    return Object.fromEntries(this.#totals);
  }

  /** Whether there are losses that are not reported to the server yet. */
  get hasUnreported() {
    return this.#unreported.size > 0;
  }

  /**
   * Count lost records, and warn: at once the first time, then every 30 seconds at most.
   *
   * @param {string} reason
   * @param {number} [records]
   */
  add(reason, records = 1) {
    if (records === 0) return;
    this.#totals.set(reason, (this.#totals.get(reason) ?? 0) + records);
    this.restore([{ reason, records, since: now() }]);
    this.#unwarned += records;
    if (monotonic() - this.#warnedAt >= WARN_INTERVAL) this.warn();
  }

  /** The number of records by reason that the server has stored, but not as they were sent at first. */
  get changed() {
    return Object.fromEntries(this.#changed);
  }

  /**
   * Count records that the server has stored, but not as they were sent at first, and report them to it.
   *
   * @param {string} reason
   * @param {number} records
   */
  note(reason, records) {
    if (records === 0) return;
    this.#changed.set(reason, (this.#changed.get(reason) ?? 0) + records);
    this.restore([{ reason, records, since: now() }]);
  }

  /** Warn about the losses since the last warning. */
  warn() {
    if (this.#unwarned === 0) return;
    const all = [...this.#totals].map(([reason, records]) => `${records} ${reason}`).join(", ");
    this.#warnedAt = monotonic();
    this.#warn(`lost ${this.#unwarned} records; in total: ${all}`);
    this.#unwarned = 0;
  }

  /** Return the losses to report to the server, and count them as reported. */
  take() {
    const drops = [...this.#unreported.values()];
    this.#unreported.clear();
    return drops;
  }

  /**
   * Count losses as unreported again, because the batch that should report them was not sent.
   *
   * @param {Drop[]} drops
   */
  restore(drops) {
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
