// The panel of groups: similar records, counted. The largest group comes first.

import { useRequest } from "./request.js";
import { Detail } from "./detail.js";
import { html, useState } from "./html.js";
import { Icon } from "./icons.js";
import { levelClass } from "./levels.js";
import { count, counted } from "./numbers.js";
import { Panel, Pending } from "./panel.js";
import { filters, hasFilters, groupQuery, PLACEHOLDER } from "./query.js";
import { ago, fullTime, rangeName, toSecond } from "./times.js";

const MAX_SERVICES = 10; // in the response of the server
const SHOWN_SERVICES = 2;

export function GroupsPanel({ query, go, zone, actions, onClose }) {
  const [response, error, reload] = useRequest("groups", filters(query).toString());
  const each = (group) => html`<${Group} key=${keyOf(group)} most=${response.groups[0].count}
    ...${{ group, query, go, zone, actions }} />`;
  return html`<${Panel} title="Groups" onClose=${onClose} className="wide">
    <p class="subject">${rangeName(query, zone)}${hasFilters(query) && ", with the filters of the list"}
      <button class="link" onClick=${reload}>Reload</button></p>
    ${(error || !response) && html`<${Pending} error=${error} reload=${reload} />`}
    ${response && html`
      <p class="summary" role="status">${summary(response, zone)}</p>
      ${response.groups.length > 0 && html`
        <ol class="groups" aria-label="Groups, the largest first">${response.groups.map(each)}</ol>
        <p class="hint">Click a group to list its records. The list contains all records of that level and error type
          with the same words in any order, so it may contain a few more than the group.</p>`}`}
  <//>`;
}

/** Return the number of records that were grouped, and of those that are not shown. */
function summary({ groups, looked_at: number, looked_since: since, is_sample: isSample, others }, zone) {
  if (!number) return "No records found.";
  const records = counted(number, "record");
  const which = isSample ? `the newest ${records}, since ${toSecond(since, zone)}` : records;
  const older = isSample ? " Older records are not included. Use a filter or another range to include them." : "";
  const rest = others ? ` ${counted(others, "record")} in further groups.` : "";
  return `${counted(groups.length, "group")} of ${which}.${older}${rest}`;
}

function keyOf({ level, error_type: type, message }) {
  return JSON.stringify([level, type, message]);
}

function Group({ group, most, go, query, zone, actions }) {
  const [isOpen, setOpen] = useState(false);
  const { level, error_type: type, message } = group;
  const list = () => go({ ...groupQuery(query, group), groups: "" });
  return html`<li class=${levelClass(level)}>
    <div class="group-line">
      <button class="group-summary" title="List these records" onClick=${list}>
        <span class="count">${count(group.count)}</span>
        <span class="share" aria-hidden="true"><span style=${{ width: `${(group.count / most) * 100}%` }}></span></span>
        <span class="name">${level}</span>
        <span class="template">${type && html`<b>${type}</b> `}${withPlaceholders(message)}</span>
        <${GroupDetails} group=${group} zone=${zone} />
      </button>
      <button class="tool" aria-expanded=${isOpen} aria-label="Newest record" title="Newest record"
        onClick=${() => setOpen(!isOpen)}><${Icon} name="down" /></button>
    </div>
    ${isOpen && html`<${Newest} id=${group.newest} ...${{ zone, actions }} columns=${query.column} />`}
  </li>`;
}

/** Return the message of a group, with an ellipsis for each part that varies. */
function withPlaceholders(message) {
  if (!message) return html`<i class="placeholder">no message</i>`;
  return message.split(PLACEHOLDER).flatMap((part, index) => (index ? [html`<i class="placeholder">…</i>`, part] : [part]));
}

function GroupDetails({ group, zone }) {
  const { count: number, services, first_seen: first, last_seen: last } = group;
  const lastText = ago(last).replace(/^now$/, "just now");
  return html`<span class="group-details">
    ${services.length > 0 && html`<span title=${services.join(", ")}>${servicesText(services)}</span>`}
    ${number > 1 && html`<span title=${fullTime(first, zone)}>first ${toSecond(first, zone)}</span>`}
    <span title=${fullTime(last, zone)}>${number > 1 && "last "}${lastText}</span>
  </span>`;
}

function servicesText(services) {
  const more = services.length - SHOWN_SERVICES;
  const named = services.slice(0, SHOWN_SERVICES).join(", ");
  return more > 0 ? `${named} and ${more}${services.length < MAX_SERVICES ? "" : " or"} more` : named;
}

function Newest({ id, ...rest }) {
  const [record, error, reload] = useRequest(`logs/${encodeURIComponent(id)}`);
  if (!record) return html`<${Pending} error=${error} reload=${reload} />`;
  return html`<${Detail} record=${record} ...${rest} />`;
}
