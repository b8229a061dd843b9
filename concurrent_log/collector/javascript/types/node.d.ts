/**
 * Return a client for where the program runs: here, in Node.
 *
 * @param {string | URL} [serverUrl] such as `https://logs.example`; by default, `http://localhost:8000`
 * @param {Options} [options]
 * @returns {LogClient}
 * @throws {TypeError} naming what is wrong, and what to do
 */
export function createLogClient(serverUrl?: string | URL, options?: Options): LogClient;
export { LogClient } from "./client.js";
export { VERSION } from "./version.js";
/**
 * A client whose requests are made in a thread of its own.
 *
 * What is not said is taken from the environment: `LOG_SERVER_URL`, `SERVICE_NAME`, `ENVIRONMENT` or `NODE_ENV`,
 * `SERVICE_VERSION`, `LOG_TYPE`, `ENABLE_GLOBAL_ERROR_HANDLER`.
 */
export class WorkerThreadsLogClient extends LogClient {
    /**
     * @param {string | URL} [serverUrl] such as `https://logs.example`; by default, `http://localhost:8000`
     * @param {Options} [options]
     * @throws {TypeError} naming what is wrong, and what to do
     */
    constructor(serverUrl?: string | URL, options?: Options);
}
export type Options = import("./settings.js").Options;
export type Stats = import("./shipper.js").Stats;
import { LogClient } from "./client.js";
export { Logger, TraceLogger } from "./logger.js";
