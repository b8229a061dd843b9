/**
 * Return what knows who called the public method of a logger that called the caller of this one. The text is made
 * later: making it takes longer than everything else in a logging call.
 *
 * @returns {Error | null}
 */
export function here(): Error | null;
/**
 * Return the members of a record that tell the place, as JSON, each after a comma.
 *
 * @param {Error | null} seen what `here` returned
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
