// The transport for browsers: a web worker, or the page's own thread if the page may not create workers.

import { WorkerTransport, inlineTransport, workerSource } from "./transport.js";

/** @typedef {import("./transport.js").HttpResponse} HttpResponse */
/** @typedef {import("./transport.js").WorkerFailure} WorkerFailure */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").HttpRequest} HttpRequest */

const READY = "ready";
const START_TIMEOUT = 3000; // milliseconds
const SOURCE = workerSource(`
  onmessage = ({ data }) => handle(data, (response) => postMessage(response));
  postMessage("${READY}");`);

/**
 * Return a transport that sends from a worker, or from this thread if a content security policy forbids workers.
 *
 * @param {(response: HttpResponse) => void} onResponse
 * @returns {Transport}
 */
export function webWorkerTransport(onResponse) {
  try {
    return new WebWorkerTransport(onResponse);
  } catch {
    return inlineTransport(onResponse);
  }
}

class WebWorkerTransport extends WorkerTransport {
  #isReady = false;
  #worker;

  /** @param {(response: HttpResponse) => void} onResponse */
  constructor(onResponse) {
    super(onResponse);
    const address = URL.createObjectURL(new Blob([SOURCE], { type: "text/javascript" }));
    this.#worker = new Worker(address, { name: "concurrent-log" });
    const startTimer = setTimeout(() => this.fallBack(), START_TIMEOUT);
    this.#worker.onmessage = ({ data }) => {
      if (data === READY) {
        clearTimeout(startTimer);
        URL.revokeObjectURL(address);
        this.#onReady();
      } else this.onMessage(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault(); // It is not an error of the page.
      this.fallBack();
    };
  }

  /** @param {HttpRequest} request */
  dispatch(request) {
    if (this.#isReady) this.#worker.postMessage(request);
  }

  fallBack() {
    this.#worker.terminate();
    super.fallBack();
  }

  end() {
    super.end();
    this.#worker.terminate();
  }

  #onReady() {
    this.#isReady = true;
    if (this.request !== null && !this.hasFailed) this.dispatch(this.request);
  }
}
