// All data of a record, and the actions on it.

import { exactJson } from "./exact_json.js";
import { html, useState } from "./html.js";
import { Icon } from "./icons.js";
import { fullTime } from "./times.js";
import { asText, attributesOf, columnsOf, copy, isDeep, isFilterable, MAX_LINE } from "./values.js";

export function Detail({ record, zone, actions, columns }) {
  const isCut = record.message?.length > MAX_LINE;
  return html`<div class="detail" role="row"><div role="gridcell">
    <div class="actions">
      ${record.trace_id && html`<button onClick=${() => actions.trace(record.trace_id)}>
        <${Icon} name="trace" /> Show trace</button>`}
      <button onClick=${() => actions.context(record.id)}><${Icon} name="context" /> Surrounding records</button>
      <${Copy} text=${exactJson(record, 2)} label="Copy as JSON" />
    </div>
    <pre class="full-message ${isCut ? "cut" : ""}" aria-label="Message">${record.message}</pre>
    ${record.stack_trace && html`<${StackTrace} text=${record.stack_trace} />`}
    <div class="fields">
      <${Fields} name="Attributes" fields=${attributesOf(record)} ...${{ zone, actions, columns }} />
      <${Fields} name="Record" fields=${columnsOf(record)} ...${{ zone, actions, columns }} />
    </div>
  </div></div>`;
}

function StackTrace({ text }) {
  return html`<div class="stack">
    <${Copy} text=${text} label="Copy stack trace" />
    <pre aria-label="Stack trace" tabindex="0">${text}</pre>
  </div>`;
}

function Fields({ name, fields, ...rest }) {
  if (!fields.length) return null;
  return html`<section aria-label=${name}>
    <h3>${name}</h3>
    ${fields.map(([key, value]) => html`<${Field} key=${key} name=${key} value=${value} ...${rest} />`)}
  </section>`;
}

function Field({ name, value, zone, actions, columns }) {
  const text = asText(value);
  const shown = text.length > 60 ? `${text.slice(0, 60)}…` : text;
  const isTime = name.endsWith("_at");
  const hasFilters = isFilterable(name, value) && !isTime;
  return html`<div class="field">
    <span class="tools">
      ${hasFilters && html`
        <${Tool} icon="plus" label=${`Only ${name}=${shown}`} onClick=${() => actions.include(name, text)} />
        <${Tool} icon="minus" label=${`Exclude ${name}=${shown}`} onClick=${() => actions.exclude(name, text)} />`}
      <${Tool} icon="column" label=${`${name} as a column`} isOn=${columns.includes(name)}
        onClick=${() => actions.column(name)} />
    </span>
    <span class="key">${name}</span>
    <${Value} ...${{ name, text, actions, isTime, zone }} value=${value} />
  </div>`;
}

function Value({ name, text, value, actions, isTime, zone }) {
  if (name === "trace_id") {
    const show = () => actions.trace(text);
    return html`<button class="link value" title="Show the trace" onClick=${show}>${text}</button>`;
  }
  if (isTime) return html`<span class="value" title=${text}>${fullTime(text, zone)}</span>`;
  if (value === null || isDeep(value)) return html`<pre class="value">${exactJson(value, 1)}</pre>`;
  return html`<span class="value ${typeof value === "object" ? "number" : typeof value}">${text}</span>`;
}

function Tool({ icon, label, onClick, isOn }) {
  return html`<button class="tool" aria-label=${label} title=${label} aria-pressed=${isOn} onClick=${onClick}>
    <${Icon} name=${icon} /></button>`;
}

function Copy({ text, label }) {
  const [isCopied, setCopied] = useState(false);
  const onClick = async () => {
    await copy(text);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  return html`<button class="copy" onClick=${onClick}><${Icon} name="copy" /> ${isCopied ? "Copied" : label}</button>`;
}
