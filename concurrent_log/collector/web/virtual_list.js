// A list of any length. Only the visible items are in the document.

import { html, useLayoutEffect, useRef, useState } from "./html.js";

const OVERSCAN = 10; // items above and below the visible ones
const MAX_HEIGHTS = 50000;

/**
 * Show `items`, each rendered by `row(item, index)`.
 *
 * An item that has not been shown yet counts as `estimate` pixels high. `onEnd` is called whenever the end of the list is
 * visible, and `onScroll(isAtTop)` when the user scrolls. `head` is always visible. `control.current` is set to an object
 * with the methods `show(index)` and `toTop()`.
 */
export function VirtualList({ items, row, estimate, onEnd, onScroll, control, head, foot, ...attributes }) {
  const box = useRef();
  const heights = useRef(new Map());
  const [viewport, setViewport] = useState({ top: 0, height: 800 });
  const tops = itemTops(items, heights.current, estimate);
  const first = Math.max(0, indexAt(tops, viewport.top) - OVERSCAN);
  const last = Math.min(items.length, indexAt(tops, viewport.top + viewport.height) + 1 + OVERSCAN);
  const update = () => setViewport({ top: box.current.scrollTop, height: box.current.clientHeight });

  useLayoutEffect(() => watchSize(box.current, heights.current, update), []);
  useLayoutEffect(() => {
    if (measureHeights(box.current, items.slice(first, last), heights.current)) update();
    if (last >= items.length) onEnd();
  });
  control.current = controls(box, tops);

  return html`<div ref=${box} class="scroll" onScroll=${() => (update(), onScroll(box.current.scrollTop < 4))}
      tabindex="0" ...${attributes}>
    ${head}
    <div style=${{ height: `${tops[first]}px` }}></div>
    ${items.slice(first, last).map((item, offset) => html`<div class="item" role="rowgroup" key=${item.id}>
      ${row(item, first + offset)}</div>`)}
    <div style=${{ height: `${tops[items.length] - tops[last]}px` }}></div>
    ${foot}
  </div>`;
}

/** Return the top of each item, followed by the end of the list, in pixels. */
function itemTops(items, heights, estimate) {
  const tops = new Float64Array(items.length + 1);
  items.forEach((item, index) => {
    tops[index + 1] = tops[index] + (heights.get(item.id) ?? estimate);
  });
  return tops;
}

function indexAt(tops, place) {
  let [low, high] = [0, tops.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (tops[middle] <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}

function measureHeights(box, shown, heights) {
  if (heights.size > MAX_HEIGHTS) heights.clear();
  const elements = box.querySelectorAll(":scope > .item");
  let isNew = false;
  shown.forEach((item, index) => {
    const height = elements[index].getBoundingClientRect().height;
    isNew ||= Math.abs((heights.get(item.id) ?? 0) - height) > 0.5;
    heights.set(item.id, height);
  });
  return isNew;
}

function watchSize(element, heights, update) {
  let width = 0;
  const observer = new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width !== width) heights.clear();
    width = contentRect.width;
    update();
  });
  observer.observe(element);
  return () => observer.disconnect();
}

function controls(box, tops) {
  return {
    toTop: () => (box.current.scrollTop = 0),
    show(index) {
      const { scrollTop, clientHeight, firstElementChild: head } = box.current;
      const height = clientHeight - head.offsetHeight;
      if (tops[index] < scrollTop) box.current.scrollTop = tops[index];
      else if (tops[index + 1] > scrollTop + height) {
        box.current.scrollTop = Math.min(tops[index], tops[index + 1] - height);
      }
    },
  };
}
