/**
 * What is being rendered: the objects around a value, and how many characters may still be added.
 *
 * @typedef {{ within: object[], left: number }} Rendering
 */
/**
 * Return what the values of one record are rendered with.
 *
 * @returns {Rendering}
 */
export function rendering(): Rendering;
/**
 * Return `value` as JSON. Never throws: a getter that does, a circle or a function leaves a text in its place.
 *
 * @param {unknown} value
 * @param {Rendering} [state]
 * @returns {string}
 */
export function jsonOf(value: unknown, state?: Rendering): string;
/**
 * Return a text, as JSON where it is cut: a part of it would keep the whole in memory.
 *
 * @param {string} text
 */
export function textOf(text: string): string | Json;
/**
 * Return a text as JSON, cut where it is longer than anybody reads.
 *
 * @param {string} text
 * @returns {string}
 */
export function jsonOfText(text: string): string;
/**
 * Return a text of `longest` characters at most; how many are missing is said.
 *
 * @param {string} text
 * @param {number} longest
 */
export function shortened(text: string, longest: number): string;
/**
 * Return what stands in place of something that throws when it is read.
 *
 * @param {unknown} error
 */
export function unreadable(error: unknown): string;
/**
 * Return whether `value` is an error, also one of another frame or context.
 *
 * @param {unknown} value
 * @returns {value is Error}
 */
export function isError(value: unknown): value is Error;
/**
 * Return whether all that an object has are its members.
 *
 * @param {object} value
 */
export function isPlain(value: object): boolean;
export const MOST: 1000;
/** Text that is JSON already. */
export class Json {
    /** @param {string} text */
    constructor(text: string);
    text: string;
}
/**
 * What is being rendered: the objects around a value, and how many characters may still be added.
 */
export type Rendering = {
    within: object[];
    left: number;
};
