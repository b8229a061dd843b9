// A courier in a thread of its own, for Node. The process may wait for it when it ends, and ends without it.

import { MessageChannel, Worker, receiveMessageOnPort } from "node:worker_threads";

import { WorkerCourier, inThread, sourceOf } from "./transport.js";
import { ticks } from "./builtins.js";

/** @typedef {import("./transport.js").Answer} Answer */
/** @typedef {import("./transport.js").Broken} Broken */
/** @typedef {import("./transport.js").Courier} Courier */
/** @typedef {import("./transport.js").Request} Request */

const SOURCE = sourceOf(`
  const { port, count } = require("node:worker_threads").workerData;
  port.on("message", (request) => carry(request, (answer) => {
    port.postMessage(answer);
    Atomics.add(count, 0, 1);
    Atomics.notify(count, 0);
  }));`);

/**
 * Return a courier that works in a thread, or in this one where a thread cannot be had.
 *
 * @param {(answer: Answer) => void} onAnswer
 * @returns {Courier}
 */
export function threadCourier(onAnswer) {
  try {
    return new ThreadCourier(onAnswer);
  } catch {
    return inThread(onAnswer); // Such as under Node's permission model.
  }
}

class ThreadCourier extends WorkerCourier {
  #port;
  #worker;
  #count = new Int32Array(new SharedArrayBuffer(4)); // of answers

  /** @param {(answer: Answer) => void} onAnswer */
  constructor(onAnswer) {
    super(onAnswer);
    const { port1, port2 } = new MessageChannel();
    this.#worker = new Worker(SOURCE, {
      eval: true,
      // What the program preloads is for its own threads, and may begin a client, which would begin a thread, and so on.
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: "" },
      name: "concurrent-log",
      workerData: { port: port2, count: this.#count },
      transferList: [port2],
    });
    this.#worker.on("error", () => this.break());
    this.#worker.unref();
    this.#port = port1;
    port1.on("message", (/** @type {Answer | Broken} */ message) => this.take(message));
    port1.unref();
  }

  /** @param {Request} request */
  hand(request) {
    this.#port.postMessage(request);
  }

  /**
   * Wait for the answer, with nothing else going on in this thread; undefined where no thread does the work.
   *
   * @type {((milliseconds: number) => Answer | undefined) | undefined}
   */
  wait = (milliseconds) => {
    const deadline = ticks() + milliseconds;
    for (;;) {
      // The count of an answer that came as an event may be late, so there is not one for each turn.
      const before = Atomics.load(this.#count, 0);
      const answer = this.#received();
      const left = deadline - ticks();
      if (answer !== undefined || left <= 0) return answer;
      Atomics.wait(this.#count, 0, before, left);
    }
  };

  break() {
    this.wait = undefined;
    super.break();
  }

  end() {
    super.end();
    this.#port.close();
    void this.#worker.terminate();
  }

  /** @returns {Answer | undefined} */
  #received() {
    const answer = receiveMessageOnPort(this.#port)?.message;
    if (answer !== undefined) this.request = null;
    return answer?.broken ? { status: 0, reason: answer.broken, retryAfter: "" } : answer;
  }
}
