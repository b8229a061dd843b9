// A batch: records that go to the server in one request, and come again under the same id.

import { toJson } from "./builtins.js";
import { shortenedRecord } from "./record.js";

/** @typedef {import("./losses.js").Drop} Drop */

/**
 * Some of a batch's records, from one index to before another one. `partOf` has the ids of all that it was divided or
 * shortened from: a server that has stored one of these has stored the part.
 *
 * @typedef {{ start: number, stop: number, shortened: number, partOf: string[] }} Part
 */

/** Records on their way, until each of them is settled. */
export class Batch {
  /**
   * @param {string} id
   * @param {string[]} records as JSON
   * @param {Drop[]} drops what was lost before them
   * @param {string[]} [partOf] the ids of larger batches that these records were sent in before
   */
  constructor(id, records, drops, partOf = []) {
    this.id = id;
    this.records = records;
    this.drops = drops;
    /** What is not settled: the first one goes next. @type {Part[]} */
    this.parts = [{ start: 0, stop: records.length, shortened: 0, partOf }];
  }

  /** How many records are not settled. */
  get left() {
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
   * @param {string} envelope members that each body has, as JSON
   */
  body(part, envelope) {
    const { id, records, drops, partOf } = this.cut(part);
    const of = partOf.length ? `,"part_of":${toJson(partOf)}` : "";
    const dropped = drops.length ? `,"dropped":${toJson(drops)}` : "";
    return `{"batch_id":${toJson(id)}${of},${envelope}${dropped},"logs":[${records.join(",")}]}`;
  }

  /**
   * Return a part as it would be a batch of its own.
   *
   * @param {Part} part
   */
  cut(part) {
    const { start, stop, shortened, partOf } = part;
    const records = shortened ? [shortenedRecord(this.records[start], shortened)] : this.records.slice(start, stop);
    return { id: this.idOf(part), records, drops: start === 0 ? this.drops : [], partOf };
  }

  /**
   * Settle all that is within a part, and return how many records of it were not settled before.
   *
   * @param {Part} part
   */
  settle({ start, stop }) {
    const before = this.left;
    this.parts = this.parts.filter((each) => each.start < start || each.stop > stop);
    if (start === 0) this.drops = [];
    return before - this.left;
  }

  /** Let the halves of the next part go one after the other. */
  halve() {
    const [{ start, stop }] = this.parts;
    this.#divideAt(0, [(start + stop) >> 1]);
  }

  /**
   * Divide all that is not settled into parts of so many characters at most, or of one record.
   *
   * @param {number} most
   */
  divide(most) {
    for (let index = this.parts.length - 1; index >= 0; index--)
      this.#divideAt(index, this.#cuts(this.parts[index], most));
  }

  /**
   * Let the one record of the next part have texts of `longest` characters at most.
   *
   * @param {number} longest
   */
  shorten(longest) {
    const [part] = this.parts;
    const partOf = [...part.partOf, this.idOf(part)];
    this.parts[0] = { ...part, shortened: longest, partOf };
  }

  /**
   * @param {number} index
   * @param {number[]} cuts
   */
  #divideAt(index, cuts) {
    const part = this.parts[index];
    if (cuts.length === 0) return;
    const partOf = [...part.partOf, this.idOf(part)];
    const bounds = [part.start, ...cuts, part.stop];
    const parts = bounds.slice(1).map((stop, each) => ({ start: bounds[each], stop, shortened: 0, partOf }));
    this.parts.splice(index, 1, ...parts);
  }

  /**
   * Return where to cut a part.
   *
   * @param {Part} part
   * @param {number} most
   */
  #cuts({ start, stop }, most) {
    const cuts = [];
    let size = 0;
    for (let index = start; index < stop; index++) {
      size += this.records[index].length + 1;
      if (size > most && index > start) {
        cuts.push(index);
        size = this.records[index].length + 1;
      }
    }
    return cuts;
  }
}
