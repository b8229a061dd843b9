// The records of the list, newest first: loaded from the server page by page, with new records of a live tail on top.

import { useEffect, useMemo, useState } from "./html.js";
import { filters } from "./query.js";
import { getJson } from "./server.js";
import { justAfter, microseconds } from "./times.js";

const PAGE = 200;

/** Maximum records of the list. A button continues with a new query. */
export const MAX_RECORDS = 20000;

/** Maximum records of the list during a live tail. */
export const MAX_LIVE_RECORDS = 2000;

/**
 * The list, newest first. An item is a record, or `{id, gap}`, where `gap` records of a live tail were skipped.
 *
 * Calls `onChange` after each change of `items`, `state` ("loading", "ready" or "failed"), `error` or `isAtEnd`.
 */
export class Records {
  items = [];
  state = "loading";
  error = null;
  isAtEnd = false;
  #query = null;
  #position = {};
  #known = new Set();
  #controller = null;
  #gaps = 0;
  #arrivedWhileLoading = null;
  #onChange;

  constructor(onChange) {
    this.#onChange = onChange;
  }

  get isFull() {
    return this.items.length >= MAX_RECORDS;
  }

  /** Load the first page of a query. The current records stay until it arrives. */
  async load(query) {
    this.#query = query;
    this.#position = {};
    this.#arrivedWhileLoading = [];
    await this.#load((page) => {
      this.#known = new Set();
      this.items = this.#addUnknown(page.logs);
      const arrived = this.#arrivedWhileLoading;
      this.#arrivedWhileLoading = null;
      // The page has all that was stored before one of its records, so also what the live tail skipped until then.
      const covered = arrived.findLastIndex(({ records }) => records.some(({ id }) => this.#known.has(id)));
      arrived.forEach(({ records, skipped }, index) => this.add(records, index > covered ? skipped : 0));
    });
  }

  /** Load the next page, which has older records, unless a page is being loaded. */
  async older() {
    if (this.state !== "ready" || this.isAtEnd || this.isFull) return;
    await this.#load((page) => {
      this.items = [...this.items, ...this.#addUnknown(page.logs)];
    });
  }

  /** Add records of a live tail, on top of a gap for those skipped. While a page is being loaded, they wait for it. */
  add(records, skipped) {
    if (this.#arrivedWhileLoading) {
      this.#arrivedWhileLoading.push({ records, skipped });
      return;
    }
    const added = this.#addUnknown(records).sort(newestFirst);
    const newest = this.items.find((item) => !item.gap);
    const onTop = newest ? added.filter((record) => newestFirst(record, newest) < 0) : added;
    this.items = [...onTop, ...this.#below(skipped)];
    for (const older of added.slice(onTop.length)) this.#insert(older);
    this.#dropOldest();
    this.#onChange();
  }

  /** Return the items with a gap for `skipped` records on top. One that is on top already grows. */
  #below(skipped) {
    if (!skipped) return this.items;
    const [top, ...others] = this.items;
    if (top?.gap) return [{ ...top, gap: top.gap + skipped }, ...others];
    return [{ id: `gap-${(this.#gaps += 1)}`, gap: skipped }, ...this.items];
  }

  #insert(record) {
    const index = this.items.findIndex((item) => !item.gap && newestFirst(record, item) < 0);
    if (index >= 0) this.items.splice(index, 0, record);
  }

  #dropOldest() {
    const dropped = this.items.splice(MAX_LIVE_RECORDS);
    if (!dropped.length) return;
    for (const { id } of dropped) this.#known.delete(id);
    this.#position = { until: justAfter(this.items.findLast((item) => !item.gap).created_at) };
    this.isAtEnd = false;
  }

  async #load(use) {
    this.#controller?.abort();
    const controller = (this.#controller = new AbortController());
    this.#setState("loading", null);
    try {
      const page = await getJson("logs", this.#parameters(), controller.signal);
      if (controller.signal.aborted) return;
      this.#position = { cursor: page.next };
      this.isAtEnd = !page.next;
      use(page);
      this.#setState("ready", null);
    } catch (error) {
      if (!controller.signal.aborted) this.#setState("failed", error);
    }
  }

  #setState(state, error) {
    this.state = state;
    this.error = error;
    this.#onChange();
  }

  #parameters() {
    const parameters = filters(this.#query);
    parameters.set("limit", PAGE);
    for (const [name, value] of Object.entries(this.#position)) parameters.set(name, value);
    return parameters;
  }

  #addUnknown(records) {
    const unknown = records.filter(({ id }) => !this.#known.has(id));
    for (const { id } of unknown) this.#known.add(id);
    return unknown;
  }
}

function newestFirst(one, other) {
  const difference = microseconds(other.created_at) - microseconds(one.created_at);
  const later = Number(other.sequence ?? 0) - Number(one.sequence ?? 0); // The clock may give the same time to many records.
  return difference || later || other.id.length - one.id.length || (other.id > one.id ? 1 : -1);
}

/** Return the records of a query, loaded again when its filters change. */
export function useRecords(query, onError) {
  const [, setVersion] = useState(0);
  const records = useMemo(() => new Records(() => setVersion((before) => before + 1)), []);
  const filterText = filters(query).toString();
  useEffect(() => void records.load(query), [filterText]);
  useEffect(() => void (records.error && onError(records.error)), [records.error]);
  return records;
}
