/**
 * Return a transport that sends from a worker, or from this thread if a content security policy forbids workers.
 *
 * @param {(response: HttpResponse) => void} onResponse
 * @returns {Transport}
 */
export function webWorkerTransport(onResponse: (response: HttpResponse) => void): Transport;
export type HttpResponse = import("./transport.js").HttpResponse;
export type WorkerFailure = import("./transport.js").WorkerFailure;
export type Transport = import("./transport.js").Transport;
export type HttpRequest = import("./transport.js").HttpRequest;
