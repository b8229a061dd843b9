/** @typedef {{ reason: string, records: number, since: number }} Drop `since` is in milliseconds since 1970 */
export class Losses {
    /** @param {(line: string) => void} warn */
    constructor(warn: (line: string) => void);
    /** The number of lost records. */
    get count(): number;
    /** The number of lost records by reason. */
    get totals(): {
        [k: string]: number;
    };
    /** Whether there are losses that are not reported to the server yet. */
    get hasUnreported(): boolean;
    /**
     * Count lost records, and warn: at once the first time, then every 30 seconds at most.
     *
     * @param {string} reason
     * @param {number} [records]
     */
    add(reason: string, records?: number): void;
    /** The number of records by reason that the server has stored, but not as they were sent at first. */
    get changed(): {
        [k: string]: number;
    };
    /**
     * Count records that the server has stored, but not as they were sent at first, and report them to it.
     *
     * @param {string} reason
     * @param {number} records
     */
    note(reason: string, records: number): void;
    /** Warn about the losses since the last warning. */
    warn(): void;
    /** Return the losses to report to the server, and count them as reported. */
    take(): Drop[];
    /**
     * Count losses as unreported again, because the batch that should report them was not sent.
     *
     * @param {Drop[]} drops
     */
    restore(drops: Drop[]): void;
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
