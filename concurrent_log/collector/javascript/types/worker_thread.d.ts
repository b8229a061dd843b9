/**
 * Return a transport that sends from a thread, or from the current thread if Node cannot start one.
 *
 * @param {(response: HttpResponse) => void} onResponse
 * @returns {Transport}
 */
export function threadTransport(onResponse: (response: HttpResponse) => void): Transport;
export type HttpResponse = import("./transport.js").HttpResponse;
export type WorkerFailure = import("./transport.js").WorkerFailure;
export type Transport = import("./transport.js").Transport;
export type HttpRequest = import("./transport.js").HttpRequest;
