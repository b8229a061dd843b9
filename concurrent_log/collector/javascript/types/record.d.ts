/**
 * Return a copy of what a caller said besides the message, which no later change of his can touch. Never throws.
 *
 * @param {unknown} said an object, or an error; anything else becomes the field `fields`
 * @param {unknown} [message] which may be an error, too
 * @returns {Fields}
 */
export function fieldsOf(said: unknown, message?: unknown): Fields;
/**
 * Return the message as text. Never throws.
 *
 * @param {unknown} message
 * @returns {string | Json}
 */
export function messageOf(message: unknown): string | Json;
/**
 * Return a record with texts of `longest` characters at most, for a server that takes no larger one.
 *
 * @param {string} json
 * @param {number} longest
 */
export function shortenedRecord(json: string, longest: number): string;
/** What waits to be sent. */
export class Entry {
    /**
     * @param {string | Json} level
     * @param {string | Json} message
     * @param {Fields} fields
     * @param {Bound} bound
     * @param {number} sequence
     * @param {Error | null} seen
     */
    constructor(level: string | Json, message: string | Json, fields: Fields, bound: Bound, sequence: number, seen: Error | null);
    time: number;
    level: string | Json;
    message: string | Json;
    fields: Fields;
    bound: Bound;
    sequence: number;
    seen: Error | null;
    /** The record as JSON, once it is rendered. @type {string | null} */
    json: string | null;
    /** About how many characters it takes. */
    size: number;
    /** Make the record JSON, and let go of what it was made of: `seen` keeps in memory what ran then. */
    render(): void;
    #private;
}
/** Fields that every record of a logger carries. */
export class Bound {
    /** @param {Fields} fields */
    constructor(fields: Fields);
    fields: Fields;
    members: string;
    names: Set<string | number | boolean | Json | null>;
    /**
     * Return the members of a record that has `fields` besides, each after a comma.
     *
     * @param {Fields} fields
     */
    membersWith(fields: Fields): string;
    /**
     * Return these fields and others, which count more.
     *
     * @param {Fields} fields
     */
    with(fields: Fields): Bound;
}
export type Rendering = import("./values.js").Rendering;
/**
 * Names and values by turns. Each value is text, a finite number, a boolean, null, or JSON.
 */
export type Fields = (string | number | boolean | null | Json)[];
import { Json } from "./values.js";
