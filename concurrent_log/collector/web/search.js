// The search field, and the active filters, each with a button that removes it.

import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import { condition, excluding, FACETS, hasFilters, including, without, withoutFilters } from "./query.js";

/** Return the query for a typed text: conditions become filters, the rest is the text to search for. */
export function searching(query, typed) {
  const words = [];
  let found = query;
  for (const part of typed.match(/(?:[^\s"]|"[^"]*")+|"/g) ?? []) {
    const [key, sign, value] = condition(part) ?? [];
    if (key) found = sign === "=" ? including(found, key, value) : excluding(found, key, value);
    else words.push(part);
  }
  return { ...found, q: words.join(" ") };
}

/** Return the terms of a search text: its words, and each text in double quotes as one term. */
export function wordsOf(text) {
  return [...text.matchAll(/"([^"]+)"|([^\s"]+|")/g)].map(([, quoted, word]) => quoted ?? word);
}

export function SearchLine({ query, go }) {
  const [typed, setTyped] = useState(query.q);
  useEffect(() => setTyped(query.q), [query.q]);
  const onSubmit = (event) => {
    event.preventDefault();
    const next = searching(query, typed);
    setTyped(next.q);
    go(next);
    document.querySelector(".scroll").focus(); // So that keyboard shortcuts work at once.
  };
  return html`<form class="search" role="search" onSubmit=${onSubmit}>
    <${Icon} name="search" />
    <input id="search" type="search" value=${typed} aria-label="Search: words, key=value or key!=value"
      placeholder="Search: words, key=value, key!=value" autocomplete="off" spellcheck=${false} enterkeyhint="search"
      onInput=${(event) => setTyped(event.target.value)} onSearch=${(event) => event.target.value || go({ q: "" })} />
    <kbd aria-hidden="true">/</kbd>
  </form>`;
}

export function Chips({ query, go }) {
  if (!hasFilters(query)) return null;
  return html`<ul class="chips" aria-label="Active filters">
    ${chips(query).map(([text, rest]) => html`<li key=${text} class=${/^[^=]*!=/.test(text) ? "chip not" : "chip"}>
      <span>${/=$/.test(text) ? `${text}""` : text}</span>
      <button aria-label=${`Remove ${text}`} title="Remove" onClick=${() => go(rest)}><${Icon} name="close" /></button>
    </li>`)}
    <li><button class="link" onClick=${() => go(withoutFilters(query))}>Clear all</button></li>
  </ul>`;
}

/** Return the text of each chip, and the change that removes its filter. */
function chips(query) {
  const found = [];
  if (query.q) found.push([`text: ${query.q}`, { q: "" }]);
  if (query.level) found.push([`level ≥ ${query.level}`, { level: "" }]);
  if (query.trace_id) found.push([`trace_id=${query.trace_id}`, { trace_id: "" }]);
  for (const key of FACETS) {
    if (query[key].length) found.push([`${key}=${query[key].join(" or ")}`, { [key]: [] }]);
  }
  return [...found, ...query.where.map((each) => [each, { where: without(query.where, each) }])];
}
