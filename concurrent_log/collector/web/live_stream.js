// The stream of new records from the server. It delivers limited batches a few times a second, so that the page stays
// usable at any rate.

import { parseExactly } from "./exact_json.js";
import { getJson, urlFor } from "./server.js";
import { filters } from "./query.js";

const INTERVAL = 250; // milliseconds between two batches
const MAX_BATCH = 100;
const RETRY_DELAY = 3000; // milliseconds until the next attempt, if the browser makes none itself

/**
 * Delivers batches until it is closed.
 *
 * Calls `onBatch(records, skipped)` with the newest records and the number of records skipped, `onState("open")` when it
 * is connected, `onState("lost")` when the connection is lost, and `onError(error)` if the server reports the cause.
 */
export class LiveStream {
  #query;
  #on;
  #source = null;
  #records = [];
  #skipped = 0;
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
    this.#source = new EventSource(urlFor("live", filters(this.#query, ["since", "until"])));
    this.#source.onopen = () => this.#on.onState("open");
    this.#source.onerror = () => this.#onError();
    this.#source.addEventListener("logs", ({ data }) => this.#receive(parseExactly(data), 0));
    this.#source.addEventListener("skipped", ({ data }) => this.#receive([], Number(JSON.parse(data))));
  }

  #receive(records, skipped) {
    if (!this.#records.length && !this.#skipped) this.#timers = [setTimeout(() => this.#deliver(), INTERVAL)];
    this.#records.push(...records);
    const tooMany = Math.max(0, this.#records.length - MAX_BATCH);
    this.#records.splice(0, tooMany);
    this.#skipped += skipped + tooMany;
  }

  #deliver() {
    const [records, skipped] = [this.#records, this.#skipped];
    [this.#records, this.#skipped] = [[], 0];
    this.#on.onBatch(records, skipped);
  }

  #onError() {
    this.#on.onState("lost");
    if (this.#source.readyState !== EventSource.CLOSED) return;
    this.#timers.push(setTimeout(() => this.#open(), RETRY_DELAY));
    getJson("stats").catch((error) => this.#on.onError(error));
  }
}
