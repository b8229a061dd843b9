// A record as one line, and the same with everything it says below it.

import { Detail } from "./detail.js";
import { html } from "./html.js";
import { levelClass } from "./levels.js";
import { counted } from "./numbers.js";
import { duration, fullTime, shortTime } from "./times.js";
import { asText, attributesOf, LONGEST_LINE, valueOf } from "./values.js";

const LONGEST_VALUE = 200; // characters that a line shows of one

/** A line of the list. `words` are marked where they occur in it. */
export function Row({ record, index, isOpen, isSelected, onToggle, columns, words, zone, actions }) {
  const classes = `row ${levelClass(record.level)} ${isOpen ? "open" : ""} ${isSelected ? "selected" : ""}`;
  const pairs = attributesOf(record).filter(([key]) => !columns.includes(key));
  return html`
    <div id=${`record-${record.id}`} class=${classes} role="row" aria-rowindex=${index + 2} aria-selected=${isSelected}
        aria-expanded=${isOpen} onClick=${unlessSelecting(onToggle)}>
      <span class="time" role="gridcell" title=${fullTime(record.created_at, zone)}>
        ${shortTime(record.created_at, zone)}</span>
      <span class="name" role="gridcell">${record.level}</span>
      <span class="service" role="gridcell" title=${record.service}>${record.service}</span>
      ${columns.map((key) => html`
        <span key=${key} class="column" role="gridcell">${shown(valueOf(record, key))}</span>`)}
      <span class="message" role="gridcell">
        <span>${marked((record.message ?? "").slice(0, LONGEST_LINE), words)}</span>
        ${record.duration_ms !== undefined && html` <span class="pair">${duration(record.duration_ms)}</span>`}
        ${record.error_type && html` <span class="error-type">${marked(record.error_type, words)}</span>`}
        ${pairs.map(([key, value]) => html` <span class="pair"><span class="key">${key}=</span>${
          marked(asText(value).slice(0, LONGEST_VALUE), words)}</span>`)}
      </span>
    </div>
    ${isOpen && html`<${Detail} record=${record} zone=${zone} actions=${actions} columns=${columns} />`}`;
}

/** Return the style of a list whose rows have these columns; the times of other days are wider: they have a date. */
export function columnWidths(columns, records, zone) {
  const ends = [records[0], records.at(-1)].filter((record) => record?.created_at);
  const widest = Math.max(12, ...ends.map((record) => shortTime(record.created_at, zone).length));
  return { "--columns": columns.map(() => "16ch").join(" ") || " ", "--time": `${widest}ch` };
}

/** A place in the list where records that came in live were left out. */
export function Gap({ number, onShow }) {
  return html`<div class="gap" role="row"><span role="gridcell">
    <button class="link" onClick=${onShow}>${counted(number, "more record")} came in here; show them</button>
  </span></div>`;
}

function shown(value) {
  return value === undefined ? "" : asText(value);
}

/** Return text with `words` marked in it, upper and lower case alike. */
function marked(text, words) {
  if (!words.length) return text;
  const pattern = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  const parts = text.split(new RegExp(`(${pattern})`, "gi"));
  return parts.map((part, index) => (index % 2 ? html`<mark>${part}</mark>` : part));
}

// Whoever selects text to copy it does not mean to open or close a record.
function unlessSelecting(onToggle) {
  return () => window.getSelection().isCollapsed && onToggle();
}
