/** @typedef {{ reason: string, records: number, since: number }} Drop `since` is in milliseconds since 1970 */
export class Losses {
    /** @param {(line: string) => void} tell */
    constructor(tell: (line: string) => void);
    /** How many records were lost. */
    get count(): number;
    /** How many records were lost, by reason. */
    get totals(): {
        [k: string]: number;
    };
    /** Whether there is something that the server does not know. */
    get areUnreported(): boolean;
    /**
     * Count records that are lost, and say so: at once, and then every 30 seconds at most.
     *
     * @param {string} reason
     * @param {number} [records]
     */
    add(reason: string, records?: number): void;
    /** Say what was lost and is not told yet. */
    tell(): void;
    /** Return what the server is to be told, and take it to be told. */
    take(): Drop[];
    /**
     * Let be told with another batch what could not be told.
     *
     * @param {Drop[]} drops
     */
    giveBack(drops: Drop[]): void;
    #private;
}
/**
 * `since` is in milliseconds since 1970
 */
export type Drop = {
    reason: string;
    records: number;
    since: number;
};
