// A courier in a worker of its own, for browsers; in the page's own thread where a page may have none.

import { WorkerCourier, inThread, sourceOf } from "./transport.js";

/** @typedef {import("./transport.js").Answer} Answer */
/** @typedef {import("./transport.js").Broken} Broken */
/** @typedef {import("./transport.js").Courier} Courier */
/** @typedef {import("./transport.js").Request} Request */

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
  try {
    return new WebWorkerCourier(onAnswer);
  } catch {
    return inThread(onAnswer);
  }
}

class WebWorkerCourier extends WorkerCourier {
  #isReady = false;
  #worker;

  /** @param {(answer: Answer) => void} onAnswer */
  constructor(onAnswer) {
    super(onAnswer);
    const address = URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
    this.#worker = new Worker(address, { name: "concurrent-log" });
    const patience = setTimeout(() => this.break(), PATIENCE);
    this.#worker.onmessage = ({ data }) => {
      if (data === READY) {
        clearTimeout(patience);
        URL.revokeObjectURL(address);
        this.#begin();
      } else this.take(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault(); // It is no error of the page.
      this.break();
    };
  }

  /** @param {Request} request */
  hand(request) {
    if (this.#isReady) this.#worker.postMessage(request);
  }

  break() {
    this.#worker.terminate();
    super.break();
  }

  end() {
    super.end();
    this.#worker.terminate();
  }

  #begin() {
    this.#isReady = true;
    if (this.request !== null && !this.isBroken) this.hand(this.request);
  }
}
