/**
 * Return a client for where the program runs: here, in a browser.
 *
 * @param {string | URL} [serverUrl] such as `https://logs.example`; by default, where the page comes from
 * @param {Options} [options]
 * @returns {LogClient}
 * @throws {TypeError} naming what is wrong, and what to do
 */
export function createLogClient(serverUrl?: string | URL, options?: Options): LogClient;
export { LogClient } from "./client.js";
export { VERSION } from "./version.js";
/** A client whose requests are made in a worker of its own. What a page cannot send any more, the next one sends. */
export class WebWorkerLogClient extends LogClient {
    /**
     * @param {string | URL} [serverUrl] such as `https://logs.example`; by default, where the page comes from
     * @param {Options} [options]
     * @throws {TypeError} naming what is wrong, and what to do
     */
    constructor(serverUrl?: string | URL, options?: Options);
}
export type Options = import("./settings.js").Options;
export type Stats = import("./shipper.js").Stats;
import { LogClient } from "./client.js";
export { Logger, TraceLogger } from "./logger.js";
