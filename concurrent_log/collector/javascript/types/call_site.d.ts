/**
 * Let errors know only the function that makes them and who called it, until `widen`; return what to give to that.
 *
 * @returns {number}
 */
export function narrow(): number;
/** @param {number} limit */
export function widen(limit: number): void;
/**
 * Return the members of a record that tell the place, as JSON, each after a comma.
 *
 * @param {Error | null} seen made by the method that the place called
 * @returns {string}
 */
export function membersOf(seen: Error | null): string;
/**
 * @typedef {object} Place
 * @property {string} [file] a path, or an address
 * @property {number} [line] from 1
 * @property {string} [name] of the function
 */
/**
 * Return what a line of a stack says, as V8, Firefox or Safari writes it.
 *
 * @param {string} line
 * @returns {Place}
 */
export function placeOf(line: string): Place;
export type Place = {
    /**
     * a path, or an address
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
