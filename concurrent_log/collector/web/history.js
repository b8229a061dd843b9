// How a service was over a range, as a bar: the worse, the taller. The arrow keys go through it.

import { html, useState } from "./html.js";
import { length, toSecond } from "./times.js";

const KNOWN = ["healthy", "degraded", "unhealthy"];

/** Return how much of the time that is known a service was healthy, in words. */
export function share(segments) {
  const known = segments.filter(({ status }) => KNOWN.includes(status));
  const all = known.reduce((sum, each) => sum + lasting(each), 0);
  if (!all) return "nothing known of it yet";
  const healthy = known.filter(({ status }) => status === "healthy").reduce((sum, each) => sum + lasting(each), 0);
  return `${Math.floor((healthy / all) * 1000) / 10} % of the time healthy`;
}

function lasting({ since, until }) {
  return Date.parse(until) - Date.parse(since);
}

/** `list` is called with the segment that is chosen; `otherwise` stands below the bar while none is pointed at. */
export function History({ name, segments, since, until, zone, list, otherwise }) {
  const [pointed, setPointed] = useState(null);
  const [stop, setStop] = useState(null);
  const all = Date.parse(until) - Date.parse(since);
  const place = (segment) => ({
    left: `${Math.max(0, ((Date.parse(segment.since) - Date.parse(since)) / all) * 100)}%`,
    width: `${(lasting(segment) / all) * 100}%`,
  });
  const last = segments.length - 1;
  const reached = Math.min(stop ?? last, last);
  const shown = segments[pointed];
  return html`
    <div class="history" role="group" aria-label=${`History of ${name}: ${otherwise}`} onKeyDown=${goThrough}
        onMouseLeave=${() => setPointed(null)} onFocusOut=${() => setPointed(null)}>
      ${segments.map((segment, index) => html`<button key=${index} class="segment status-${segment.status}"
        style=${place(segment)} tabindex=${index === reached ? 0 : -1} aria-label=${inWords(segment, zone)}
        onMouseEnter=${() => setPointed(index)} onFocus=${() => (setStop(index), setPointed(index))}
        onClick=${() => list(segment)}></button>`)}
    </div>
    <p class="told" aria-hidden="true">${shown ? inWords(shown, zone) : otherwise}</p>`;
}

function inWords(segment, zone) {
  const { status, since, until, error } = segment;
  const when = `${toSecond(since, zone)} – ${toSecond(until, zone)} (${length(lasting(segment) / 1000)})`;
  return `${status}, ${when}${error ? `: ${error}` : ""}`;
}

function goThrough(event) {
  const buttons = [...event.currentTarget.children];
  const here = buttons.indexOf(document.activeElement);
  const places = { ArrowLeft: here - 1, ArrowRight: here + 1, Home: 0, End: buttons.length - 1 };
  const next = buttons[places[event.key]];
  if (!next) return;
  event.preventDefault();
  next.focus();
}
