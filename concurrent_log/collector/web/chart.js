// The chart of the histogram: stacked bars, one colour per level, the most serious level at the bottom.

import { LEVELS } from "./levels.js";
import uPlot from "./vendored/uplot.js";

// The minimum height of an error's bar, as a part of the chart: a few errors among a million records must be visible.
const MIN_HEIGHT = 0.04;
const ALWAYS_VISIBLE = ["FATAL", "ERROR", "WARN"];

const BOTTOM_UP = [...LEVELS].reverse();
const MIN_DRAG = 3; // pixels; less is a click
const MARGIN = 24;

/**
 * Draw a histogram into `container`, and return a function that removes it.
 *
 * `on` has `zone`; `paint(level)`, which returns a colour; `zoom(from, to)`, called with the range that the user drags
 * over, in seconds since 1970; and `point(bucket)`, called with the bucket under the pointer, or null.
 */
export function drawChart(container, histogram, on) {
  const chart = new uPlot(options(container, histogram, on), stackedSeries(histogram.buckets), container);
  const observer = new ResizeObserver(() => chart.setSize(sizeOf(container)));
  observer.observe(container);
  return () => {
    observer.disconnect();
    chart.destroy();
  };
}

function options(container, histogram, { zone, paint, zoom, point }) {
  const { since, until, buckets } = histogram;
  const bars = uPlot.paths.bars({ size: [0.86, 40], align: 1, gap: 1 });
  return {
    ...sizeOf(container),
    padding: [6, MARGIN, 0, MARGIN],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    scales: { x: { range: () => [seconds(since), seconds(until)] } },
    axes: [timeAxis(container, zone), { show: false }],
    tzDate: (second) => inZone(second, zone),
    series: [{}, ...LEVELS.map((level) => ({ paths: bars, fill: paint(level), width: 0, points: { show: false } }))],
    hooks: {
      setSelect: [(chart) => zoomTo(chart, zoom)],
      setCursor: [(chart) => point(pointedAt(chart, buckets))],
    },
  };
}

function sizeOf(container) {
  return { width: container.clientWidth, height: container.clientHeight };
}

function seconds(iso) {
  return Date.parse(iso) / 1000;
}

function inZone(second, zone) {
  const date = new Date(second * 1000);
  return zone === "utc" ? uPlot.tzDate(date, "Etc/UTC") : date;
}

function timeAxis(container, zone) {
  const [day, minute, second] = ["{MMM} {D}", "{HH}:{mm}", "{HH}:{mm}:{ss}"].map((form) => uPlot.fmtDate(form));
  const values = (_chart, splits, _axis, _space, step) => {
    const form = step >= 86400 ? day : step >= 60 ? minute : second;
    return splits.map((split) => form(inZone(split, zone)));
  };
  const [hidden, stroke] = [{ show: false }, getComputedStyle(container).color];
  return { size: 20, space: 90, gap: 2, font: "11px system-ui", grid: hidden, ticks: hidden, stroke, values };
}

/** Return the starts of the buckets, and for each level the upper end of its part of each bar. */
function stackedSeries(buckets) {
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
  return number && ALWAYS_VISIBLE.includes(level) ? Math.max(number, highest * MIN_HEIGHT) : number;
}

function pointedAt(chart, buckets) {
  if (!(chart.cursor.left >= 0)) return null;
  const second = chart.posToVal(chart.cursor.left, "x");
  return buckets.findLast(({ start }) => seconds(start) <= second) ?? null;
}

function zoomTo(chart, zoom) {
  const { left, width } = chart.select;
  if (width > MIN_DRAG) zoom(chart.posToVal(left, "x"), chart.posToVal(left + width, "x"));
}
