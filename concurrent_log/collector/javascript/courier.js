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
  try {
    /** @type {BodyInit} */
    let content = body;
    if (compress) {
      const stream = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
      content = await new Response(stream).arrayBuffer();
      headers["Content-Encoding"] = "gzip";
    }
    const signal = AbortSignal.timeout(timeout);
    const answer = await fetch(url, {
      method: "POST",
      headers,
      body: content,
      redirect: "error",
      credentials: "omit",
      signal,
    });
    const reason = await answer.text();
    return { status: answer.status, reason, retryAfter: answer.headers.get("Retry-After") || "" };
  } catch (error) {
    if (error instanceof ReferenceError) throw error;
    const { message, cause } = /** @type {Error & { cause?: Error }} */ (error);
    return {
      status: 0,
      reason: (cause && (cause.message || String(cause))) || message || String(error),
      retryAfter: "",
    };
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
