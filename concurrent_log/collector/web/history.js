// The status of a service over a range, as a bar of segments: the worse, the taller. Arrow keys move along it.

import { html, useState } from "./html.js";
import { length, toSecond } from "./times.js";

const KNOWN = ["healthy", "degraded", "unhealthy"];

/** Return the percentage of the time that a service was healthy, as text. Time without a known status is ignored. */
export function healthyShare(segments) {
  const known = segments.filter(({ status }) => KNOWN.includes(status));
  const all = known.reduce((sum, each) => sum + durationOf(each), 0);
  if (!all) return "no data yet";
  const healthy = known.filter(({ status }) => status === "healthy").reduce((sum, each) => sum + durationOf(each), 0);
  return `healthy ${Math.floor((healthy / all) * 1000) / 10} % of the time`;
}

function durationOf({ since, until }) {
  return Date.parse(until) - Date.parse(since);
}

/** `list` is called with a clicked segment. `summary` is the text below the bar while no segment is pointed at. */
export function History({ name, segments, since, until, zone, list, summary }) {
  const [pointed, setPointed] = useState(null);
  const [stop, setStop] = useState(null);
  const all = Date.parse(until) - Date.parse(since);
  const position = (segment) => ({
    left: `${Math.max(0, ((Date.parse(segment.since) - Date.parse(since)) / all) * 100)}%`,
    width: `${(durationOf(segment) / all) * 100}%`,
  });
  const last = segments.length - 1;
  const focusable = Math.min(stop ?? last, last);
  const shown = segments[pointed];
  return html`
    <div class="history" role="group" aria-label=${`History of ${name}: ${summary}`} onKeyDown=${moveFocus}
        onMouseLeave=${() => setPointed(null)} onFocusOut=${() => setPointed(null)}>
      ${segments.map((segment, index) => html`<button key=${index} class="segment status-${segment.status}"
        style=${position(segment)} tabindex=${index === focusable ? 0 : -1} aria-label=${describe(segment, zone)}
        onMouseEnter=${() => setPointed(index)} onFocus=${() => (setStop(index), setPointed(index))}
        onClick=${() => list(segment)}></button>`)}
    </div>
    <p class="history-text" aria-hidden="true">${shown ? describe(shown, zone) : summary}</p>`;
}

function describe(segment, zone) {
  const { status, since, until, error } = segment;
  const when = `${toSecond(since, zone)} – ${toSecond(until, zone)} (${length(durationOf(segment) / 1000)})`;
  return `${status}, ${when}${error ? `: ${error}` : ""}`;
}

function moveFocus(event) {
  const buttons = [...event.currentTarget.children];
  const current = buttons.indexOf(document.activeElement);
  const targets = { ArrowLeft: current - 1, ArrowRight: current + 1, Home: 0, End: buttons.length - 1 };
  const next = buttons[targets[event.key]];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
