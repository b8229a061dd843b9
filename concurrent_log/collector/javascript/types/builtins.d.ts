export const clearTimeout: typeof globalThis.clearTimeout;
export const setTimeout: typeof globalThis.setTimeout;
/** Return a value as JSON text. */
export const toJson: {
    (value: any, replacer?: (this: any, key: string, value: any) => any, space?: string | number): string;
    (value: any, replacer?: (number | string)[] | null, space?: string | number): string;
};
/** Return milliseconds since 1970. The clock may be set back. */
export const now: () => number;
/** Return milliseconds since an arbitrary moment. The clock never goes back. */
export const monotonic: () => DOMHighResTimeStamp;
