/**
 * Return a client for the current runtime, here Node.
 *
 * @param {string | URL} [serverUrl] such as `https://logs.example`; defaults to `http://localhost:8000`
 * @param {Options} [options]
 * @returns {LogClient}
 * @throws {TypeError} naming the wrong option and the remedy
 */
export function createLogClient(serverUrl?: string | URL, options?: Options): LogClient;
export { LogClient } from "./client.js";
export { VERSION } from "./version.js";
/**
 * A client that sends from a worker thread.
 *
 * Defaults come from the environment: `LOG_SERVER_URL`, `SERVICE_NAME`, `ENVIRONMENT` or `NODE_ENV`, `SERVICE_VERSION`,
 * `LOG_TYPE`, `ENABLE_GLOBAL_ERROR_HANDLER`.
 */
export class WorkerThreadsLogClient extends LogClient {
    /**
     * @param {string | URL} [serverUrl] such as `https://logs.example`; defaults to `http://localhost:8000`
     * @param {Options} [options]
     * @throws {TypeError} naming the wrong option and the remedy
     */
    constructor(serverUrl?: string | URL, options?: Options);
}
export type Options = import("./settings.js").Options;
export type Stats = import("./shipper.js").Stats;
import { LogClient } from "./client.js";
export { Logger, TraceLogger } from "./logger.js";
