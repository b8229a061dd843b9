// The records that the page holds: newest first, page after page from the store, and what comes in live on top.

import { useEffect, useMemo, useState } from "./html.js";
import { filters } from "./query.js";
import { ask } from "./server.js";
import { justAfter, microseconds } from "./times.js";

const PAGE = 200;

/** How many records the page holds at most. Whoever reads further goes on from there with a query of their own. */
export const MOST = 20000;

/** How many it holds while new ones come in. */
export const MOST_LIVE = 2000;

/**
 * The list, newest first. An item is a record, or `{id, gap}`: so many records that came in live are left out there.
 *
 * Calls `onChange` after each change of `items`, `state` ("loading", "ready" or "failed"), `trouble` or `isAtEnd`.
 */
export class Records {
  items = [];
  state = "loading";
  trouble = null;
  isAtEnd = false;
  #query = null;
  #from = {};
  #known = new Set();
  #underway = null;
  #gaps = 0;
  #meanwhile = null;
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
  }

  get isFull() {
    return this.items.length >= MOST;
  }

  /** Begin anew with the first page of a query; what is shown stays until it is there. */
  async load(query) {
    this.#query = query;
    this.#from = {};
    this.#meanwhile = [];
    await this.#take((page) => {
      this.#known = new Set();
      this.items = this.#unknown(page.logs);
      const came = this.#meanwhile;
      this.#meanwhile = null;
      if (came.length) this.add(came, 0);
    });
  }

  /** Add the page of records before the last one; nothing happens while one is under way. */
  async older() {
    if (this.state !== "ready" || this.isAtEnd || this.isFull) return;
    await this.#take((page) => {
      this.items = [...this.items, ...this.#unknown(page.logs)];
    });
  }

  /** Put records that came in live on top, above a gap for those left out; while a load is under way, after it. */
  add(records, leftOut) {
    if (this.#meanwhile) {
      this.#meanwhile.push(...records);
      return;
    }
    const fresh = this.#unknown(records).sort(newestFirst);
    const newest = this.items.find((item) => !item.gap);
    const onTop = newest ? fresh.filter((record) => newestFirst(record, newest) < 0) : fresh;
    this.items = [...onTop, ...this.#gap(leftOut), ...this.items];
    for (const late of fresh.slice(onTop.length)) this.#insert(late);
    this.#forgetOldest();
    this.#onChange();
  }

  #gap(leftOut) {
    return leftOut ? [{ id: `gap-${(this.#gaps += 1)}`, gap: leftOut }] : [];
  }

  #insert(record) {
    const place = this.items.findIndex((item) => !item.gap && newestFirst(record, item) < 0);
    if (place >= 0) this.items.splice(place, 0, record);
  }

  #forgetOldest() {
    const forgotten = this.items.splice(MOST_LIVE);
    if (!forgotten.length) return;
    for (const { id } of forgotten) this.#known.delete(id);
    this.#from = { until: justAfter(this.items.findLast((item) => !item.gap).created_at) };
    this.isAtEnd = false;
  }

  async #take(use) {
    this.#underway?.abort();
    const underway = (this.#underway = new AbortController());
    this.#become("loading", null);
    try {
      const page = await ask("logs", this.#asked(), underway.signal);
      if (underway.signal.aborted) return;
      this.#from = { cursor: page.next };
      this.isAtEnd = !page.next;
      use(page);
      this.#become("ready", null);
    } catch (error) {
      if (!underway.signal.aborted) this.#become("failed", error);
    }
  }

  #become(state, trouble) {
    this.state = state;
    this.trouble = trouble;
    this.#onChange();
  }

  #asked() {
    const asked = filters(this.#query);
    asked.set("limit", PAGE);
    for (const [name, value] of Object.entries(this.#from)) asked.set(name, value);
    return asked;
  }

  #unknown(records) {
    const fresh = records.filter(({ id }) => !this.#known.has(id));
    for (const { id } of fresh) this.#known.add(id);
    return fresh;
  }
}

function newestFirst(one, other) {
  const difference = microseconds(other.created_at) - microseconds(one.created_at);
  return difference || other.id.length - one.id.length || (other.id > one.id ? 1 : -1);
}

/** Return the records of a query, loaded anew whenever its filters change. */
export function useRecords(query, onTrouble) {
  const [, setVersion] = useState(0);
  const records = useMemo(() => new Records(() => setVersion((before) => before + 1)), []);
  const asked = filters(query).toString();
  useEffect(() => void records.load(query), [asked]);
  useEffect(() => void (records.trouble && onTrouble(records.trouble)), [records.trouble]);
  return records;
}
