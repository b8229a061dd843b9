// The query in the address of the page. Its parameters have the names that they have in the server's API.

const SINGLE = ["since", "until", "level", "trace_id", "q"];
const LISTS = ["service", "environment", "host", "where", "column"];
const VIEWS = ["trace", "around", "groups", "services", "health", "keys", "live"];
const MAX_TEXT = 1000; // characters of a search text

/** The default range. */
export const DEFAULT_SINCE = "1h";

/** The server's placeholder for the parts of a group's messages that vary. */
export const PLACEHOLDER = "<*>";

/** The name of the logger of health monitors. */
const HEALTH_LOGGER = "concurrent_log.health";

/** Columns with a filter of their own. The parameter `where` filters by all other columns and attributes. */
export const FACETS = ["service", "environment", "host"];

/** Read a query from the part of an address that begins with "?". */
export function parse(search) {
  const found = new URLSearchParams(search);
  const query = {};
  for (const name of [...SINGLE, ...VIEWS]) query[name] = found.get(name) ?? "";
  for (const name of LISTS) query[name] = [...new Set(found.getAll(name))];
  query.since ||= query.until ? "all" : DEFAULT_SINCE;
  return query;
}

/** Write a query as the part of an address that begins with "?"; the default query is "". */
export function write(query) {
  const written = parameters(query, [...SINGLE, ...LISTS, ...VIEWS]);
  const isDefault = query.since === (query.until ? "all" : DEFAULT_SINCE);
  if (isDefault) written.delete("since");
  const text = written.toString();
  return text && `?${text}`;
}

/** Return the filters of a query as parameters of a request. */
export function filters(query, without = []) {
  const names = [...SINGLE, ...LISTS].filter((name) => name !== "column" && !without.includes(name));
  const written = parameters(query, names);
  if (written.get("since") === "all") written.delete("since");
  return written;
}

function parameters(query, names) {
  const written = new URLSearchParams();
  for (const name of names) {
    for (const value of [query[name]].flat()) if (value) written.append(name, value);
  }
  return written;
}

/** Return the query without its filters; the range, the columns and the views stay. */
export function withoutFilters(query) {
  return { ...query, level: "", trace_id: "", q: "", service: [], environment: [], host: [], where: [] };
}

export function hasFilters(query) {
  return ["level", "trace_id", "q", "service", "environment", "host", "where"].some((name) => query[name].length > 0);
}

/** Return the query that finds only records in which `key` is `value`. */
export function including(query, key, value) {
  if (FACETS.includes(key)) return { ...query, [key]: [value] };
  if (key === "trace_id") return { ...query, trace_id: value };
  return { ...query, where: added(without(query.where, `${key}!=${value}`), `${key}=${value}`) };
}

/** Return the query that finds only records in which `key` is not `value`. */
export function excluding(query, key, value) {
  const changed = FACETS.includes(key) ? { [key]: without(query[key], value) } : {};
  return { ...query, ...changed, where: added(without(query.where, `${key}=${value}`), `${key}!=${value}`) };
}

/** Return the query for the records of a group: its level, its error type, and the words of its messages, in any order. */
export function groupQuery(query, { level, error_type: type, message }) {
  const same = including(including(query, "level", level), "error_type", type);
  const words = message.split(PLACEHOLDER).flatMap((part) => part.split(/["\r\n]/)).map((part) => part.trim());
  const terms = words.filter((part) => /[\p{L}\p{N}]/u.test(part)).map((part) => `"${part.replaceAll("\\", "\\\\")}"`);
  const join = (text, term) => (text.length + term.length < MAX_TEXT ? `${text} ${term}`.trim() : text);
  return { ...same, level, q: [...new Set(terms)].reduce(join, query.q) };
}

/** Return the query for the records of a program's monitor: all of them, or those about the service `name`. */
export function monitorQuery(query, program, name) {
  const fields = Object.entries(program).filter(([key]) => [...FACETS, "process_id"].includes(key));
  const known = fields.filter(([, value]) => value !== null);
  const same = known.reduce((found, [key, value]) => including(found, key, value), withoutFilters(query));
  const found = including(same, "logger", HEALTH_LOGGER);
  return name ? including(found, "health.service", name) : found;
}

/** Return the query with a column added, or removed if the query has it. */
export function withColumn(query, key) {
  const isShown = query.column.includes(key);
  return { ...query, column: isShown ? without(query.column, key) : added(query.column, key) };
}

export function added(list, value) {
  return list.includes(value) ? list : [...list, value];
}

export function without(list, value) {
  return list.filter((each) => each !== value);
}
