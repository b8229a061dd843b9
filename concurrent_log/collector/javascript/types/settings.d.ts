/**
 * Return the settings of a client.
 *
 * @param {string | URL} serverUrl
 * @param {Options} options
 * @param {{ base?: string, common: Record<string, unknown>, options: Options }} surroundings what counts where nothing
 *   is said: for addresses, in each record, and as options
 * @returns {Settings}
 * @throws {TypeError | RangeError} naming what is wrong, and what to do
 */
export function settingsOf(serverUrl: string | URL, options: Options, surroundings: {
    base?: string;
    common: Record<string, unknown>;
    options: Options;
}): Settings;
/**
 * What a client may be told.
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
     * its version
     */
    serviceVersion?: string | undefined;
    /**
     * of which kind it is; `BACKEND` in Node, `FRONTEND` in a browser
     */
    logType?: string | undefined;
    /**
     * what the server asks for, if it does
     */
    token?: string | undefined;
    /**
     * further headers of each request
     */
    headers?: Record<string, string> | undefined;
    /**
     * so many records leave at once; 1000
     */
    batchSize?: number | undefined;
    /**
     * so many milliseconds after its first record, a smaller batch leaves, too; 1000
     */
    flushInterval?: number | undefined;
    /**
     * whether batches are compressed; true
     */
    enableCompression?: boolean | undefined;
    /**
     * from how many records on; 100
     */
    compressFrom?: number | undefined;
    /**
     * how many records may wait; then the oldest are dropped; 100,000
     */
    maxQueueSize?: number | undefined;
    /**
     * about how many bytes they may take; 64 MiB, in a browser 16 MiB
     */
    maxQueueBytes?: number | undefined;
    /**
     * for how many milliseconds a request may last; 10,000
     */
    timeout?: number | undefined;
    /**
     * for how many milliseconds `flush`, `close` and the exit wait; 5000
     */
    stopTimeout?: number | undefined;
    /**
     * whether records tell which function, file and line logged them; true
     */
    caller?: boolean | undefined;
    /**
     * whether errors that nobody catches are logged; false
     */
    enableGlobalErrorHandler?: boolean | undefined;
};
/**
 * What a client was told, and what follows from it.
 */
export type Settings = Required<Omit<Options, "token" | "service" | "environment" | "serviceVersion">> & {
    endpoint: string;
    clientId: string;
    envelope: string;
    hint: string;
};
