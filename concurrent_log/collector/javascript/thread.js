// A courier in a thread of its own, for Node. The process may wait for it when it ends, and ends without it.

import { MessageChannel, Worker, receiveMessageOnPort } from "node:worker_threads";

import { inThread, sourceOf } from "./courier.js";
import { ticks } from "./pristine.js";

/** @typedef {import("./courier.js").Answer} Answer */
/** @typedef {import("./courier.js").Broken} Broken */
/** @typedef {import("./courier.js").Courier} Courier */
/** @typedef {import("./courier.js").Request} Request */

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
  const fallback = inThread(onAnswer);
  try {
    return new ThreadCourier(onAnswer, fallback);
  } catch {
    return fallback; // Such as under Node's permission model.
  }
}

class ThreadCourier {
  #port;
  #worker;
  #count = new Int32Array(new SharedArrayBuffer(4)); // of answers
  /** @type {Request | null} */
  #request = null;
  #fallback;

  /**
   * @param {(answer: Answer) => void} onAnswer
   * @param {Courier} fallback
   */
  constructor(onAnswer, fallback) {
    const { port1, port2 } = new MessageChannel();
    this.#fallback = fallback;
    this.#worker = new Worker(SOURCE, {
      eval: true,
      // What the program preloads is for its own threads, and may begin a client, which would begin a thread, and so on.
      execArgv: [],
      env: { ...process.env, NODE_OPTIONS: "" },
      name: "concurrent-log",
      workerData: { port: port2, count: this.#count },
      transferList: [port2],
    });
    this.#worker.on("error", () => this.#break());
    this.#worker.unref();
    this.#port = port1;
    port1.on("message", (/** @type {Answer | Broken} */ message) => this.#take(message, onAnswer));
    port1.unref();
  }

  /** @param {Request} request */
  post(request) {
    this.#request = request;
    if (this.#isBroken) this.#fallback.post(request);
    else this.#port.postMessage(request);
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

  get #isBroken() {
    return this.wait === undefined;
  }

  end() {
    this.#fallback.end();
    this.#port.close();
    void this.#worker.terminate();
  }

  /** @returns {Answer | undefined} */
  #received() {
    const answer = receiveMessageOnPort(this.#port)?.message;
    if (answer !== undefined) this.#request = null;
    return answer?.broken ? { status: 0, reason: answer.broken, retryAfter: "" } : answer;
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

  /** The thread cannot do what it is for: a tool has changed our text, or memory is short. */
  #break() {
    if (this.#isBroken) return;
    this.wait = undefined;
    if (this.#request !== null) this.#fallback.post(this.#request);
  }
}
