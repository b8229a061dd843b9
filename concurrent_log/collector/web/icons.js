// Icons, in the colour of the text around them. Each has a text or a label with the same meaning.

import { html } from "./html.js";

const PATHS = {
  context: "M3 3h10M3 13h10M2 8h12M5 5.5h6M5 10.5h6",
  clock: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M8 5v3.2l2.2 1.6",
  close: "M4 4l8 8M12 4l-8 8",
  column: "M3 3h10v10H3zM8 3v10",
  copy: "M6 5.5h7v8H6zM3 10.5v-8h7",
  degraded: "M8 2.5l6 11H2zM8 6.5v3.2M8 11.6v.1",
  down: "M4.5 6.5L8 10l3.5-3.5",
  groups: "M8 2.5l5.5 2.8L8 8.1L2.5 5.3zM2.5 8.1L8 10.9l5.5-2.8M2.5 10.9L8 13.7l5.5-2.8",
  healthy: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M5.3 8.2l2 2l3.4-4",
  menu: "M3 4.5h10M3 8h10M3 11.5h10",
  minus: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M5.5 8h5",
  pause: "M5.5 4v8M10.5 4v8",
  play: "M5 3.5l7 4.5l-7 4.5z",
  plus: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M5.5 8h5M8 5.5v5",
  refresh: "M13 8a5 5 0 1 1-1.6-3.7M13 2.5v3h-3",
  search: "M7 2.8a4.2 4.2 0 1 0 0 8.4a4.2 4.2 0 1 0 0-8.4M10.2 10.2l3.3 3.3",
  services: "M3 2.5h10v4.5H3zM3 9h10v4.5H3zM5.5 4.8h.1M5.5 11.2h.1",
  silent: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M4.2 11.8l7.6-7.6",
  star: "M8 2.5l1.7 3.5l3.8.5l-2.8 2.7l.7 3.8L8 11.2L4.6 13l.7-3.8L2.5 6.5l3.8-.5z",
  stopped: "M4 4h8v8H4z",
  trace: "M2.5 4h6M5 8h6M8.5 12h5",
  out: "M7 2.8a4.2 4.2 0 1 0 0 8.4a4.2 4.2 0 1 0 0-8.4M10.2 10.2l3.3 3.3M5 7h4",
  pulse: "M2 8.5h2.8L6.5 4l3 8.5L11.2 8.5H14",
  unhealthy: "M5.7 2.5h4.6l3.2 3.2v4.6l-3.2 3.2H5.7l-3.2-3.2V5.7zM5.8 5.8l4.4 4.4M10.2 5.8l-4.4 4.4",
  unknown: "M8 2.5a5.5 5.5 0 1 0 0 11a5.5 5.5 0 1 0 0-11M6.5 6.3a1.6 1.6 0 1 1 1.5 2.2v.6M8 11v.1",
  up: "M8 13V3.5M4 7l4-4l4 4",
};

export function Icon({ name }) {
  return html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true"><path d=${PATHS[name]} /></svg>`;
}
