// A small line without axes: which way some numbers go.

import { html } from "./html.js";

const HEIGHT = 20;

/** `values` are as far from each other as they stand in the list; what is null is passed over. */
export function Sparkline({ values }) {
  const most = Math.max(...values.map((value) => value ?? 0)) || 1;
  const y = (value) => (HEIGHT - 1.5 - (value / most) * (HEIGHT - 3)).toFixed(1);
  const points = values.flatMap((value, x) => (value === null ? [] : [`${x} ${y(value)}`]));
  // A line to where it is makes a point visible that is alone.
  const path = points.length ? `M${points.join("L")}${points.length === 1 ? `L${points[0]}` : ""}` : "";
  const box = `0 0 ${values.length} ${HEIGHT}`;
  return html`<svg class="sparkline" viewBox=${box} preserveAspectRatio="none" aria-hidden="true">
    <path d=${path} /></svg>`;
}
