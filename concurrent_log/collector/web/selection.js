// The selected record of the list, and the open records.

import { useEffect, useState } from "./html.js";
import { without } from "./query.js";

/**
 * Return the selection, and the functions and keys that change it. It is cleared when `filterText` changes.
 *
 * Selecting or opening a record pauses the live tail, so that the record does not move.
 */
export function useSelection(records, tail, control, filterText) {
  const [selected, setSelected] = useState(null);
  const [open, setOpen] = useState(new Set());
  const index = records.items.findIndex(({ id }) => id === selected);

  const select = (wanted) => {
    const nearest = Math.max(0, Math.min(records.items.length - 1, wanted));
    if (!records.items.length) return;
    tail.pause();
    setSelected(records.items[nearest].id);
    control.current.show(nearest);
  };
  const toggle = (id) => {
    tail.pause();
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
  }, [filterText]);

  const next = () => select(index + 1);
  const previous = () => select(index - 1);
  const close = () => (open.has(selected) ? toggle(selected) : clear());
  const keys = { j: next, ArrowDown: next, k: previous, ArrowUp: previous, Escape: close };
  if (selected) keys.Enter = () => toggle(selected);
  return { selected, open, toggle, clear, keys, record: records.items[index] };
}
