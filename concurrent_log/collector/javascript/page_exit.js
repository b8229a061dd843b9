// A page that is being left: what is not acknowledged is kept for the next page of the site, and goes by requests that
// outlive this one, as far as the browser lets them. Whatever comes twice has the same id, and is stored once.

import { toJson } from "./builtins.js";

/** @typedef {import("./stored_batches.js").Leftovers} Leftovers */
/** @typedef {import("./outbox.js").Delivery} Delivery */
/** @typedef {import("./shipper.js").Shipper} Shipper */

const MOST_ON_THEIR_WAY = 60_000; // bytes; browsers let 64 KiB outlive a page
const LARGEST_PART = 25_000; // characters
const MOST = 1_000_000; // characters that are looked at, so that a page with much more is left as fast

export class Leaving {
  /** Bytes of each delivery that is on its way, by its id. @type {Map<string, number>} */
  #onTheirWay = new Map();
  #shipper;
  #leftovers;
  #token;
  #listeners;

  /**
   * @param {Shipper} shipper
   * @param {Leftovers} leftovers
   * @param {string | undefined} token
   */
  constructor(shipper, leftovers, token) {
    this.#shipper = shipper;
    this.#leftovers = leftovers;
    this.#token = token;
    const onHide = () => (document.visibilityState === "hidden" ? this.#leave() : shipper.hurry());
    this.#listeners = /** @type {[EventTarget, string, () => void][]} */ ([
      [document, "visibilitychange", onHide],
      [document, "freeze", () => this.#leave()],
      [window, "pagehide", () => this.#leave()],
      [window, "pageshow", () => shipper.hurry()],
      [window, "online", () => shipper.hurry()],
    ]);
    for (const [target, name, listener] of this.#listeners) target.addEventListener(name, listener, { capture: true });
  }

  /** Keep what could not be sent, and see to nothing any more. */
  end() {
    this.#leftovers.keep(this.#shipper.unsettled(LARGEST_PART, MOST));
    for (const [target, name, listener] of this.#listeners)
      target.removeEventListener(name, listener, { capture: true });
  }

  #leave() {
    const deliveries = this.#shipper.unsettled(LARGEST_PART, MOST);
    this.#leftovers.keep(deliveries); // First: nobody hears whether a request has come to anything.
    for (const delivery of deliveries) this.#send(delivery);
  }

  /**
   * Send a delivery, if there is room for it, in a request that outlives the page.
   *
   * It is a request that needs no permission beforehand, which would come too late: plain text, the token inside.
   *
   * @param {Delivery} delivery
   */
  #send(delivery) {
    const id = delivery.batch.idOf(delivery.part);
    const token = this.#token === undefined ? "" : `"token":${toJson(this.#token)},`;
    const content = new Blob([`{${token}${delivery.body.slice(1)}`], { type: "text/plain" });
    const before = [...this.#onTheirWay.values()].reduce((sum, size) => sum + size, 0);
    if (this.#onTheirWay.has(id) || before + content.size > MOST_ON_THEIR_WAY) return;
    const { endpoint } = this.#shipper.settings;
    if (!("keepalive" in Request.prototype)) {
      navigator.sendBeacon(endpoint, content);
      return;
    }
    this.#onTheirWay.set(id, content.size);
    this.#shipper
      .unlogged(() => fetch(endpoint, { method: "POST", body: content, keepalive: true, credentials: "omit" }))
      .then(async (answer) => answer.ok && this.#acknowledge(delivery, await answer.text()))
      .catch(() => {}) // It is sent again as ever.
      .finally(() => this.#onTheirWay.delete(id));
  }

  /**
   * @param {Delivery} delivery
   * @param {string} reason
   */
  #acknowledge(delivery, reason) {
    this.#shipper.acknowledge(delivery, { status: 200, reason, retryAfter: "" });
  }
}
