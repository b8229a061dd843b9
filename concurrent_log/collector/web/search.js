// The line to search with, and the filters that hold, each with a button to take it away.

import { html, useEffect, useState } from "./html.js";
import { Icon } from "./icons.js";
import { condition, excluding, FACETS, hasFilters, including, without, withoutFilters } from "./query.js";

/** Return the query with what somebody typed: conditions become filters, the rest is the text to look for. */
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

/** Return what of a text is searched for: its words, and what is in double quotes as one. */
export function wordsOf(text) {
  return [...text.matchAll(/"([^"]+)"|([^\s"]+|")/g)].map(([, quoted, word]) => quoted ?? word);
}

export function SearchLine({ query, go }) {
  const [typed, setTyped] = useState(query.q);
  useEffect(() => setTyped(query.q), [query.q]);
  const onSubmit = (event) => {
    event.preventDefault();
    const asked = searching(query, typed);
    setTyped(asked.q);
    go(asked);
    document.querySelector(".scroll").focus(); // So that the keys of the list work at once.
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
  return html`<ul class="chips" aria-label="Filters that hold">
    ${chips(query).map(([text, rest]) => html`<li key=${text} class=${/^[^=]*!=/.test(text) ? "chip not" : "chip"}>
      <span>${/=$/.test(text) ? `${text}""` : text}</span>
      <button aria-label=${`Remove ${text}`} title="Remove" onClick=${() => go(rest)}><${Icon} name="close" /></button>
    </li>`)}
    <li><button class="link" onClick=${() => go(withoutFilters(query))}>Clear all</button></li>
  </ul>`;
}

/** Return what each chip says, and the changes that take it away. */
function chips(query) {
  const some = [];
  if (query.q) some.push([`text: ${query.q}`, { q: "" }]);
  if (query.level) some.push([`level ≥ ${query.level}`, { level: "" }]);
  if (query.trace_id) some.push([`trace_id=${query.trace_id}`, { trace_id: "" }]);
  for (const key of FACETS) {
    if (query[key].length) some.push([`${key}=${query[key].join(" or ")}`, { [key]: [] }]);
  }
  return [...some, ...query.where.map((each) => [each, { where: without(query.where, each) }])];
}
