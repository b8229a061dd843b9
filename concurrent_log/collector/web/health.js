// The health of the pipeline: who sends and who fell silent, what was lost on the way, how much there is.

import { useAnswer } from "./asking.js";
import { html } from "./html.js";
import { LEVELS, levelClass } from "./levels.js";
import { bytes, count, rate } from "./numbers.js";
import { Panel, Pending } from "./panel.js";
import { ago, fullTime } from "./times.js";

const EVERY = 5000;

export function HealthPanel({ zone, onClose }) {
  const [stats, trouble, again] = useAnswer("stats", "", EVERY);
  return html`<${Panel} title="Health of the pipeline" onClose=${onClose}>
    ${trouble && html`<${Pending} trouble=${trouble} again=${again} />`}
    ${stats ? html`<${Figures} stats=${stats} /><${Services} ...${{ stats, zone }} /><${Drops} ...${{ stats, zone }} />`
      : !trouble && html`<${Pending} />`}
  <//>`;
}

function Figures({ stats }) {
  return html`<dl class="figures">
    <div><dt>Records</dt><dd>${count(stats.total)}</dd></div>
    <div><dt>Coming in</dt><dd>${rate(stats.rate)} <small>/s</small></dd></div>
    <div><dt>Store</dt><dd>${bytes(stats.size_bytes)}</dd></div>
    ${LEVELS.filter((level) => stats.levels[level]).map((level) => html`<div key=${level} class=${levelClass(level)}>
      <dt>${level}</dt><dd>${count(stats.levels[level])}</dd></div>`)}
  </dl>`;
}
function Services({ stats, zone }) {
  return html`<table><caption>Services</caption>
    <thead><tr><th>Service</th><th>Last seen</th><th class="number">Records</th></tr></thead>
    <tbody>${stats.services.map(({ service, last_seen: seen, records }) => html`<tr key=${service}>
      <td>${service}</td><td title=${fullTime(seen, zone)}>${ago(seen)}</td><td class="number">${count(records)}</td>
    </tr>`)}</tbody></table>`;
}
function Drops({ stats, zone }) {
  return html`<table><caption>Lost before they came here</caption><tbody>${stats.drops.map((d) => html`<tr><td>${d.client}</td><td>${d.reason}</td><td class="number">${count(d.records)}</td></tr>`)}</tbody></table>`;
}
