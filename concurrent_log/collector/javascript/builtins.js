// What programs put something else in place of, their tests above all, taken before they do.

export const { clearTimeout, setTimeout } = globalThis;

/** Text of a value as JSON. */
export const toJson = JSON.stringify;

/** Milliseconds since 1970, by a clock that may be set back. */
export const now = Date.now;

/** Milliseconds since some moment, by a clock that only goes on. */
export const ticks = performance.now.bind(performance);
