// The list of records: the column heads, the visible rows, and the end of the list.

import { NoRecords } from "./no_records.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { counted } from "./numbers.js";
import { columnWidths, Gap, Row } from "./row.js";
import { wordsOf } from "./search.js";
import { justAfter, shortTime } from "./times.js";
import { VirtualList } from "./virtual_list.js";

const ROW = 24; // pixels, as in records.css

export function List({ query, go, records, settings, tail, reload, control, selection, actions }) {
  const { items } = records;
  const words = wordsOf(query.q);
  const row = (item, index) => item.gap
    ? html`<${Gap} number=${item.gap} onShow=${() => go(rangeOfGap(items, index))} />`
    : html`<${Row} record=${item} index=${index} words=${words} zone=${settings.zone} actions=${actions}
        columns=${query.column} isSelected=${item.id === selection.selected} isOpen=${selection.open.has(item.id)}
        onToggle=${() => actions.toggle(item.id)} />`;
  const widths = columnWidths(query.column, items, settings.zone);
  return html`<main class="list ${settings.wrap ? "wrapped" : ""}" style=${widths}>
    ${records.state === "loading" && html`<div class="progress" role="progressbar" aria-label="Loading"></div>`}
    ${tail.missed > 0 && html`<button class="badge" onClick=${reload}>
      <${Icon} name="up" /> ${counted(tail.missed, "new record")}</button>`}
    <${VirtualList} items=${items} row=${row} estimate=${ROW} control=${control} onEnd=${() => records.older()}
      onScroll=${(isAtTop) => isAtTop || tail.pause()}
      head=${html`<${Head} columns=${query.column} onRemove=${actions.column} />`}
      foot=${html`<${Foot} ...${{ query, go, records, zone: settings.zone }} />`}
      role="grid" aria-label="Log records, newest first" aria-rowcount=${records.isAtEnd ? items.length + 1 : -1}
      aria-activedescendant=${selection.selected && `record-${selection.selected}`} />
  </main>`;
}

function Head({ columns, onRemove }) {
  return html`<div class="head" role="rowgroup"><div class="row" role="row" aria-rowindex="1">
    <span role="columnheader">Time</span><span role="columnheader">Level</span><span role="columnheader">Service</span>
    ${columns.map((key) => html`<span key=${key} role="columnheader" class="column" title=${key}><span>${key}</span>
      <button class="tool" aria-label=${`Remove the column ${key}`} title="Remove" onClick=${() => onRemove(key)}>
        <${Icon} name="close" /></button></span>`)}
    <span role="columnheader">Message</span>
  </div></div>`;
}

function Foot({ query, go, records, zone }) {
  const { items, state, error } = records;
  if (state === "failed") {
    return html`<div class="foot error-message" role="alert">${error.message}
      <button onClick=${() => records.load(query)}>Try again</button></div>`;
  }
  if (state === "loading") return html`<div class="foot hint">Loading …</div>`;
  if (!items.length) return html`<${NoRecords} query=${query} go=${go} zone=${zone} />`;
  const number = counted(items.length, "record");
  if (records.isAtEnd) return html`<div class="foot hint">${number}: no more in this range.</div>`;
  const last = items.findLast((item) => !item.gap);
  if (!records.isFull) return html`<div class="foot"><button onClick=${() => records.older()}>Older</button></div>`;
  return html`<div class="foot hint">${number} are the maximum of one list.
    <button onClick=${() => go({ since: "all", until: justAfter(last.created_at), live: "" })}>
      Continue before ${shortTime(last.created_at, zone)}</button></div>`;
}

/** Return the range from the record below a gap to the record above it, including both. */
function rangeOfGap(items, index) {
  const above = items.slice(0, index).findLast((item) => !item.gap);
  const below = items.slice(index).find((item) => !item.gap);
  return { live: "", since: below?.created_at ?? "1h", until: above ? justAfter(above.created_at) : "" };
}
