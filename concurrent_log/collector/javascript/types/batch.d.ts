/** @typedef {import("./losses.js").Drop} Drop */
/**
 * Some of a batch's records, from one index to before another one. `partOf` has the ids of all that it was divided or
 * shortened from: a server that has stored one of these has stored the part.
 *
 * @typedef {{ start: number, stop: number, shortened: number, partOf: string[] }} Part
 */
/** Records on their way, until each of them is settled. */
export class Batch {
    /**
     * @param {string} id
     * @param {string[]} records as JSON
     * @param {Drop[]} drops what was lost before them
     * @param {string[]} [partOf] the ids of larger batches that these records were sent in before
     */
    constructor(id: string, records: string[], drops: Drop[], partOf?: string[]);
    id: string;
    records: string[];
    drops: import("./losses.js").Drop[];
    /** What is not settled: the first one goes next. @type {Part[]} */
    parts: Part[];
    /** How many records are not settled. */
    get left(): number;
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
     * @param {string} envelope members that each body has, as JSON
     */
    body(part: Part, envelope: string): string;
    /**
     * Return a part as it would be a batch of its own.
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
     * Settle all that is within a part, and return how many records of it were not settled before.
     *
     * @param {Part} part
     */
    settle({ start, stop }: Part): number;
    /** Let the halves of the next part go one after the other. */
    halve(): void;
    /**
     * Divide all that is not settled into parts of so many characters at most, or of one record.
     *
     * @param {number} most
     */
    divide(most: number): void;
    /**
     * Let the one record of the next part have texts of `longest` characters at most.
     *
     * @param {number} longest
     */
    shorten(longest: number): void;
    #private;
}
export type Drop = import("./losses.js").Drop;
/**
 * Some of a batch's records, from one index to before another one. `partOf` has the ids of all that it was divided or
 * shortened from: a server that has stored one of these has stored the part.
 */
export type Part = {
    start: number;
    stop: number;
    shortened: number;
    partOf: string[];
};
