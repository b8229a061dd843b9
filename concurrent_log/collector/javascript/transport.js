// Sending one HTTP request, in a worker or in the current thread.

/**
 * @typedef {object} HttpRequest
 * @property {string} url
 * @property {Record<string, string>} headers
 * @property {string} body
 * @property {boolean} compress
 * @property {number} timeout milliseconds
 */

/**
 * @typedef {object} HttpResponse
 * @property {number} status 0 if there was no response
 * @property {string} reason the body of the response, or the cause of the failure
 * @property {string} retryAfter the header of that name, or an empty string
 * @property {string} contentType the header of that name, or an empty string
 */

/**
 * Sends one request at a time, and passes the response to the callback that it was created with.
 *
 * @typedef {object} Transport
 * @property {(request: HttpRequest) => void} post
 * @property {() => void} end
 * @property {(milliseconds: number) => HttpResponse | undefined} [wait] wait for the response without the event loop
 */

/**
 * Send a request, and return the response. Rejects only for a bug in this function.
 *
 * Workers are created from the source text of this function, so that bundlers need no configuration for them.
 * Therefore it must not use anything from the module scope.
 *
 * @param {HttpRequest} request
 * @returns {Promise<HttpResponse>}
 */
export async function post({ url, headers, body, compress, timeout }) {
  const controller = new AbortController();
  let timer;
  try {
    return await Promise.race([
      // An abort does not interrupt every operation: a response body whose compression is broken still hangs.
      new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no response within ${timeout} ms`)), timeout);
      }),
      (async () => {
        /** @type {BodyInit} */
        let content = body;
        if (compress) {
          const stream = new Blob([body]).stream().pipeThrough(new CompressionStream("gzip"));
          content = await new Response(stream).arrayBuffer();
          headers = { ...headers, "Content-Encoding": "gzip" };
        }
        const response = await fetch(url, {
          method: "POST",
          headers,
          body: content,
          redirect: "error",
          credentials: "omit",
          signal: controller.signal,
        });
        let reason = "";
        const reader = response.body?.getReader();
        const decoder = new TextDecoder();
        while (reader && reason.length < 1_048_576) {
          const { done, value } = await reader.read();
          if (done) break;
          reason += decoder.decode(value, { stream: true });
        }
        const header = (/** @type {string} */ name) => response.headers.get(name) || "";
        const { status } = response;
        return { status, reason, retryAfter: header("Retry-After"), contentType: header("Content-Type") };
      })(),
    ]);
  } catch (error) {
    if (error instanceof ReferenceError) throw error;
    const { message, cause } = /** @type {Error & { cause?: Error }} */ (error);
    return {
      status: 0,
      reason: (cause && (cause.message || String(cause))) || message || String(error),
      retryAfter: "",
      contentType: "",
    };
  } finally {
    clearTimeout(timer);
    controller.abort(); // Ends what is still running, such as reading an endless body.
  }
}

/**
 * Return a transport that sends from the current thread, for runtimes without workers.
 *
 * @param {(response: HttpResponse) => void} onResponse
 * @returns {Transport}
 */
export function inlineTransport(onResponse) {
  let hasEnded = false;
  /** @param {HttpResponse} response */
  const deliver = (response) => hasEnded || onResponse(response);
  return {
    post: (request) =>
      void post(request).then(deliver, (error) =>
        deliver({ status: 0, reason: String(error), retryAfter: "", contentType: "" }),
      ),
    end: () => void (hasEnded = true),
  };
}

/** A worker's message that it cannot send requests, with the cause. @typedef {{ failure: string }} WorkerFailure */

/** A transport that sends from a worker, and from the current thread after the worker has failed. */
export class WorkerTransport {
  hasFailed = false;
  /** The request in flight. @type {HttpRequest | null} */
  request = null;
  #onResponse;
  #fallback;

  /** @param {(response: HttpResponse) => void} onResponse */
  constructor(onResponse) {
    this.#onResponse = onResponse;
    this.#fallback = inlineTransport(onResponse);
  }

  /** @param {HttpRequest} request */
  post(request) {
    this.request = request;
    if (this.hasFailed) this.#fallback.post(request);
    else this.dispatch(request);
  }

  /**
   * Pass a request to the worker.
   *
   * @param {HttpRequest} _request
   */
  dispatch(_request) {
    throw new Error("subclasses implement dispatch");
  }

  /**
   * Handle a message from the worker.
   *
   * @param {HttpResponse | WorkerFailure} message
   */
  onMessage(message) {
    if (this.hasFailed) return; // The fallback sends the request.
    if ("failure" in message) {
      this.fallBack();
    } else {
      this.request = null;
      this.#onResponse(message);
    }
  }

  /** Stop using the worker: a policy forbids it, a tool has changed its source, or memory is short. */
  fallBack() {
    if (this.hasFailed) return;
    this.hasFailed = true;
    if (this.request !== null) this.#fallback.post(this.request);
  }

  end() {
    this.#fallback.end();
  }
}

/**
 * Return the source text of a worker that sends requests.
 *
 * @param {string} receive code that calls `handle(request, callback)` for each request; the callback gets the response
 */
export function workerSource(receive) {
  return `"use strict";
    const post = ${post};
    const handle = (request, callback) =>
      post(request).then(callback, (error) => callback({ failure: String(error) }));
    ${receive}`;
}
