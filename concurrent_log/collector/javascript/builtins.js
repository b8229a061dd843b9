// Built-in functions as they are when this module is loaded: programs, above all their tests, replace some of them.

export const { clearTimeout, setTimeout } = globalThis;

/** Return a value as JSON text. */
export const toJson = JSON.stringify;

/** Return milliseconds since 1970. The clock may be set back. */
export const now = Date.now;

/** Return milliseconds since an arbitrary moment. The clock never goes back. */
export const monotonic = performance.now.bind(performance);
