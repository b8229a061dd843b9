// How many records of each level there are over the range. Dragging over it zooms in.

import { drawn } from "./chart.js";
import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { LEVELS, levelClass } from "./levels.js";
import { count, counted } from "./numbers.js";
import { filters } from "./query.js";
import { ask } from "./server.js";
import { isoFromSeconds, shortTime } from "./times.js";

const BUCKETS = 120;

/** Return the histogram of a query, and ask for it again whenever `turn` changes. */
export function useHistogram(query, turn) {
  const [found, setFound] = useState(null);
  const asked = filters(query).toString();
  useEffect(() => {
    const underway = new AbortController();
    const parameters = new URLSearchParams(asked);
    parameters.set("buckets", BUCKETS);
    ask("histogram", parameters, underway.signal).then(setFound, () => underway.signal.aborted || setFound(null));
    return () => underway.abort();
  }, [asked, turn]);
  return found;
}

/** Return how many records of each level a histogram counts. */
export function totals(histogram) {
  const sums = {};
  for (const { counts } of histogram?.buckets ?? []) {
    for (const [level, number] of Object.entries(counts)) sums[level] = (sums[level] ?? 0) + number;
  }
  return sums;
}

export function Histogram({ histogram, zone, isDark, go }) {
  const place = useRef();
  const [pointed, setPointed] = useState(null);
  useLayoutEffect(() => {
    if (!histogram) return undefined;
    const zoom = (from, to) => go({ since: isoFromSeconds(from), until: isoFromSeconds(to), live: "" });
    const samples = place.current.parentNode.querySelectorAll("[hidden] i");
    const paint = (level) => getComputedStyle(samples[LEVELS.indexOf(level)]).color;
    return drawn(place.current, histogram, { zone, paint, zoom, point: setPointed });
  }, [histogram, zone, isDark]);
  return html`<figure class="histogram">
    <div ref=${place} role="img" aria-label=${inWords(histogram)}></div>
    <figcaption aria-hidden="true">${pointed && html`<${Pointed} bucket=${pointed} zone=${zone} />`}</figcaption>
    <span hidden>${LEVELS.map((level) => html`<i class=${levelClass(level)} key=${level}></i>`)}</span>
  </figure>`;
}

/** What the bar under the pointer stands for. */
function Pointed({ bucket, zone }) {
  const levels = LEVELS.filter((level) => bucket.counts[level]);
  return html`${shortTime(bucket.start, zone)}${levels.map((level) => html` <b class=${levelClass(level)}>
    ${level} ${count(bucket.counts[level])}</b>`)}${levels.length === 0 && " nothing"}`;
}

function inWords(histogram) {
  const sums = Object.entries(totals(histogram));
  const all = counted(sums.reduce((sum, [, number]) => sum + number, 0), "record");
  return `Histogram: ${all}${sums.map(([level, number]) => `, ${level} ${count(number)}`).join("")}. Drag to zoom.`;
}
