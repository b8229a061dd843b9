// The histogram: the number of records per level over the range. Dragging over it zooms in.

import { drawChart } from "./chart.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { LEVELS, levelClass } from "./levels.js";
import { count, counted } from "./numbers.js";
import { filters } from "./query.js";
import { getJson } from "./server.js";
import { isoFromSeconds, shortTime } from "./times.js";

const BUCKETS = 120;

/** Return the histogram of a query. It is loaded again when `version` changes. */
export function useHistogram(query, version) {
  const [found, setFound] = useState(null);
  const filterText = filters(query).toString();
  useEffect(() => {
    const controller = new AbortController();
    const parameters = new URLSearchParams(filterText);
    parameters.set("buckets", BUCKETS);
    getJson("histogram", parameters, controller.signal).then(setFound, () => controller.signal.aborted || setFound(null));
    return () => controller.abort();
  }, [filterText, version]);
  return found;
}

/** Return the number of records per level in a histogram. */
export function totals(histogram) {
  const sums = {};
  for (const { counts } of histogram?.buckets ?? []) {
    for (const [level, number] of Object.entries(counts)) sums[level] = (sums[level] ?? 0) + number;
  }
  return sums;
}

export function Histogram({ histogram, zone, isDark, go }) {
  const container = useRef();
  const [pointed, setPointed] = useState(null);
  useLayoutEffect(() => {
    if (!histogram) return undefined;
    const zoom = (from, to) => go({ since: isoFromSeconds(from), until: isoFromSeconds(to), live: "" });
    const samples = container.current.parentNode.querySelectorAll("[hidden] i");
    const paint = (level) => getComputedStyle(samples[LEVELS.indexOf(level)]).color;
    return drawChart(container.current, histogram, { zone, paint, zoom, point: setPointed });
  }, [histogram, zone, isDark]);
  return html`<figure class="histogram">
    <div ref=${container} role="img" aria-label=${describe(histogram)}></div>
    <figcaption aria-hidden="true">${pointed && html`<${Pointed} bucket=${pointed} zone=${zone} />`}</figcaption>
    <span hidden>${LEVELS.map((level) => html`<i class=${levelClass(level)} key=${level}></i>`)}</span>
  </figure>`;
}

/** The numbers of the bar under the pointer. */
function Pointed({ bucket, zone }) {
  const levels = LEVELS.filter((level) => bucket.counts[level]);
  return html`${shortTime(bucket.start, zone)}${levels.map((level) => html` <b class=${levelClass(level)}>
    ${level} ${count(bucket.counts[level])}</b>`)}${levels.length === 0 && " no records"}`;
}

function describe(histogram) {
  const sums = Object.entries(totals(histogram));
  const all = counted(sums.reduce((sum, [, number]) => sum + number, 0), "record");
  return `Histogram: ${all}${sums.map(([level, number]) => `, ${level} ${count(number)}`).join("")}. Drag to zoom.`;
}
