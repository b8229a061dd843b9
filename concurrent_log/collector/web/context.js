// What the same process logged right before and after a record, whatever the filters are.

import { useAnswer } from "./request.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { Panel, Pending } from "./panel.js";
import { columnWidths, Row } from "./row.js";

const STEP = 20;

export function AroundPanel({ id, zone, actions, columns, onClose }) {
  const [number, setNumber] = useState(STEP);
  const path = `logs/${encodeURIComponent(id)}/context`;
  const [answer, trouble, again] = useAnswer(path, `before=${number}&after=${number}`);
  return html`<${Panel} title="Lines around this" onClose=${onClose} className="wide">
    ${answer ? html`<${Lines} records=${answer.logs} ...${{ id, zone, actions, columns }} />`
      : html`<${Pending} trouble=${trouble} again=${again} />`}
    ${answer?.logs.length > number && number < 100 && html`
      <p><button onClick=${() => setNumber(number + STEP)}>More lines</button></p>`}
  <//>`;
}

function Lines({ records, id, zone, actions, columns }) {
  const [open, setOpen] = useState(null);
  const place = useRef();
  useEffect(() => place.current.querySelector(".selected")?.scrollIntoView({ block: "center" }), []);
  const { service, host, process_id: process } = records.find((record) => record.id === id) ?? {};
  const names = [service, host, process && `process ${process}`].filter(Boolean).join(" · ");
  return html`
    <p class="subject"><code>${names}</code> oldest first, without any filter</p>
    <div class="around" role="grid" aria-label="Lines around this" ref=${place}
        style=${columnWidths(columns, records, zone)}>
      ${records.map((record, index) => html`<div role="rowgroup" key=${record.id}>
        <${Row} ...${{ record, index, zone, actions, columns }} words=${[]} isSelected=${record.id === id}
          isOpen=${open === record.id} onToggle=${() => setOpen(open === record.id ? null : record.id)} />
      </div>`)}
    </div>`;
}
