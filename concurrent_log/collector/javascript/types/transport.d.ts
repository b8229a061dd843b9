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
export function post({ url, headers, body, compress, timeout }: HttpRequest): Promise<HttpResponse>;
/**
 * Return a transport that sends from the current thread, for runtimes without workers.
 *
 * @param {(response: HttpResponse) => void} onResponse
 * @returns {Transport}
 */
export function inlineTransport(onResponse: (response: HttpResponse) => void): Transport;
/**
 * Return the source text of a worker that sends requests.
 *
 * @param {string} receive code that calls `handle(request, callback)` for each request; the callback gets the response
 */
export function workerSource(receive: string): string;
/** A worker's message that it cannot send requests, with the cause. @typedef {{ failure: string }} WorkerFailure */
/** A transport that sends from a worker, and from the current thread after the worker has failed. */
export class WorkerTransport {
    /** @param {(response: HttpResponse) => void} onResponse */
    constructor(onResponse: (response: HttpResponse) => void);
    hasFailed: boolean;
    /** The request in flight. @type {HttpRequest | null} */
    request: HttpRequest | null;
    /** @param {HttpRequest} request */
    post(request: HttpRequest): void;
    /**
     * Pass a request to the worker.
     *
     * @param {HttpRequest} _request
     */
    dispatch(_request: HttpRequest): void;
    /**
     * Handle a message from the worker.
     *
     * @param {HttpResponse | WorkerFailure} message
     */
    onMessage(message: HttpResponse | WorkerFailure): void;
    /** Stop using the worker: a policy forbids it, a tool has changed its source, or memory is short. */
    fallBack(): void;
    end(): void;
    #private;
}
export type HttpRequest = {
    url: string;
    headers: Record<string, string>;
    body: string;
    compress: boolean;
    /**
     * milliseconds
     */
    timeout: number;
};
export type HttpResponse = {
    /**
     * 0 if there was no response
     */
    status: number;
    /**
     * the body of the response, or the cause of the failure
     */
    reason: string;
    /**
     * the header of that name, or an empty string
     */
    retryAfter: string;
    /**
     * the header of that name, or an empty string
     */
    contentType: string;
};
/**
 * Sends one request at a time, and passes the response to the callback that it was created with.
 */
export type Transport = {
    post: (request: HttpRequest) => void;
    end: () => void;
    /**
     * wait for the response without the event loop
     */
    wait?: ((milliseconds: number) => HttpResponse | undefined) | undefined;
};
/**
 * A worker's message that it cannot send requests, with the cause.
 */
export type WorkerFailure = {
    failure: string;
};
