// One request, carried out here or in a worker.

/**
 * @typedef {object} Request
 * @property {string} url
 * @property {Record<string, string>} headers
 * @property {string} body
 * @property {boolean} compress
 * @property {number} timeout milliseconds
 */

/**
 * @typedef {object} Answer
 * @property {number} status 0 where there is none
 * @property {string} reason what the server says, or why it says nothing
 * @property {string} retryAfter
 */

/**
 * Carries one request at a time, and hands the answer to the function that it was made with.
 *
 * @typedef {object} Courier
 * @property {(request: Request) => void} post
 * @property {() => void} end
 * @property {(milliseconds: number) => Answer | undefined} [wait] wait for the answer without the event loop
 */

/**
 * Send a request, and return the answer; never rejects but for a mistake of ours.
 *
 * Its text is run in workers, too, so that bundlers need to know nothing of them: it uses nothing from outside.
 *
 * @param {Request} request
 * @returns {Promise<Answer>}
 */
export async function post({ url, headers, body, compress, timeout }) {
  const controller = new AbortController();
  let timer;
  try {
    return await Promise.race([
      // An abort does not end all that hangs, such as a body whose compression is broken.
      new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer within ${timeout} ms`)), timeout);
      }),
      (async () => {
        /** @type {BodyInit} */
        let content = body;
        if (compress) {
          const stream = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
          content = await new Response(stream).arrayBuffer();
          headers = { ...headers, "Content-Encoding": "gzip" };
        }
        const answer = await fetch(url, {
          method: "POST",
          headers,
          body: content,
          redirect: "error",
          credentials: "omit",
          signal: controller.signal,
        });
        let reason = "";
        const reader = answer.body?.getReader();
        const decoder = new TextDecoder();
        while (reader && reason.length < 1_048_576) {
          const { done, value } = await reader.read();
          if (done) break;
          reason += decoder.decode(value, { stream: true });
        }
        return { status: answer.status, reason, retryAfter: answer.headers.get("Retry-After") || "" };
      })(),
    ]);
  } catch (error) {
    if (error instanceof ReferenceError) throw error;
    const { message, cause } = /** @type {Error & { cause?: Error }} */ (error);
    return {
      status: 0,
      reason: (cause && (cause.message || String(cause))) || message || String(error),
      retryAfter: "",
    };
  } finally {
    clearTimeout(timer);
    controller.abort(); // What is left of it, such as a body without an end.
  }
}

/**
 * Return a courier that works in this thread, for where there is no other one.
 *
 * @param {(answer: Answer) => void} onAnswer
 * @returns {Courier}
 */
export function inThread(onAnswer) {
  let isOver = false;
  /** @param {Answer} answer */
  const take = (answer) => isOver || onAnswer(answer);
  return {
    post: (request) =>
      void post(request).then(take, (error) => take({ status: 0, reason: String(error), retryAfter: "" })),
    end: () => void (isOver = true),
  };
}

/** What a worker says that cannot do what it is for, and why. @typedef {{ broken: string }} Broken */

/** A courier that lets a worker carry requests, until that is broken; then it carries them in this thread. */
export class WorkerCourier {
  isBroken = false;
  /** What is on its way. @type {Request | null} */
  request = null;
  #onAnswer;
  #fallback;

  /** @param {(answer: Answer) => void} onAnswer */
  constructor(onAnswer) {
    this.#onAnswer = onAnswer;
    this.#fallback = inThread(onAnswer);
  }

  /** @param {Request} request */
  post(request) {
    this.request = request;
    if (this.isBroken) this.#fallback.post(request);
    else this.hand(request);
  }

  /**
   * Give a request to the worker.
   *
   * @param {Request} _request
   */
  hand(_request) {
    throw new Error("each kind of worker has its own way");
  }

  /**
   * Take what the worker says.
   *
   * @param {Answer | Broken} message
   */
  take(message) {
    if (this.isBroken) return; // Somebody else carries the request.
    if ("broken" in message) {
      this.break();
    } else {
      this.request = null;
      this.#onAnswer(message);
    }
  }

  /** Do without the worker: a policy forbids it, a tool has changed our text, or memory is short. */
  break() {
    if (this.isBroken) return;
    this.isBroken = true;
    if (this.request !== null) this.#fallback.post(this.request);
  }

  end() {
    this.#fallback.end();
  }
}

/**
 * Return the text of a worker that carries requests.
 *
 * @param {string} receive what to do with the function `carry`, which takes a request and a function for the answer
 */
export function sourceOf(receive) {
  return `"use strict";
    const post = ${post};
    const carry = (request, give) => post(request).then(give, (error) => give({ broken: String(error) }));
    ${receive}`;
}
