// The live tail: what the server sends as it comes in, handed on a few times a second and a few records at a time, so
// that the page stays usable however much there is.

import { address, ask } from "./server.js";
import { filters } from "./query.js";

const EVERY = 250; // milliseconds from one batch to the next
const MOST_AT_ONCE = 100;
const AGAIN = 3000; // milliseconds until the next attempt, where the browser makes none

/**
 * Hands batches on until it is closed.
 *
 * Calls `onBatch(records, leftOut)` with the newest records, and the number of those that are left out;
 * `onState("open")` as soon as it is connected, with "lost" while it is not, and `onTrouble(error)` where the server
 * says why.
 */
export class Live {
  #query;
  #on;
  #source = null;
  #records = [];
  #leftOut = 0;
  #timers = [];

  constructor(query, on) {
    this.#query = query;
    this.#on = on;
    this.#open();
  }

  close() {
    this.#timers.forEach(clearTimeout);
    this.#source.close();
  }

  #open() {
    this.#source = new EventSource(address("live", filters(this.#query, ["since", "until"])));
    this.#source.onopen = () => this.#on.onState("open");
    this.#source.onerror = () => this.#lost();
    this.#source.addEventListener("logs", ({ data }) => this.#receive(JSON.parse(data), 0));
    this.#source.addEventListener("skipped", ({ data }) => this.#receive([], Number(JSON.parse(data))));
  }

  #receive(records, leftOut) {
    if (!this.#records.length && !this.#leftOut) this.#timers = [setTimeout(() => this.#handOn(), EVERY)];
    this.#records.push(...records);
    const tooMany = Math.max(0, this.#records.length - MOST_AT_ONCE);
    this.#records.splice(0, tooMany);
    this.#leftOut += leftOut + tooMany;
  }

  #handOn() {
    const [records, leftOut] = [this.#records, this.#leftOut];
    [this.#records, this.#leftOut] = [[], 0];
    this.#on.onBatch(records, leftOut);
  }

  #lost() {
    this.#on.onState("lost");
    if (this.#source.readyState !== EventSource.CLOSED) return;
    this.#timers.push(setTimeout(() => this.#open(), AGAIN));
    ask("stats").catch((error) => this.#on.onTrouble(error));
  }
}
