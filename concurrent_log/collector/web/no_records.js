// The list without records: the reason, and what the user can do.

import { totals } from "./histogram.js";
import { html } from "./html.js";
import { counted } from "./numbers.js";
import { filters, hasFilters, withoutFilters } from "./query.js";
import { useRequest } from "./request.js";
import { activeFilters } from "./search.js";
import { rangeName } from "./times.js";

export function NoRecords({ query, go, zone }) {
  const [newest, error] = useRequest("logs", "limit=1");
  if (error || !newest) return html`<div class="empty" role="status"></div>`;
  return newest.logs.length ? html`<${NoneFound} ...${{ query, go, zone }} />` : html`<${EmptyStore} />`;
}

function NoneFound({ query, go, zone }) {
  const filtered = hasFilters(query) ? " matches the filters" : " is in this range";
  return html`<div class="empty" role="status">
    <h2>No records found</h2>
    <p>There are records, but none${filtered} (${rangeName(query, zone)}).</p>
    <p class="choices-row">
      ${hasFilters(query) && html`<button onClick=${() => go(withoutFilters(query))}>Clear filters</button>`}
      ${query.since !== "7d" && html`<button onClick=${() => go({ since: "7d", until: "" })}>Last 7 days</button>`}
      ${query.since !== "all" && html`<button onClick=${() => go({ since: "all", until: "" })}>All time</button>`}
    </p>
    <p class="choices-row">
      ${activeFilters(query).map(([text, change]) => html`<${Without} key=${text} ...${{ query, go, text, change }} />`)}
    </p>
  </div>`;
}

/** Offer the query without one of its filters, if that has records. */
function Without({ query, go, text, change }) {
  const parameters = filters({ ...query, ...change });
  parameters.set("buckets", 1);
  const [found] = useRequest("histogram", parameters.toString());
  const number = Object.values(totals(found)).reduce((all, each) => all + each, 0);
  return number > 0 && html`<button onClick=${() => go(change)}>${counted(number, "record")} without
    <code> ${text}</code></button>`;
}

function EmptyStore() {
  const url = document.baseURI.replace(/[?#].*$/, "").replace(/\/$/, "");
  return html`<div class="empty" role="status">
    <h2>No records yet</h2>
    <p>This server has received no records yet. Send a first one:</p>
    <pre>${`curl ${url}/logs -H 'Content-Type: application/json' \\
  -d '{"logs": [{"level": "INFO", "service": "shop", "message": "hello"}]}'`}</pre>
    <p>or from Python:</p>
    <pre>${`import logging
from concurrent_log.collector import CollectorHandler

logging.basicConfig(level=logging.INFO, handlers=[CollectorHandler("${url}", service="shop")])
logging.info("hello")`}</pre>
    <p class="hint">If the server requires a token, curl also needs <code>-H 'Authorization: Bearer TOKEN'</code>, and
      the handler <code>token=…</code>. Press <kbd>n</kbd> to reload.</p>
  </div>`;
}
