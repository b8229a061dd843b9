// What the reader selected in the list, and which records stand open.

import { useEffect, useState } from "./html.js";
import { without } from "./query.js";

/**
 * Return the marks, what changes them, and the keys that do. Another question, `asked`, begins without any.
 *
 * While the reader looks at something, no tail moves it.
 */
export function useMarks(records, tail, control, asked) {
  const [selected, setSelected] = useState(null);
  const [open, setOpen] = useState(new Set());
  const place = records.items.findIndex(({ id }) => id === selected);

  const select = (index) => {
    const nearest = Math.max(0, Math.min(records.items.length - 1, index));
    if (!records.items.length) return;
    tail.hold();
    setSelected(records.items[nearest].id);
    control.current.show(nearest);
  };
  const toggle = (id) => {
    tail.hold();
    setSelected(id);
    setOpen((before) => new Set(before.has(id) ? without([...before], id) : [...before, id]));
  };
  const clear = () => {
    setSelected(null);
    setOpen(new Set());
  };

  useEffect(() => {
    clear();
    control.current.toTop();
  }, [asked]);

  const next = () => select(place + 1);
  const previous = () => select(place - 1);
  const close = () => (open.has(selected) ? toggle(selected) : clear());
  const keys = { j: next, ArrowDown: next, k: previous, ArrowUp: previous, Escape: close };
  if (selected) keys.Enter = () => toggle(selected);
  return { selected, open, toggle, clear, keys, record: records.items[place] };
}
