/**
 * Return what a response acknowledges; null if it is not the collector's answer to this batch.
 *
 * @param {HttpResponse} response
 * @param {string} batchId
 * @param {number} records
 * @returns {Acknowledgement | null}
 */
export function acknowledgement(response: HttpResponse, batchId: string, records: number): Acknowledgement | null;
/**
 * Return whether the collector refuses the content of a request, which must not be sent again as it is.
 *
 * @param {HttpResponse} response
 */
export function isRefusal(response: HttpResponse): boolean;
/**
 * Return a response that settles nothing in one line.
 *
 * @param {HttpResponse} response
 */
export function describeFailure(response: HttpResponse): string;
/**
 * Return a response in one line, without characters that could control a terminal.
 *
 * @param {HttpResponse} response
 */
export function describe({ status, reason }: HttpResponse): string;
export type HttpResponse = import("./transport.js").HttpResponse;
/**
 * What the server has committed: the number of records of a batch, and of those that it has not stored.
 */
export type Acknowledgement = {
    records: number;
    rejected: number;
};
