/**
 * The state of rendering: the objects that contain the current value, and how many characters may still be added.
 *
 * @typedef {{ within: object[], budget: number }} Rendering
 */
/**
 * Return the state for rendering the values of one record.
 *
 * @returns {Rendering}
 */
export function rendering(): Rendering;
/**
 * Return `value` as JSON. Never throws: a getter that throws, a circular reference or a function is replaced by a text.
 *
 * @param {unknown} value
 * @param {Rendering} [state]
 * @returns {string}
 */
export function jsonOf(value: unknown, state?: Rendering): string;
/**
 * Return a text; if it is too long, a shortened copy as JSON. A slice would keep the whole text in memory.
 *
 * @param {string} text
 */
export function textOf(text: string): string | Json;
/**
 * Return a text as JSON, shortened to the maximum length.
 *
 * @param {string} text
 * @returns {string}
 */
export function jsonOfText(text: string): string;
/**
 * Return the first `longest` characters of a text, followed by the number of characters left out.
 *
 * @param {string} text
 * @param {number} longest
 */
export function shortened(text: string, longest: number): string;
/**
 * Return the text that replaces a value that throws when it is read.
 *
 * @param {unknown} error
 */
export function unreadable(error: unknown): string;
/**
 * Return whether `value` is an error, including errors from other frames and contexts.
 *
 * @param {unknown} value
 * @returns {value is Error}
 */
export function isError(value: unknown): value is Error;
/**
 * Return whether an object is plain: created by a literal, or without a prototype.
 *
 * @param {object} value
 */
export function isPlain(value: object): boolean;
export const MAX_MEMBERS: 1000;
/** Text that is already JSON. */
export class Json {
    /** @param {string} text */
    constructor(text: string);
    text: string;
}
/**
 * The state of rendering: the objects that contain the current value, and how many characters may still be added.
 */
export type Rendering = {
    within: object[];
    budget: number;
};
