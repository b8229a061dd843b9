// Times and durations in readable form. The server's times are in UTC with microseconds. A Date has only milliseconds, so
// the fraction of a second is read from the text.

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const UNITS = { s: ["second", 1], m: ["minute", 60], h: ["hour", 3600], d: ["day", 86400], w: ["week", 604800] };

const pad = (number) => String(number).padStart(2, "0");

function parts(date, zone) {
  return zone === "utc"
    ? [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(),
       date.getUTCSeconds()]
    : [date.getFullYear(), date.getMonth(), date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()];
}

/** Return "10:07:49.123", preceded by the day if it is not today. */
export function shortTime(iso, zone, now = new Date()) {
  const [year, month, day, hour, minute, second] = parts(new Date(iso), zone);
  const today = parts(now, zone);
  const clock = `${pad(hour)}:${pad(minute)}:${pad(second)}.${fraction(iso).slice(0, 3)}`;
  if (year !== today[0]) return `${year}-${pad(month + 1)}-${pad(day)} ${clock}`;
  return month === today[1] && day === today[2] ? clock : `${MONTHS[month]} ${pad(day)} ${clock}`;
}

/** Return "10:07:49", preceded by the day if it is not today. */
export function toSecond(iso, zone) {
  return shortTime(iso, zone).replace(/\.\d+$/, "");
}

/** Return the time in full, with microseconds and the zone. */
export function fullTime(iso, zone) {
  const [year, month, day, hour, minute, second] = parts(new Date(iso), zone);
  const clock = `${pad(hour)}:${pad(minute)}:${pad(second)}.${fraction(iso)}`;
  return `${year}-${pad(month + 1)}-${pad(day)} ${clock} ${zone === "utc" ? "UTC" : offset(new Date(iso))}`;
}

function fraction(iso) {
  return (/\.(\d+)/.exec(iso)?.[1] ?? "").padEnd(6, "0").slice(0, 6);
}

function offset(date) {
  const minutes = -date.getTimezoneOffset();
  const size = Math.abs(minutes);
  return `UTC${minutes < 0 ? "−" : "+"}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

/** Return a time from the server in microseconds since 1970. */
export function microseconds(iso) {
  return Math.floor(Date.parse(iso) / 1000) * 1e6 + Number(fraction(iso));
}

/** Return a time in the format of the server. */
export function isoFromSeconds(seconds) {
  return new Date(Math.round(seconds * 1000)).toISOString();
}

/** Return the moment right after `iso`, so that "before it" includes everything at `iso`. */
export function justAfter(iso) {
  const next = Number(fraction(iso)) + 1;
  const second = Math.floor(Date.parse(iso) / 1000) + Math.floor(next / 1e6);
  return `${new Date(second * 1000).toISOString().slice(0, 19)}.${String(next % 1e6).padStart(6, "0")}Z`;
}

/** Return the seconds of a relative time such as "15m", or null if the text is not one. */
export function secondsAgo(text) {
  const found = /^(\d+)([smhdw])$/.exec(text);
  return found && Number(found[1]) * UNITS[found[2]][1];
}

/** Return a number of seconds as a relative time such as "15m", in the largest unit that is exact. */
export function agoText(seconds) {
  const [unit, [, length]] = Object.entries(UNITS).findLast(([, [, each]]) => seconds % each === 0);
  return `${seconds / length}${unit}`;
}

/** Return "last 15 minutes", "all time", or the two ends of an absolute range. */
export function rangeName(query, zone) {
  if (!query.until) return query.since === "all" ? "all time" : sinceName(query.since, zone);
  const until = boundary(query.until, zone);
  return query.since === "all" ? `until ${until}` : `${boundary(query.since, zone)} – ${until}`;
}

function sinceName(since, zone) {
  const found = /^(\d+)([smhdw])$/.exec(since);
  if (!found) return `since ${boundary(since, zone)}`;
  const unit = UNITS[found[2]][0];
  return found[1] === "1" ? `last ${unit}` : `last ${found[1]} ${unit}s`;
}

function boundary(text, zone) {
  if (secondsAgo(text)) return `${text} ago`;
  return Number.isNaN(Date.parse(text)) ? text : shortTime(text, zone).replace(/\.000$/, "");
}

/** Return the seconds since a time; 0 for a time in the future. */
export function secondsSince(iso, now = Date.now()) {
  return Math.max(0, (now - Date.parse(iso)) / 1000);
}

/** Return how long ago a time is, in one unit. */
export function ago(iso, now = Date.now()) {
  const seconds = secondsSince(iso, now);
  return seconds < 1 ? "now" : `${length(seconds)} ago`;
}

/** Return a number of seconds, in one unit. */
export function length(seconds) {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

/** Return a number of milliseconds with a useful number of digits. */
export function duration(milliseconds) {
  if (milliseconds === 0) return "0 ms";
  if (milliseconds < 1) return `${Math.round(milliseconds * 1000)} µs`;
  if (milliseconds < 1000) return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
  return milliseconds < 120000 ? `${(milliseconds / 1000).toFixed(2)} s` : `${(milliseconds / 60000).toFixed(1)} min`;
}

/** Return the value of an <input type="datetime-local"> in the format of the server; "" if it is empty. */
export function fromInput(text, zone) {
  if (!text) return "";
  return new Date(zone === "utc" ? `${text}Z` : text).toISOString();
}

/** Return a time as the value of an <input type="datetime-local">. */
export function toInput(date, zone) {
  const [year, month, day, hour, minute, second] = parts(date, zone);
  return `${year}-${pad(month + 1)}-${pad(day)}T${pad(hour)}:${pad(minute)}:${pad(second)}`;
}
