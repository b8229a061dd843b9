// Numbers and sizes in readable form.

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

/** Return 12345 as "12,345". */
export function count(number) {
  return WHOLE.format(number);
}

/** Return "1 record", "2 records". */
export function counted(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** Return a rate, with a decimal digit if it is small. */
export function rate(number) {
  return number > 0 && number < 10 ? number.toFixed(1) : count(number);
}

/** Return bytes as "70.0 MiB". */
export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, number)) / 10));
  return power === 0 ? `${number} B` : `${(number / 1024 ** power).toFixed(1)} ${units[power]}`;
}
