// The panel of a trace: the records of all services with one trace id, oldest first.

import { useRequest } from "./request.js";
import { Detail } from "./detail.js";
import { html, useState } from "./html.js";
import { levelClass } from "./levels.js";
import { counted } from "./numbers.js";
import { Panel, Pending } from "./panel.js";
import { duration, fullTime, microseconds } from "./times.js";
import { MAX_LINE } from "./values.js";

const MAX_STEPS = 1000;
const HUES = 8;

export function TracePanel({ id, zone, actions, columns, onClose }) {
  const parameters = new URLSearchParams({ trace_id: id, order: "asc", limit: MAX_STEPS }).toString();
  const [response, error, reload] = useRequest("logs", parameters);
  return html`<${Panel} title="Trace" onClose=${onClose} className="wide">
    <p class="subject"><code>${id}</code>
      <button class="link" onClick=${() => actions.listTrace(id)}>Show in the list</button></p>
    ${response ? html`<${Steps} records=${response.logs} isMore=${response.next} ...${{ zone, actions, columns }} />`
      : html`<${Pending} error=${error} reload=${reload} />`}
  <//>`;
}

function Steps({ records, isMore, zone, ...rest }) {
  if (!records.length) return html`<p class="hint">No record has this trace id.</p>`;
  const services = [...new Set(records.map(({ service }) => service))];
  const begin = microseconds(records[0].created_at);
  const length = microseconds(records.at(-1).created_at) - begin;
  return html`
    <p class="summary">${counted(records.length, "record")} of ${counted(services.length, "service")} in ${
      duration(length / 1000)}, from ${fullTime(records[0].created_at, zone)}</p>
    <ol class="steps" aria-label="Records of the trace">${records.map((record) => html`<${Step} key=${record.id}
      ...${{ record, begin, length, zone, ...rest }} hue=${services.indexOf(record.service) % HUES} />`)}</ol>
    ${isMore && html`<p class="hint">These are the first ${counted(MAX_STEPS, "record")}. The list shows all of them.</p>`}`;
}

function Step({ record, begin, length, hue, zone, actions, columns }) {
  const [isOpen, setOpen] = useState(false);
  const after = microseconds(record.created_at) - begin;
  const at = length ? (after / length) * 100 : 0;
  return html`<li class="${levelClass(record.level)} hue-${hue}">
    <button class="step" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>
      <span class="after">+${duration(after / 1000)}</span>
      <span class="track" aria-hidden="true"><span class="bar" style=${bar(record, at, length)}></span></span>
      <span class="service">${record.service}</span>
      <span class="name">${record.level}</span>
      <span class="message">${(record.message ?? "").slice(0, MAX_LINE)}</span>
    </button>
    ${isOpen && html`<${Detail} ...${{ record, zone, actions, columns }} />`}
  </li>`;
}

// A record with a duration is logged at the end of that duration.
function bar({ duration_ms: took }, at, length) {
  const width = took && length ? Math.min(at, ((Number(took) * 1000) / length) * 100) : 0;
  return { left: `${at - width}%`, width: `${width}%` };
}
