// A courier in a worker of its own, for browsers; in the page's own thread where a page may have none.

import { inThread, sourceOf } from "./courier.js";

/** @typedef {import("./courier.js").Answer} Answer */
/** @typedef {import("./courier.js").Broken} Broken */
/** @typedef {import("./courier.js").Courier} Courier */
/** @typedef {import("./courier.js").Request} Request */

const READY = "ready";
const PATIENCE = 3000; // milliseconds for a worker to begin
const SOURCE = sourceOf(`
  onmessage = ({ data }) => carry(data, (answer) => postMessage(answer));
  postMessage("${READY}");`);

/**
 * Return a courier that works in a worker, or in this thread where there can be none, as under many a policy.
 *
 * @param {(answer: Answer) => void} onAnswer
 * @returns {Courier}
 */
export function webWorkerCourier(onAnswer) {
  const fallback = inThread(onAnswer);
  try {
    return new WebWorkerCourier(onAnswer, fallback);
  } catch {
    return fallback;
  }
}

class WebWorkerCourier {
  #isReady = false;
  #isBroken = false;
  /** @type {Request | null} */
  #request = null;
  #worker;
  #fallback;

  /**
   * @param {(answer: Answer) => void} onAnswer
   * @param {Courier} fallback
   */
  constructor(onAnswer, fallback) {
    this.#fallback = fallback;
    const address = URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
    const patience = setTimeout(() => this.#break(), PATIENCE);
    try {
      this.#worker = new Worker(address, { name: "concurrent-log" });
    } catch (error) {
      clearTimeout(patience);
      throw error;
    }
    this.#worker.onmessage = ({ data }) => {
      if (data === READY) {
        clearTimeout(patience);
        URL.revokeObjectURL(address);
        this.#begin();
      } else this.#take(data, onAnswer);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault(); // It is no error of the page.
      this.#break();
    };
  }

  /** @param {Request} request */
  post(request) {
    this.#request = request;
    if (this.#isBroken) this.#fallback.post(request);
    else if (this.#isReady) this.#worker.postMessage(request);
  }

  end() {
    this.#fallback.end();
    this.#worker.terminate();
  }

  #begin() {
    this.#isReady = true;
    if (this.#request !== null && !this.#isBroken) this.#worker.postMessage(this.#request);
  }

  /**
   * @param {Answer | Broken} message
   * @param {(answer: Answer) => void} onAnswer
   */
  #take(message, onAnswer) {
    if (this.#isBroken) return; // Somebody else carries the request.
    if ("broken" in message) {
      this.#break();
    } else {
      this.#request = null;
      onAnswer(message);
    }
  }

  /** The worker cannot do what it is for: a policy forbids it, or a tool has changed our text. */
  #break() {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#worker.terminate();
    if (this.#request !== null) this.#fallback.post(this.#request);
  }
}
