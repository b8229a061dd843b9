/**
 * Return a copy of the fields of a logging call, which later changes by the program do not affect. Never throws.
 *
 * @param {unknown} given an object or an error; any other value becomes the field `fields`
 * @param {unknown} [message] adds its fields if it is an error
 * @returns {Fields}
 */
export function fieldsOf(given: unknown, message?: unknown): Fields;
/**
 * Return the message as text. Never throws.
 *
 * @param {unknown} message
 * @returns {string | Json}
 */
export function messageOf(message: unknown): string | Json;
/**
 * Return the text of a message of any kind; objects are JSON.
 *
 * @param {unknown} value
 * @returns {string}
 */
export function messageText(value: unknown): string;
/**
 * Return a record with shortened texts, for a server that rejects it as too large.
 *
 * @param {string} json
 * @param {number} longest maximum characters of each text
 */
export function shortenedRecord(json: string, longest: number): string;
/** A record in the queue. */
export class Entry {
    /**
     * @param {string | Json} level
     * @param {string | Json} message
     * @param {Fields} fields
     * @param {BoundFields} bound
     * @param {number} sequence
     * @param {Error | null} caller
     */
    constructor(level: string | Json, message: string | Json, fields: Fields, bound: BoundFields, sequence: number, caller: Error | null);
    time: number;
    level: string | Json;
    message: string | Json;
    fields: Fields;
    bound: BoundFields;
    sequence: number;
    caller: Error | null;
    /** The record as JSON, once it is rendered. @type {string | null} */
    json: string | null;
    /** The approximate size, in characters. */
    size: number;
    /** Render the record as JSON, and release its parts: `caller` keeps the functions on its stack in memory. */
    render(): void;
    #private;
}
/** The fields that a logger adds to each of its records. */
export class BoundFields {
    /** @param {Fields} fields */
    constructor(fields: Fields);
    fields: Fields;
    members: string;
    names: Set<string | number | boolean | Json | null>;
    /**
     * Return these fields and the fields of one record as members of a JSON object, each after a comma.
     *
     * @param {Fields} fields
     */
    membersWith(fields: Fields): string;
    /**
     * Return these fields, overridden by others.
     *
     * @param {Fields} fields
     */
    with(fields: Fields): BoundFields;
}
export type Rendering = import("./values.js").Rendering;
/**
 * Names and values in turn. Each value is a string, a finite number, a boolean, null, or JSON.
 */
export type Fields = (string | number | boolean | null | Json)[];
import { Json } from "./values.js";
