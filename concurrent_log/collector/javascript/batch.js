// A batch: records that are sent in one request. If the request is repeated, it has the same id.

import { toJson } from "./builtins.js";
import { shortenedRecord } from "./record.js";

/** @typedef {import("./losses.js").Drop} Drop */

/**
 * A range of a batch's records; `stop` is exclusive. `partOf` has the ids of the batch and the parts that it was divided
 * or shortened from. A server that has stored one of them has stored this part. `isRefused` says whether the server
 * refused a larger part.
 *
 * @typedef {{ start: number, stop: number, shortened: number, partOf: string[], isRefused?: boolean }} Part
 */

/** Records that are being sent, until each of them is settled: acknowledged, or counted as lost. */
export class Batch {
  /**
   * @param {string} id
   * @param {string[]} records as JSON
   * @param {Drop[]} drops losses to report with these records
   * @param {string[]} [partOf] the ids of larger batches in which these records were sent before
   */
  constructor(id, records, drops, partOf = []) {
    this.id = id;
    this.records = records;
    this.drops = drops;
    /** The parts that are not settled. The first one is sent next. @type {Part[]} */
    this.parts = [{ start: 0, stop: records.length, shortened: 0, partOf }];
  }

  /** The number of records that are not settled. */
  get pending() {
    return this.parts.reduce((sum, { start, stop }) => sum + stop - start, 0);
  }

  /**
   * Return the id of a part.
   *
   * @param {Pick<Part, "start" | "stop" | "shortened">} part
   */
  idOf({ start, stop, shortened }) {
    if (start === 0 && stop === this.records.length && shortened === 0) return this.id;
    return `${this.id}:${start}-${stop}${shortened ? `-${shortened}` : ""}`;
  }

  /**
   * Return the body of the request for a part.
   *
   * @param {Part} part
   * @param {string} envelope members of every body, as JSON
   */
  body(part, envelope) {
    const { id, records, drops, partOf } = this.cut(part);
    const origin = partOf.length ? `,"part_of":${toJson(partOf)}` : "";
    const dropped = drops.length ? `,"dropped":${toJson(drops)}` : "";
    return `{"batch_id":${toJson(id)}${origin},${envelope}${dropped},"logs":[${records.join(",")}]}`;
  }

  /**
   * Return the contents of a part, in the form of a batch of its own.
   *
   * @param {Part} part
   */
  cut(part) {
    const { start, stop, shortened, partOf } = part;
    const records = shortened ? [shortenedRecord(this.records[start], shortened)] : this.records.slice(start, stop);
    return { id: this.idOf(part), records, drops: start === 0 ? this.drops : [], partOf };
  }

  /**
   * Settle the records of a part. Return how many of them were not settled before.
   *
   * @param {Part} part
   */
  settle({ start, stop }) {
    const before = this.pending;
    this.parts = this.parts.filter((each) => each.start < start || each.stop > stop);
    if (start === 0) this.drops = [];
    return before - this.pending;
  }

  /** Divide the next part into halves. */
  halve() {
    const [{ start, stop }] = this.parts;
    this.#divideAt(0, [(start + stop) >> 1], true);
  }

  /**
   * Divide the parts that are not settled into parts of limited size. A larger record is a part of its own.
   *
   * @param {number} maximum in characters
   */
  divide(maximum) {
    for (let index = this.parts.length - 1; index >= 0; index--)
      this.#divideAt(index, this.#cuts(this.parts[index], maximum));
  }

  /**
   * Shorten the texts in the next part, which is one record.
   *
   * @param {number} longest maximum characters of each text
   */
  shorten(longest) {
    const [part] = this.parts;
    const partOf = [...part.partOf, this.idOf(part)];
    this.parts[0] = { ...part, shortened: longest, partOf };
  }

  /**
   * @param {number} index
   * @param {number[]} cuts
   * @param {boolean} [isRefused]
   */
  #divideAt(index, cuts, isRefused = this.parts[index].isRefused) {
    const part = this.parts[index];
    if (cuts.length === 0) return;
    const partOf = [...part.partOf, this.idOf(part)];
    const bounds = [part.start, ...cuts, part.stop];
    const parts = bounds.slice(1).map((stop, each) => ({ start: bounds[each], stop, shortened: 0, partOf, isRefused }));
    this.parts.splice(index, 1, ...parts);
  }

  /**
   * Return the indexes at which to divide a part.
   *
   * @param {Part} part
   * @param {number} maximum in characters
   */
  #cuts({ start, stop }, maximum) {
    const cuts = [];
    let size = 0;
    for (let index = start; index < stop; index++) {
      size += this.records[index].length + 1;
      if (size > maximum && index > start) {
        cuts.push(index);
        size = this.records[index].length + 1;
      }
    }
    return cuts;
  }
}
