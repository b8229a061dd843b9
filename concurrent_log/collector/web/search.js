// The search field, and the active filters, each with a button that removes it.

import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import { FACETS, hasFilters, without, withoutFilters } from "./query.js";

const QUOTED = String.raw`"(?:[^"\\]|\\.)*"`;
const COMPARISON = new RegExp(
  String.raw`(?:${QUOTED}|[\p{L}_@][\p{L}\p{N}_.@$/-]*)(?:\s*(?:[!<>]=|!~|[=<>~])\s*|:(?!//)(?=[^\s:]))` +
    String.raw`(?:\([^)]*\)|${QUOTED}|[^\s()"]+)`, "gsu");
const EXCLUDED = new RegExp(String.raw`(^|[\s(])(?:-|NOT\s+)(?:\([^)]*\)|${QUOTED}|[^\s()"]+)`, "gsu");
const WORD = new RegExp(String.raw`${QUOTED}|[^\s()"*]+`, "gsu");

/** Return the texts that a record of the result contains for a query in the query language, to highlight them. */
export function wordsOf(text) {
  const found = text.replace(COMPARISON, " ").replace(EXCLUDED, "$1 ").match(WORD) ?? [];
  const words = found.filter((word) => !["AND", "OR", "NOT"].includes(word));
  return words.map((word) => (word[0] === '"' ? word.slice(1, -1).replace(/\\(["\\])/g, "$1") : word)).filter(Boolean);
}

export function SearchLine({ query, go }) {
  const [typed, setTyped] = useState(query.q);
  useEffect(() => setTyped(query.q), [query.q]);
  const onSubmit = (event) => {
    event.preventDefault();
    go({ q: typed.trim() });
    document.querySelector(".scroll").focus(); // So that keyboard shortcuts work at once.
  };
  return html`<form class="search" role="search" onSubmit=${onSubmit}>
    <${Icon} name="search" />
    <input id="search" type="search" value=${typed} aria-label="Search: words, key=value, key>5, -word, OR"
      placeholder="Search: words, key=value, key>5, -word, OR" autocomplete="off" spellcheck=${false} enterkeyhint="search"
      onInput=${(event) => setTyped(event.target.value)} onSearch=${(event) => event.target.value || go({ q: "" })} />
    <kbd aria-hidden="true">/</kbd>
  </form>`;
}

export function Chips({ query, go }) {
  if (!hasFilters(query)) return null;
  return html`<ul class="chips" aria-label="Active filters">
    ${activeFilters(query).map(([text, rest]) => html`<li key=${text} class=${/^[^=]*!=/.test(text) ? "chip not" : "chip"}>
      <span>${/=$/.test(text) ? `${text}""` : text}</span>
      <button aria-label=${`Remove ${text}`} title="Remove" onClick=${() => go(rest)}><${Icon} name="close" /></button>
    </li>`)}
    <li><button class="link" onClick=${() => go(withoutFilters(query))}>Clear all</button></li>
  </ul>`;
}

/** Return the text of each filter, and the change that removes it. */
export function activeFilters(query) {
  const found = [];
  if (query.q) found.push([`text: ${query.q}`, { q: "" }]);
  if (query.level) found.push([`level ≥ ${query.level}`, { level: "" }]);
  if (query.trace_id) found.push([`trace_id=${query.trace_id}`, { trace_id: "" }]);
  for (const key of FACETS) {
    if (query[key].length) found.push([`${key}=${query[key].join(" or ")}`, { [key]: [] }]);
  }
  return [...found, ...query.where.map((each) => [each, { where: without(query.where, each) }])];
}
