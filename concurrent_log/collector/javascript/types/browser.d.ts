/**
 * Return a client for the current runtime, here a browser.
 *
 * @param {string | URL} [serverUrl] such as `https://logs.example`; defaults to the server of the page
 * @param {Options} [options]
 * @returns {LogClient}
 * @throws {TypeError} naming the wrong option and the remedy
 */
export function createLogClient(serverUrl?: string | URL, options?: Options): LogClient;
export { LogClient } from "./client.js";
export { VERSION } from "./version.js";
/** A client that sends from a web worker. Records that a page cannot send are sent by the next page of the site. */
export class WebWorkerLogClient extends LogClient {
    /**
     * @param {string | URL} [serverUrl] such as `https://logs.example`; defaults to the server of the page
     * @param {Options} [options]
     * @throws {TypeError} naming the wrong option and the remedy
     */
    constructor(serverUrl?: string | URL, options?: Options);
}
export type Options = import("./settings.js").Options;
export type Stats = import("./shipper.js").Stats;
import { LogClient } from "./client.js";
export { Logger, TraceLogger } from "./logger.js";
