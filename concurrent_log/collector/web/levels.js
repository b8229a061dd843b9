// The levels, from the least to the most serious, and their CSS classes, to which the theme gives colours.

export const LEVELS = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];

/** Return the class that gives an element the colour of a level; an unknown level has none. */
export function levelClass(level) {
  return LEVELS.includes(level) ? `level level-${level.toLowerCase()}` : "level";
}
