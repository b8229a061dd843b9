// The histogram as a drawing: bars of one colour a level, the most serious at the bottom.

import { LEVELS } from "./levels.js";
import uPlot from "./vendored/uplot.js";

// A few errors among a million other records are to be seen; so no bar of theirs is lower than this part of the whole.
const LEAST = 0.04;
const ALWAYS_SEEN = ["FATAL", "ERROR", "WARN"];

const BOTTOM_UP = [...LEVELS].reverse();
const SMALLEST_DRAG = 3; // pixels; less is a click
const MARGIN = 24;

/**
 * Draw a histogram into `place`, and return what removes it.
 *
 * `on` has `zone`; `paint(level)`, which returns a colour; `zoom(from, to)`, called in seconds since 1970 with what was
 * dragged over; and `point(bucket)`, called with the bucket under the pointer, or null.
 */
export function drawn(place, histogram, on) {
  const chart = new uPlot(options(place, histogram, on), stacked(histogram.buckets), place);
  const observer = new ResizeObserver(() => chart.setSize(sizeOf(place)));
  observer.observe(place);
  return () => {
    observer.disconnect();
    chart.destroy();
  };
}

function options(place, histogram, { zone, paint, zoom, point }) {
  const { since, until, buckets } = histogram;
  const bars = uPlot.paths.bars({ size: [0.86, 40], align: 1, gap: 1 });
  return {
    ...sizeOf(place),
    padding: [6, MARGIN, 0, MARGIN],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    scales: { x: { range: () => [seconds(since), seconds(until)] } },
    axes: [timeAxis(place, zone), { show: false }],
    tzDate: (second) => inZone(second, zone),
    series: [{}, ...LEVELS.map((level) => ({ paths: bars, fill: paint(level), width: 0, points: { show: false } }))],
    hooks: {
      setSelect: [(chart) => zoomTo(chart, zoom)],
      setCursor: [(chart) => point(pointedAt(chart, buckets))],
    },
  };
}

function sizeOf(place) {
  return { width: place.clientWidth, height: place.clientHeight };
}

function seconds(iso) {
  return Date.parse(iso) / 1000;
}

function inZone(second, zone) {
  const date = new Date(second * 1000);
  return zone === "utc" ? uPlot.tzDate(date, "Etc/UTC") : date;
}

function timeAxis(place, zone) {
  const [day, minute, second] = ["{MMM} {D}", "{HH}:{mm}", "{HH}:{mm}:{ss}"].map((form) => uPlot.fmtDate(form));
  const values = (_chart, splits, _axis, _space, step) => {
    const form = step >= 86400 ? day : step >= 60 ? minute : second;
    return splits.map((split) => form(inZone(split, zone)));
  };
  const [hidden, stroke] = [{ show: false }, getComputedStyle(place).color];
  return { size: 20, space: 90, gap: 2, font: "11px system-ui", grid: hidden, ticks: hidden, stroke, values };
}

/** Return where the buckets begin, and for each level the height up to which it reaches on top of those below. */
function stacked(buckets) {
  const sums = buckets.map(({ counts }) => Object.values(counts).reduce((sum, each) => sum + each, 0));
  const highest = Math.max(1, ...sums);
  const tops = buckets.map(({ counts }) => {
    let top = 0;
    return BOTTOM_UP.map((level) => (top += heightOf(counts[level] ?? 0, level, highest)));
  });
  const series = BOTTOM_UP.map((_, index) => tops.map((each) => each[index]));
  return [buckets.map(({ start }) => seconds(start)), ...series.reverse()];
}

function heightOf(number, level, highest) {
  return number && ALWAYS_SEEN.includes(level) ? Math.max(number, highest * LEAST) : number;
}

function pointedAt(chart, buckets) {
  if (!(chart.cursor.left >= 0)) return null;
  const second = chart.posToVal(chart.cursor.left, "x");
  return buckets.findLast(({ start }) => seconds(start) <= second) ?? null;
}

function zoomTo(chart, zoom) {
  const { left, width } = chart.select;
  if (width > SMALLEST_DRAG) zoom(chart.posToVal(left, "x"), chart.posToVal(left + width, "x"));
}
