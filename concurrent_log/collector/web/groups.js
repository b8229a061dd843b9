// Records that say the same, counted together: what there is most of comes first.

import { useAnswer } from "./request.js";
import { Detail } from "./detail.js";
import { html, useState } from "./html.js";
import { Icon } from "./icons.js";
import { levelClass } from "./levels.js";
import { count, counted } from "./numbers.js";
import { Panel, Pending } from "./panel.js";
import { filters, hasFilters, ofGroup, PLACEHOLDER } from "./query.js";
import { ago, fullTime, rangeName, toSecond } from "./times.js";

const MOST_SERVICES = 10; // of which the server tells
const NAMED = 2;

export function GroupsPanel({ query, go, zone, actions, onClose }) {
  const [answer, trouble, again] = useAnswer("groups", filters(query).toString());
  const each = (group) => html`<${Group} key=${keyOf(group)} most=${answer.groups[0].count}
    ...${{ group, query, go, zone, actions }} />`;
  return html`<${Panel} title="Groups" onClose=${onClose} className="wide">
    <p class="subject">${rangeName(query, zone)}${hasFilters(query) && ", with the filters of the list"}
      <button class="link" onClick=${again}>Ask again</button></p>
    ${(trouble || !answer) && html`<${Pending} trouble=${trouble} again=${again} />`}
    ${answer && html`
      <p class="summary" role="status">${summary(answer, zone)}</p>
      ${answer.groups.length > 0 && html`
        <ol class="groups" aria-label="Groups, the largest first">${answer.groups.map(each)}</ol>
        <p class="hint">A click lists the records of that level and type of error with the
          same words, in any order: those of the group, and at times a few more.</p>`}`}
  <//>`;
}

/** Return how much was looked at, and what is not shown. */
function summary({ groups, looked_at: number, looked_since: since, is_sample: isSample, others }, zone) {
  if (!number) return "No record is found, so there is nothing to group.";
  const records = counted(number, "record");
  const which = isSample ? `the newest ${records}, since ${toSecond(since, zone)}` : records;
  const older = isSample ? " There are older ones, which are not looked at: a filter or another range finds them." : "";
  const rest = others ? ` In other groups, which are left out: ${counted(others, "record")}.` : "";
  return `${counted(groups.length, "group")} of ${which}.${older}${rest}`;
}

function keyOf({ level, error_type: type, message }) {
  return JSON.stringify([level, type, message]);
}

function Group({ group, most, go, query, zone, actions }) {
  const [isOpen, setOpen] = useState(false);
  const { level, error_type: type, message } = group;
  const list = () => go({ ...ofGroup(query, group), groups: "" });
  return html`<li class=${levelClass(level)}>
    <div class="group-line">
      <button class="all-of-it" title="List these records" onClick=${list}>
        <span class="count">${count(group.count)}</span>
        <span class="share" aria-hidden="true"><span style=${{ width: `${(group.count / most) * 100}%` }}></span></span>
        <span class="name">${level}</span>
        <span class="template">${type && html`<b>${type}</b> `}${withGaps(message)}</span>
        <${Circumstances} group=${group} zone=${zone} />
      </button>
      <button class="tool" aria-expanded=${isOpen} aria-label="The newest of them" title="The newest of them"
        onClick=${() => setOpen(!isOpen)}><${Icon} name="down" /></button>
    </div>
    ${isOpen && html`<${Newest} id=${group.newest} ...${{ zone, actions }} columns=${query.column} />`}
  </li>`;
}

/** Return the words of a group, with a mark where its messages differ. */
function withGaps(message) {
  if (!message) return html`<i class="varies">no message</i>`;
  return message.split(PLACEHOLDER).flatMap((part, index) => (index ? [html`<i class="varies">…</i>`, part] : [part]));
}

function Circumstances({ group, zone }) {
  const { count: number, services, first_seen: first, last_seen: last } = group;
  const seen = ago(last).replace(/^now$/, "just now");
  return html`<span class="circumstances">
    ${services.length > 0 && html`<span title=${services.join(", ")}>${servicesText(services)}</span>`}
    ${number > 1 && html`<span title=${fullTime(first, zone)}>first ${toSecond(first, zone)}</span>`}
    <span title=${fullTime(last, zone)}>${number > 1 && "last "}${seen}</span>
  </span>`;
}

function servicesText(services) {
  const more = services.length - NAMED;
  const named = services.slice(0, NAMED).join(", ");
  return more > 0 ? `${named} and ${more}${services.length < MOST_SERVICES ? "" : " or"} more` : named;
}

function Newest({ id, ...rest }) {
  const [record, trouble, again] = useAnswer(`logs/${encodeURIComponent(id)}`);
  if (!record) return html`<${Pending} trouble=${trouble} again=${again} />`;
  return html`<${Detail} record=${record} ...${rest} />`;
}
