// A page that is being left: what is not acknowledged goes by requests that outlive the page, and the rest is kept for
// the next page of the site. Whatever comes twice has the same id, and is stored once.

import { Batch } from "./batch.js";

/** @typedef {import("./sender.js").Delivery} Delivery */
/** @typedef {import("./shipper.js").Shipper} Shipper */

const MOST_ON_THEIR_WAY = 60_000; // bytes; browsers let 64 KiB outlive a page
const LARGEST_PART = 25_000; // characters
const MOST_KEPT = 1_000_000; // characters
const PREFIX = "concurrent-log";

export class Leaving {
  /** Bytes of each delivery that is on its way, by its id. @type {Map<string, number>} */
  #onTheirWay = new Map();
  /** @type {Set<string>} */
  #kept = new Set();
  #shipper;
  #token;
  #listeners;

  /**
   * @param {Shipper} shipper
   * @param {string | undefined} token
   */
  constructor(shipper, token) {
    this.#shipper = shipper;
    this.#token = token;
    const onHide = () => (document.visibilityState === "hidden" ? this.#leave() : this.#return());
    this.#listeners = /** @type {[EventTarget, string, () => void][]} */ ([
      [document, "visibilitychange", onHide],
      [window, "pagehide", () => this.#leave()],
      [window, "pageshow", () => this.#return()],
      [window, "online", () => shipper.hurry()],
    ]);
    for (const [target, name, listener] of this.#listeners) target.addEventListener(name, listener, { capture: true });
  }

  end() {
    for (const [target, name, listener] of this.#listeners)
      target.removeEventListener(name, listener, { capture: true });
  }

  /** Send or keep all that the server has not acknowledged. */
  #leave() {
    let room = MOST_KEPT;
    for (const delivery of this.#shipper.unsettled(LARGEST_PART)) {
      const id = delivery.batch.idOf(delivery.part);
      if (this.#onTheirWay.has(id) || this.#kept.has(id) || this.#isSent(id, delivery)) continue;
      room -= delivery.body.length;
      if (room >= 0) this.#keep(id, delivery);
    }
  }

  /** The page is seen again: what was kept for another one is in our memory, too. */
  #return() {
    for (const id of this.#kept) forget(this.#keyOf(id));
    this.#kept.clear();
    this.#shipper.hurry();
  }

  /**
   * Return whether a delivery is on its way now, in a request that outlives the page.
   *
   * It is a request that needs no permission beforehand, which would come too late: plain text, the token inside.
   *
   * @param {string} id
   * @param {Delivery} delivery
   */
  #isSent(id, delivery) {
    const token = this.#token === undefined ? "" : `"token":${JSON.stringify(this.#token)},`;
    const content = new Blob([`{${token}${delivery.body.slice(1)}`], { type: "text/plain" });
    const before = [...this.#onTheirWay.values()].reduce((sum, size) => sum + size, 0);
    if (!navigator.onLine || before + content.size > MOST_ON_THEIR_WAY) return false;
    const { endpoint } = this.#shipper.settings;
    if (!("keepalive" in Request.prototype)) return navigator.sendBeacon(endpoint, content);
    this.#onTheirWay.set(id, content.size);
    fetch(endpoint, { method: "POST", body: content, keepalive: true, credentials: "omit" })
      .then(async (answer) => answer.ok && this.#acknowledge(delivery, await answer.text()))
      .catch(() => {}) // It is sent again as ever.
      .finally(() => this.#onTheirWay.delete(id));
    return true;
  }

  /**
   * @param {Delivery} delivery
   * @param {string} reason
   */
  #acknowledge(delivery, reason) {
    this.#shipper.acknowledge(delivery, { status: 200, reason, retryAfter: "" });
  }

  /**
   * @param {string} id
   * @param {Delivery} delivery
   */
  #keep(id, { batch, part }) {
    try {
      localStorage.setItem(this.#keyOf(id), JSON.stringify(batch.cut(part)));
      this.#kept.add(id);
    } catch {
      // There is no room, or the page may keep nothing.
    }
  }

  /** @param {string} id */
  #keyOf(id) {
    return `${PREFIX} ${this.#shipper.settings.endpoint} ${id}`;
  }
}

/**
 * Return what an earlier page of this site could not send to an address.
 *
 * @param {string} endpoint
 * @returns {Batch[]}
 */
export function leftBehind(endpoint) {
  try {
    const keys = Object.keys(localStorage).filter((key) => key.startsWith(`${PREFIX} ${endpoint} `));
    return keys.flatMap(restored);
  } catch {
    return []; // The page may keep nothing.
  }
}

/** @param {string} key */
function restored(key) {
  try {
    const { id, records, drops, partOf } = JSON.parse(localStorage.getItem(key) ?? "");
    const batch = new Batch(id, records, drops, partOf);
    batch.onSettled = () => forget(key);
    return [batch];
  } catch {
    forget(key); // Somebody else wrote it.
    return [];
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
