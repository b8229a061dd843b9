// How many records of each level there are over the range. Dragging over it zooms in.

import { html, useEffect, useLayoutEffect, useRef, useState } from "./html.js";
import { LEVELS, levelClass } from "./levels.js";
import { count, counted } from "./numbers.js";
import { filters } from "./query.js";
import { ask } from "./server.js";
import { isoFromSeconds, shortTime } from "./times.js";
import uPlot from "./vendored/uplot.js";

const HEIGHT = 84;
const BUCKETS = 120;

// A few errors among a million other records are to be seen; so no bar of theirs is lower than this part of the whole.
const LEAST = 0.04;
const ALWAYS_SEEN = ["FATAL", "ERROR", "WARN"];

const BOTTOM_UP = [...LEVELS].reverse();

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

export function Histogram({ histogram, zone, theme, go }) {
  const place = useRef();
  const [under, setUnder] = useState(null);
  const zoom = (from, to) => go({ since: isoFromSeconds(from), until: isoFromSeconds(to), live: "" });
  useLayoutEffect(() => drawn(place.current, histogram, { zone, zoom, point: setUnder }), [histogram, zone, theme]);
  return html`<figure class="histogram">
    <div ref=${place} role="img" aria-label=${inWords(histogram)}></div>
    <figcaption aria-hidden="true">${under && html`<${Pointed} bucket=${under} zone=${zone} />`}</figcaption>
    <span hidden>${LEVELS.map((level) => html`<i class=${levelClass(level)} key=${level}></i>`)}</span>
  </figure>`;
}

function Pointed({ bucket, zone }) {
  const levels = BOTTOM_UP.filter((level) => bucket.counts[level]);
  return html`${shortTime(bucket.start, zone)}${levels.map((level) => html` <b class=${levelClass(level)}>
    ${level} ${count(bucket.counts[level])}</b>`)}${levels.length === 0 && " nothing"}`;
}

function inWords(histogram) {
  const sums = Object.entries(totals(histogram));
  const all = counted(sums.reduce((sum, [, number]) => sum + number, 0), "record");
  return `Histogram: ${all}${sums.map(([level, number]) => `, ${level} ${count(number)}`).join("")}. Drag to zoom.`;
}

/** Draw the chart into `place`, and return what removes it. */
function drawn(place, histogram, on) {
  if (!histogram) return undefined;
  const buckets = filled(histogram);
  const chart = new uPlot(options(place, histogram, buckets, on), stacked(buckets), place);
  const observer = new ResizeObserver(() => chart.setSize({ width: place.clientWidth, height: HEIGHT }));
  observer.observe(place);
  return () => {
    observer.disconnect();
    chart.destroy();
  };
}

/** Return every bucket of the range, whether the server names it or it is empty. */
function filled({ since, until, step, buckets }) {
  const counts = new Map(buckets.map((bucket) => [Math.round((Date.parse(bucket.start) - Date.parse(since)) / 1000 / step), bucket.counts]));
  const number = Math.max(1, Math.ceil((Date.parse(until) - Date.parse(since)) / 1000 / step - 0.001));
  return Array.from({ length: number }, (_, index) => ({
    start: isoFromSeconds(Date.parse(since) / 1000 + index * step),
    counts: counts.get(index) ?? {},
  }));
}

/** Return the places of the buckets, and for each level the height up to which it reaches. */
function stacked(buckets) {
  const highest = Math.max(1, ...buckets.map(({ counts }) => Object.values(counts).reduce((sum, each) => sum + each, 0)));
  const tops = buckets.map(({ counts }) => {
    let top = 0;
    return BOTTOM_UP.map((level) => (top += heightOf(counts[level] ?? 0, level, highest)));
  });
  const series = BOTTOM_UP.map((_, index) => tops.map((each) => each[index]));
  return [buckets.map(({ start }) => Date.parse(start) / 1000), ...series.reverse()];
}

function heightOf(number, level, highest) {
  return number && ALWAYS_SEEN.includes(level) ? Math.max(number, highest * LEAST) : number;
}

function options(place, histogram, buckets, { zone, zoom, point }) {
  const paint = (level) => getComputedStyle(place.parentNode.querySelector(`.level-${level.toLowerCase()}`)).color;
  const bars = uPlot.paths.bars({ size: [0.86, 40], align: 1, gap: 1 });
  const axis = { stroke: getComputedStyle(place).color, grid: { show: false }, ticks: { show: false }, gap: 2 };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    padding: [6, 24, 0, 24],
    legend: { show: false },
    tzDate: (seconds) => (zone === "utc" ? uPlot.tzDate(new Date(seconds * 1e3), "Etc/UTC") : new Date(seconds * 1e3)),
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    scales: { x: { range: () => [Date.parse(histogram.since) / 1000, Date.parse(histogram.until) / 1000] } },
    axes: [{ ...axis, size: 20, values: hours }, { ...axis, show: false }],
    series: [{}, ...LEVELS.map((level) => ({ paths: bars, fill: paint(level), width: 0, points: { show: false } }))],
    hooks: {
      setSelect: [(chart) => zoomTo(chart, zoom)],
      setCursor: [({ cursor }) => point(buckets[cursor.left < 0 ? -1 : bucketAt(cursor, buckets, place)] ?? null)],
    },
  };
}

// The chart's own times, but in 24 hours.
function hours(chart, seconds, _axis, _space, step) {
  return seconds.map((second) => {
    const date = chart.opts?.tzDate?.(second) ?? new Date(second * 1000);
    return step >= 86400 ? uPlot.fmtDate("{MMM} {D}")(date) : uPlot.fmtDate(step < 60 ? "{HH}:{mm}:{ss}" : "{HH}:{mm}")(date);
  });
}

function bucketAt({ left }, buckets, place) {
  const width = place.querySelector(".u-over").clientWidth;
  return Math.min(buckets.length - 1, Math.floor((left / width) * buckets.length));
}

function zoomTo(chart, zoom) {
  const { left, width } = chart.select;
  if (width > 3) zoom(chart.posToVal(left, "x"), chart.posToVal(left + width, "x"));
}
