/** @typedef {import("./losses.js").Drop} Drop */
/**
 * A range of a batch's records; `stop` is exclusive. `partOf` has the ids of the batch and the parts that it was divided
 * or shortened from. A server that has stored one of them has stored this part. `isRefused` says whether the server
 * refused a larger part.
 *
 * @typedef {{ start: number, stop: number, shortened: number, partOf: string[], isRefused?: boolean }} Part
 */
/** Records that are being sent, until each of them is settled: acknowledged, or counted as lost. */
export class Batch {
    /**
     * @param {string} id
     * @param {string[]} records as JSON
     * @param {Drop[]} drops losses to report with these records
     * @param {string[]} [partOf] the ids of larger batches in which these records were sent before
     */
    constructor(id: string, records: string[], drops: Drop[], partOf?: string[]);
    id: string;
    records: string[];
    drops: import("./losses.js").Drop[];
    /** The parts that are not settled. The first one is sent next. @type {Part[]} */
    parts: Part[];
    /** The number of records that are not settled. */
    get pending(): number;
    /**
     * Return the id of a part.
     *
     * @param {Pick<Part, "start" | "stop" | "shortened">} part
     */
    idOf({ start, stop, shortened }: Pick<Part, "start" | "stop" | "shortened">): string;
    /**
     * Return the body of the request for a part.
     *
     * @param {Part} part
     * @param {string} envelope members of every body, as JSON
     */
    body(part: Part, envelope: string): string;
    /**
     * Return the contents of a part, in the form of a batch of its own.
     *
     * @param {Part} part
     */
    cut(part: Part): {
        id: string;
        records: string[];
        drops: import("./losses.js").Drop[];
        partOf: string[];
    };
    /**
     * Settle the records of a part. Return how many of them were not settled before.
     *
     * @param {Part} part
     */
    settle({ start, stop }: Part): number;
    /** Divide the next part into halves. */
    halve(): void;
    /**
     * Divide the parts that are not settled into parts of limited size. A larger record is a part of its own.
     *
     * @param {number} maximum in characters
     */
    divide(maximum: number): void;
    /**
     * Shorten the texts in the next part, which is one record.
     *
     * @param {number} longest maximum characters of each text
     */
    shorten(longest: number): void;
    #private;
}
export type Drop = import("./losses.js").Drop;
/**
 * A range of a batch's records; `stop` is exclusive. `partOf` has the ids of the batch and the parts that it was divided
 * or shortened from. A server that has stored one of them has stored this part. `isRefused` says whether the server
 * refused a larger part.
 */
export type Part = {
    start: number;
    stop: number;
    shortened: number;
    partOf: string[];
    isRefused?: boolean;
};
