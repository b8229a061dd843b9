// A small line chart without axes.

import { html } from "./html.js";

const HEIGHT = 20;

/** The values are drawn at equal distances. Null values are skipped. */
export function Sparkline({ values }) {
  const most = Math.max(...values.map((value) => value ?? 0)) || 1;
  const y = (value) => (HEIGHT - 1.5 - (value / most) * (HEIGHT - 3)).toFixed(1);
  const points = values.flatMap((value, x) => (value === null ? [] : [`${x} ${y(value)}`]));
  // A single point is visible only as a line, from the point to itself.
  const path = points.length ? `M${points.join("L")}${points.length === 1 ? `L${points[0]}` : ""}` : "";
  const box = `0 0 ${values.length} ${HEIGHT}`;
  return html`<svg class="sparkline" viewBox=${box} preserveAspectRatio="none" aria-hidden="true">
    <path d=${path} /></svg>`;
}
