// The panel of the pipeline's health: the size of the store, the services, the programs that send, and the records lost.

import { useRequest } from "./request.js";
import { html } from "./html.js";
import { LEVELS, levelClass } from "./levels.js";
import { bytes, count, rate } from "./numbers.js";
import { Panel, Pending } from "./panel.js";
import { ago, fullTime } from "./times.js";

const INTERVAL = 5000; // milliseconds
const SILENT = 15 * 60000; // milliseconds without records after which a service is highlighted

export function HealthPanel({ zone, onClose }) {
  const [stats, error, reload] = useRequest("stats", "", INTERVAL);
  return html`<${Panel} title="Pipeline health" onClose=${onClose} className="health">
    ${(error || !stats) && html`<${Pending} error=${error} reload=${reload} />`}
    ${stats && html`
      <${Figures} stats=${stats} />
      <${Services} services=${stats.services} zone=${zone} />
      <${Senders} senders=${stats.senders} zone=${zone} />
      <${Losses} drops=${stats.drops} zone=${zone} />
      <${Changes} changes=${stats.changes} zone=${zone} />
      <${Partitions} partitions=${stats.partitions} />`}
  <//>`;
}

function Figures({ stats }) {
  const levels = new Map(stats.level_distribution.map((each) => [each.level, each.count]));
  return html`<dl class="figures">
    <${Figure} name="Records" value=${(stats.is_estimate ? "≈ " : "") + count(stats.total_logs)} />
    <${Figure} name="Incoming" value=${rate(stats.records_per_second)} unit="/s" />
    <${Figure} name="Store" value=${bytes(stats.size_bytes)} />
    <${Figure} name="Errors, last hour" value=${count(stats.recent_errors_1h)} />
  </dl>
  <dl class="figures">
    ${LEVELS.filter((level) => levels.has(level)).map((level) => html`
      <${Figure} key=${level} name=${level} value=${count(levels.get(level))} className=${levelClass(level)} />`)}
  </dl>`;
}

function Figure({ name, value, unit, className }) {
  return html`<div class=${className}><dt>${name}</dt><dd>${value}${unit && html` <small>${unit}</small>`}</dd></div>`;
}

function Services({ services, zone }) {
  if (!services.length) return html`<p class="hint">No service has sent records yet.</p>`;
  return html`<${Table} caption="Services" heads=${["Service", "Last seen", "Records"]}>
    ${services.map(({ service, last_seen: seen, records }) => html`<tr key=${service}>
      <td>${service || "(no name)"}</td>
      <${LastSeen} at=${seen} zone=${zone} />
      <td class="number">${count(records)}</td>
    </tr>`)}
  <//>`;
}

function Senders({ senders, zone }) {
  if (!senders.length) return null;
  return html`<${Table} caption="Senders, with their format" heads=${["Program", "Service", "Last seen"]}>
    ${senders.map(({ service, name, count: clients, last_seen: seen }) => html`<tr key=${`${service} ${name}`}>
      <td>${name || "(no name)"}${clients > 1 && html` <small>× ${count(clients)}</small>`}</td>
      <td>${service || "(no name)"}</td>
      <td title=${fullTime(seen, zone)}>${ago(seen)}</td>
    </tr>`)}
  <//>`;
}

function LastSeen({ at, zone }) {
  const isSilent = Date.now() - Date.parse(at) > SILENT;
  return html`<td class=${isSilent ? "old" : ""} title=${fullTime(at, zone)}>${ago(at)}</td>`;
}

function Losses({ drops, zone }) {
  if (!drops.length) return html`<p class="hint">No client has reported lost records.</p>`;
  return html`<${Reports} caption="Records lost by clients" reports=${drops} zone=${zone} className="number lost" />`;
}

function Changes({ changes, zone }) {
  if (!changes.length) return null;
  return html`<${Reports} caption="Records divided or shortened" reports=${changes} zone=${zone} className="number" />`;
}

function Reports({ caption, reports, zone, className }) {
  return html`<${Table} caption=${caption} heads=${["Client", "Reason", "Last", "Records"]}>
    ${reports.map((report) => html`<tr key=${`${report.client} ${report.reason}`}>
      <td title=${report.client}>${clientName(report)}</td><td>${report.reason}</td>
      <td title=${fullTime(report.last_seen, zone)}>${ago(report.last_seen)}</td>
      <td class=${className}>${count(report.records)}</td>
    </tr>`)}
  <//>`;
}

function clientName({ service, host, name, client }) {
  return [service, host].filter(Boolean).join(" · ") || name || client || "unknown";
}

function Partitions({ partitions }) {
  if (!partitions.length) return null;
  return html`<${Table} caption="Partitions" heads=${["Partition", "Size", "Records"]}>
    ${partitions.map((each) => html`<tr key=${each.name}><td>${each.name}</td><td>${bytes(each.bytes)}</td>
      <td class="number">≈ ${count(each.records)}</td></tr>`)}
  <//>`;
}

function Table({ caption, heads, children }) {
  const kind = (head) => (head === "Records" ? "number" : "");
  return html`<table>
    <caption>${caption}</caption>
    <thead><tr>${heads.map((head) => html`<th key=${head} scope="col" class=${kind(head)}>${head}</th>`)}</tr></thead>
    <tbody>${children}</tbody>
  </table>`;
}
