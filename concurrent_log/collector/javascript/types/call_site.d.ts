/**
 * Limit the stack of new errors to two frames, that of the logging method and that of its caller. Return the limit
 * before, for `restoreStackTrace`.
 *
 * @returns {number}
 */
export function limitStackTrace(): number;
/** @param {number} limit */
export function restoreStackTrace(limit: number): void;
/**
 * Return the call site as members of a JSON object, each after a comma.
 *
 * @param {Error | null} caller an error created in the logging method
 * @returns {string}
 */
export function callSiteMembers(caller: Error | null): string;
/**
 * @typedef {object} CallSite
 * @property {string} [file] a path or a URL
 * @property {number} [line] from 1
 * @property {string} [name] of the function
 */
/**
 * Parse a line of a stack trace in the format of V8, Firefox or Safari.
 *
 * @param {string} line
 * @returns {CallSite}
 */
export function parseFrame(line: string): CallSite;
export type CallSite = {
    /**
     * a path or a URL
     */
    file?: string | undefined;
    /**
     * from 1
     */
    line?: number | undefined;
    /**
     * of the function
     */
    name?: string | undefined;
};
