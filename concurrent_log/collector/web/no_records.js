// What stands in the list where there is no record: why, and what to do about it.

import { useAnswer } from "./request.js";
import { html } from "./html.js";
import { hasFilters, withoutFilters } from "./query.js";
import { rangeName } from "./times.js";

export function Empty({ query, go, zone }) {
  const [anything, trouble] = useAnswer("logs", "limit=1");
  if (trouble || !anything) return html`<div class="empty" role="status"></div>`;
  return anything.logs.length ? html`<${NothingHere} ...${{ query, go, zone }} />` : html`<${NothingYet} />`;
}

function NothingHere({ query, go, zone }) {
  const why = hasFilters(query) ? " that the filters let through" : "";
  return html`<div class="empty" role="status">
    <h2>Nothing found</h2>
    <p>The store has records, but none in this range (${rangeName(query, zone)})${why}.</p>
    <p class="choices-row">
      ${hasFilters(query) && html`<button onClick=${() => go(withoutFilters(query))}>Without the filters</button>`}
      ${query.since !== "7d" && html`<button onClick=${() => go({ since: "7d", until: "" })}>Last 7 days</button>`}
      ${query.since !== "all" && html`<button onClick=${() => go({ since: "all", until: "" })}>Everything</button>`}
    </p>
  </div>`;
}

function NothingYet() {
  const url = document.baseURI.replace(/[?#].*$/, "").replace(/\/$/, "");
  return html`<div class="empty" role="status">
    <h2>No records yet</h2>
    <p>This server has received nothing so far. Send it a first record:</p>
    <pre>${`curl ${url}/logs -H 'Content-Type: application/json' \\
  -d '{"logs": [{"level": "INFO", "service": "shop", "message": "hello"}]}'`}</pre>
    <p>or from Python:</p>
    <pre>${`import logging
from concurrent_log.collector import CollectorHandler

logging.basicConfig(level=logging.INFO, handlers=[CollectorHandler("${url}", service="shop")])
logging.info("hello")`}</pre>
    <p class="hint">Where the server has a token, curl also needs <code>-H 'Authorization: Bearer TOKEN'</code>, and the
      handler <code>token=…</code>. Press <kbd>n</kbd> to look again.</p>
  </div>`;
}
