// The transport for Node: a worker thread. The process can wait for it at exit, and the thread does not keep it alive.

import { MessageChannel, Worker, receiveMessageOnPort } from "node:worker_threads";

import { WorkerTransport, inlineTransport, workerSource } from "./transport.js";
import { monotonic } from "./builtins.js";

/** @typedef {import("./transport.js").HttpResponse} HttpResponse */
/** @typedef {import("./transport.js").WorkerFailure} WorkerFailure */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").HttpRequest} HttpRequest */

const SOURCE = workerSource(`
  const { port, count } = require("node:worker_threads").workerData;
  port.on("message", (request) => handle(request, (response) => {
    port.postMessage(response);
    Atomics.add(count, 0, 1);
    Atomics.notify(count, 0);
  }));`);

/**
 * Return a transport that sends from a thread, or from the current thread if Node cannot start one.
 *
 * @param {(response: HttpResponse) => void} onResponse
 * @returns {Transport}
 */
export function threadTransport(onResponse) {
  try {
    return new ThreadTransport(onResponse);
  } catch {
    return inlineTransport(onResponse); // Such as under Node's permission model.
  }
}

class ThreadTransport extends WorkerTransport {
  #port;
  #worker;
  #count = new Int32Array(new SharedArrayBuffer(4)); // of responses

  /** @param {(response: HttpResponse) => void} onResponse */
  constructor(onResponse) {
    super(onResponse);
    const { port1, port2 } = new MessageChannel();
    this.#worker = new Worker(SOURCE, {
      eval: true,
      // A module that the program preloads may create a client. In this thread, that would start a thread, and so on.
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: "" },
      name: "concurrent-log",
      workerData: { port: port2, count: this.#count },
      transferList: [port2],
    });
    this.#worker.on("error", () => this.fallBack());
    this.#worker.unref();
    this.#port = port1;
    port1.on("message", (/** @type {HttpResponse | WorkerFailure} */ message) => this.onMessage(message));
    port1.unref();
  }

  /** @param {HttpRequest} request */
  dispatch(request) {
    this.#port.postMessage(request);
  }

  /**
   * Block this thread until there is a response. Undefined after the thread has failed.
   *
   * @type {((milliseconds: number) => HttpResponse | undefined) | undefined}
   */
  wait = (milliseconds) => {
    const deadline = monotonic() + milliseconds;
    for (;;) {
      // The thread counts a response after it has sent it. The count of an earlier response may arrive only now, so a
      // new count does not mean that there is a new response.
      const before = Atomics.load(this.#count, 0);
      const response = this.#receive();
      const left = deadline - monotonic();
      if (response !== undefined || left <= 0) return response;
      Atomics.wait(this.#count, 0, before, left);
    }
  };

  fallBack() {
    this.wait = undefined;
    super.fallBack();
  }

  end() {
    super.end();
    this.#port.close();
    void this.#worker.terminate();
  }

  /** @returns {HttpResponse | undefined} */
  #receive() {
    const response = receiveMessageOnPort(this.#port)?.message;
    if (response !== undefined) this.request = null;
    return response?.failure ? { status: 0, reason: response.failure, retryAfter: "", contentType: "" } : response;
  }
}
