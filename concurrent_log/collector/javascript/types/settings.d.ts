/**
 * Return the settings of a client.
 *
 * @param {string | URL} serverUrl
 * @param {Options} options
 * @param {{ base?: string, common: Record<string, unknown>, options: Options }} platform the base of relative URLs,
 *   the fields of each record, and the default options
 * @returns {Settings}
 * @throws {TypeError | RangeError} naming the wrong option and the remedy
 */
export function settingsOf(serverUrl: string | URL, options: Options, platform: {
    base?: string;
    common: Record<string, unknown>;
    options: Options;
}): Settings;
/**
 * The options of a client.
 */
export type Options = {
    /**
     * the name of the program
     */
    service?: string | undefined;
    /**
     * where it runs, such as `production`
     */
    environment?: string | undefined;
    /**
     * the version of the program
     */
    serviceVersion?: string | undefined;
    /**
     * the kind of the program; defaults to `BACKEND` in Node, `FRONTEND` in a browser
     */
    logType?: string | undefined;
    /**
     * the token of the server, if it requires one
     */
    token?: string | undefined;
    /**
     * further headers of each request
     */
    headers?: Record<string, string> | undefined;
    /**
     * maximum records per batch; defaults to 1000
     */
    batchSize?: number | undefined;
    /**
     * maximum milliseconds that a record waits for its batch to fill; defaults to 1000
     */
    flushInterval?: number | undefined;
    /**
     * whether to compress batches; defaults to true
     */
    enableCompression?: boolean | undefined;
    /**
     * minimum records of a compressed batch; defaults to 100
     */
    compressFrom?: number | undefined;
    /**
     * maximum queued records, beyond which the oldest are dropped; defaults to 100,000
     */
    maxQueueSize?: number | undefined;
    /**
     * approximate maximum bytes of the queue; defaults to 64 MiB, in a browser 16 MiB
     */
    maxQueueBytes?: number | undefined;
    /**
     * maximum milliseconds of a request; defaults to 10,000
     */
    timeout?: number | undefined;
    /**
     * maximum milliseconds that `flush`, `close` and the exit wait; defaults to 5000
     */
    stopTimeout?: number | undefined;
    /**
     * whether records contain the function, file and line that logged them; defaults to true
     */
    caller?: boolean | undefined;
    /**
     * whether to log uncaught errors; defaults to false
     */
    enableGlobalErrorHandler?: boolean | undefined;
};
/**
 * The options with their defaults, and the values derived from them.
 */
export type Settings = Required<Omit<Options, "token" | "service" | "environment" | "serviceVersion">> & {
    endpoint: string;
    clientId: string;
    envelope: string;
    hint: string;
};
