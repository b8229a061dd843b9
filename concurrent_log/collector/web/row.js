// A record as one line, with all its data below if it is open.

import { Detail } from "./detail.js";
import { html } from "./html.js";
import { levelClass } from "./levels.js";
import { counted } from "./numbers.js";
import { duration, fullTime, shortTime } from "./times.js";
import { asText, attributesOf, MAX_LINE, valueOf } from "./values.js";

const MAX_VALUE = 200; // characters of an attribute in the line

/** A line of the list. Occurrences of `words` are marked. */
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
        <span>${marked((record.message ?? "").slice(0, MAX_LINE), words)}</span>
        ${record.duration_ms !== undefined && html` <span class="pair">${duration(record.duration_ms)}</span>`}
        ${record.error_type && html` <span class="error-type">${marked(record.error_type, words)}</span>`}
        ${pairs.map(([key, value]) => html` <span ...${pairProps(key)}><span class="key">${key}=</span>${
          marked(asText(value).slice(0, MAX_VALUE), words)}</span>`)}
      </span>
    </div>
    ${isOpen && html`<${Detail} record=${record} zone=${zone} actions=${actions} columns=${columns} />`}`;
}

/** Return the style of a list with these columns. Times of other days need more room, for the date. */
export function columnWidths(columns, records, zone) {
  const ends = [records[0], records.at(-1)].filter((record) => record?.created_at);
  const widest = Math.max(12, ...ends.map((record) => shortTime(record.created_at, zone).length));
  return { "--columns": columns.map(() => "16ch").join(" ") || " ", "--time": `${widest}ch` };
}

/** A gap in the list, where records of a live tail were skipped. */
export function Gap({ number, onShow }) {
  return html`<div class="gap" role="row"><span role="gridcell">
    <button class="link" onClick=${onShow}>${counted(number, "more record")} arrived here; show them</button>
  </span></div>`;
}

function pairProps(key) {
  if (key !== "wrong_clock") return { class: "pair" };
  return { class: "pair wrong-clock", title: "The time of the record is that of its arrival: this is what its clock showed" };
}

function shown(value) {
  return value === undefined ? "" : asText(value);
}

/** Return text with `words` marked in it, ignoring case. */
function marked(text, words) {
  if (!words.length) return text;
  const pattern = words.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|");
  const parts = text.split(new RegExp(`(${pattern})`, "gi"));
  return parts.map((part, index) => (index % 2 ? html`<mark>${part}</mark>` : part));
}

// Selecting text to copy it must not open or close the record.
function unlessSelecting(onToggle) {
  return () => window.getSelection().isCollapsed && onToggle();
}
