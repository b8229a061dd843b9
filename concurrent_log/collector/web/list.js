// The list of records: columns, what is in sight of it, and what stands at its end.

import { Empty } from "./no_records.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { counted } from "./numbers.js";
import { columnWidths, Gap, Row } from "./row.js";
import { wordsOf } from "./search.js";
import { justAfter, shortTime } from "./times.js";
import { VirtualList } from "./virtual_list.js";

const ROW = 24; // pixels, as in records.css

export function List({ query, go, records, settings, tail, again, control, marks, actions }) {
  const { items } = records;
  const words = wordsOf(query.q);
  const row = (item, index) => item.gap
    ? html`<${Gap} number=${item.gap} onShow=${() => go(around(items, index))} />`
    : html`<${Row} record=${item} index=${index} words=${words} zone=${settings.zone} actions=${actions}
        columns=${query.column} isSelected=${item.id === marks.selected} isOpen=${marks.open.has(item.id)}
        onToggle=${() => actions.toggle(item.id)} />`;
  const widths = columnWidths(query.column, items, settings.zone);
  return html`<main class="list ${settings.wrap ? "wrapped" : ""}" style=${widths}>
    ${records.state === "loading" && html`<div class="progress" role="progressbar" aria-label="Loading"></div>`}
    ${tail.missed > 0 && html`<button class="badge" onClick=${again}>
      <${Icon} name="up" /> ${counted(tail.missed, "new record")}</button>`}
    <${VirtualList} items=${items} row=${row} estimate=${ROW} control=${control} onEnd=${() => records.older()}
      onScroll=${(isAtTop) => isAtTop || tail.hold()}
      head=${html`<${Head} columns=${query.column} onRemove=${actions.column} />`}
      foot=${html`<${Foot} ...${{ query, go, records, zone: settings.zone }} />`}
      role="grid" aria-label="Log records, newest first" aria-rowcount=${records.isAtEnd ? items.length + 1 : -1}
      aria-activedescendant=${marks.selected && `record-${marks.selected}`} />
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
  const { items, state, trouble } = records;
  if (state === "failed") {
    return html`<div class="foot trouble" role="alert">${trouble.message}
      <button onClick=${() => records.load(query)}>Try again</button></div>`;
  }
  if (state === "loading") return html`<div class="foot hint">One moment …</div>`;
  if (!items.length) return html`<${Empty} query=${query} go=${go} zone=${zone} />`;
  const number = counted(items.length, "record");
  if (records.isAtEnd) return html`<div class="foot hint">${number}: that is all in this range.</div>`;
  const last = items.findLast((item) => !item.gap);
  if (!records.isFull) return html`<div class="foot"><button onClick=${() => records.older()}>Older</button></div>`;
  return html`<div class="foot hint">${number} are enough for one page.
    <button onClick=${() => go({ since: "all", until: justAfter(last.created_at), live: "" })}>
      Go on before ${shortTime(last.created_at, zone)}</button></div>`;
}

/** Return the range between the records above and below a gap, with both. */
function around(items, index) {
  const above = items.slice(0, index).findLast((item) => !item.gap);
  const below = items.slice(index).find((item) => !item.gap);
  return { live: "", since: below?.created_at ?? "1h", until: above ? justAfter(above.created_at) : "" };
}
