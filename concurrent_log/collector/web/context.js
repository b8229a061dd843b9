// The panel with the records that the same process logged before and after a record, regardless of the filters.

import { useRequest } from "./request.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Panel, Pending } from "./panel.js";
import { columnWidths, Row } from "./row.js";

const STEP = 20;

export function ContextPanel({ id, zone, actions, columns, onClose }) {
  const [number, setNumber] = useState(STEP);
  const path = `logs/${encodeURIComponent(id)}/context`;
  const [response, error, reload] = useRequest(path, `before=${number}&after=${number}`);
  return html`<${Panel} title="Surrounding records" onClose=${onClose} className="wide">
    ${response ? html`<${Lines} records=${response.logs} ...${{ id, zone, actions, columns }} />`
      : html`<${Pending} error=${error} reload=${reload} />`}
    ${response?.logs.length > number && number < 100 && html`
      <p><button onClick=${() => setNumber(number + STEP)}>More records</button></p>`}
  <//>`;
}

function Lines({ records, id, zone, actions, columns }) {
  const [open, setOpen] = useState(null);
  const container = useRef();
  useEffect(() => container.current.querySelector(".selected")?.scrollIntoView({ block: "center" }), []);
  const { service, host, process_id: process } = records.find((record) => record.id === id) ?? {};
  const names = [service, host, process && `process ${process}`].filter(Boolean).join(" · ");
  return html`
    <p class="subject"><code>${names}</code> oldest first, without filters</p>
    <div class="context" role="grid" aria-label="Surrounding records" ref=${container}
        style=${columnWidths(columns, records, zone)}>
      ${records.map((record, index) => html`<div role="rowgroup" key=${record.id}>
        <${Row} ...${{ record, index, zone, actions, columns }} words=${[]} isSelected=${record.id === id}
          isOpen=${open === record.id} onToggle=${() => setOpen(open === record.id ? null : record.id)} />
      </div>`)}
    </div>`;
}
