// Sending pending records when a page is hidden or closed. Records that the server has not acknowledged are stored for
// the next page of the site, and sent in keepalive requests, which outlive the page. A batch that is sent both ways has
// the same id, so the server stores it once.

import { toJson } from "./builtins.js";

/** @typedef {import("./stored_batches.js").StoredBatches} StoredBatches */
/** @typedef {import("./outbox.js").Delivery} Delivery */
/** @typedef {import("./shipper.js").Shipper} Shipper */

const MAX_KEEPALIVE_BYTES = 60_000; // browsers allow 64 KiB in flight per page
const MAX_PART = 25_000; // characters
const MAX_TOTAL = 1_000_000; // characters that are processed; bounds the time that it takes to leave the page

export class PageExit {
  /** The size in bytes of each delivery in flight, by its id. @type {Map<string, number>} */
  #inFlight = new Map();
  #shipper;
  #storedBatches;
  #token;
  #listeners;

  /**
   * @param {Shipper} shipper
   * @param {StoredBatches} storedBatches
   * @param {string | undefined} token
   */
  constructor(shipper, storedBatches, token) {
    this.#shipper = shipper;
    this.#storedBatches = storedBatches;
    this.#token = token;
    const onHide = () => (document.visibilityState === "hidden" ? this.#sendBeforeExit() : shipper.sendNow());
    this.#listeners = /** @type {[EventTarget, string, () => void][]} */ ([
      [document, "visibilitychange", onHide],
      [document, "freeze", () => this.#sendBeforeExit()],
      [window, "pagehide", () => this.#sendBeforeExit()],
      [window, "pageshow", () => shipper.sendNow()],
      [window, "online", () => shipper.sendNow()],
    ]);
    for (const [target, name, listener] of this.#listeners) target.addEventListener(name, listener, { capture: true });
  }

  /** Store the pending records, and remove the listeners. */
  end() {
    this.#storedBatches.store(this.#shipper.pendingDeliveries(MAX_PART, MAX_TOTAL));
    for (const [target, name, listener] of this.#listeners)
      target.removeEventListener(name, listener, { capture: true });
  }

  #sendBeforeExit() {
    const deliveries = this.#shipper.pendingDeliveries(MAX_PART, MAX_TOTAL);
    this.#storedBatches.store(deliveries); // First: a closed page does not learn whether a request succeeded.
    for (const delivery of deliveries) this.#send(delivery);
  }

  /**
   * Send a delivery in a request that outlives the page, if the browser's limit allows it.
   *
   * The request must not need a CORS preflight, for which a page that closes has no time: it is plain text, with the
   * token in the body.
   *
   * @param {Delivery} delivery
   */
  #send(delivery) {
    const id = delivery.batch.idOf(delivery.part);
    const token = this.#token === undefined ? "" : `"token":${toJson(this.#token)},`;
    const content = new Blob([`{${token}${delivery.body.slice(1)}`], { type: "text/plain" });
    const before = [...this.#inFlight.values()].reduce((sum, size) => sum + size, 0);
    if (this.#inFlight.has(id) || before + content.size > MAX_KEEPALIVE_BYTES) return;
    const { endpoint } = this.#shipper.settings;
    if (!("keepalive" in Request.prototype)) {
      // A beacon follows redirects, so it must not carry the token. Whether it arrived is unknown, so it acknowledges
      // nothing: the records stay stored for the next page.
      if (this.#token === undefined) navigator.sendBeacon(endpoint, content);
      return;
    }
    this.#inFlight.set(id, content.size);
    this.#shipper
      .withoutLogging(() =>
        fetch(endpoint, { method: "POST", body: content, keepalive: true, redirect: "error", credentials: "omit" }),
      )
      .then(async (response) => this.#acknowledge(delivery, response, await response.text()))
      .catch(() => {}) // The shipper sends it again.
      .finally(() => this.#inFlight.delete(id));
  }

  /**
   * @param {Delivery} delivery
   * @param {Response} response
   * @param {string} reason
   */
  #acknowledge(delivery, { status, headers }, reason) {
    const contentType = headers.get("Content-Type") ?? "";
    this.#shipper.acknowledge(delivery, { status, reason, retryAfter: "", contentType });
  }
}
