export const clearTimeout: typeof globalThis.clearTimeout;
export const setTimeout: typeof globalThis.setTimeout;
/** Text of a value as JSON. */
export const toJson: {
    (value: any, replacer?: (this: any, key: string, value: any) => any, space?: string | number): string;
    (value: any, replacer?: (number | string)[] | null, space?: string | number): string;
};
/** Milliseconds since 1970, by a clock that may be set back. */
export const now: () => number;
/** Milliseconds since some moment, by a clock that only goes on. */
export const ticks: () => DOMHighResTimeStamp;
