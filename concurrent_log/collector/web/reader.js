// The page for whoever is let in: its parts, and what keeps them together.

import { useQuery } from "./address.js";
import { AroundPanel } from "./around.js";
import { HealthPanel } from "./health.js";
import { HelpPanel } from "./help.js";
import { Histogram, totals, useHistogram } from "./histogram.js";
import { html, useEffect, useMemo, useRef, useState } from "./html.js";
import { useKeys } from "./keys.js";
import { List } from "./list.js";
import { excluding, filters, including, withColumn } from "./query.js";
import { Records } from "./records.js";
import { useSettings } from "./settings.js";
import { useTail } from "./tail.js";
import { Toolbar } from "./toolbar.js";
import { TracePanel } from "./trace.js";

const REDRAW = 5000; // milliseconds between two histograms of a live tail

/** `onLocked` is called when the server no longer knows the reader. */
export function Reader({ onLocked }) {
  const [query, go] = useQuery();
  const [settings, change] = useSettings();
  const [turn, setTurn] = useState(0);
  const onTrouble = (error) => error.status === 401 && onLocked();
  const records = useRecords(query, onTrouble);
  const tail = useTail(query, records, onTrouble);
  const histogram = useHistogram(query, turn);
  const control = useRef();
  const [isHelping, setHelping] = useState(false);
  const marks = useMarks(records, tail, control);
  const theme = useDarkness(settings.theme);

  useEffect(() => {
    const timer = query.live && setInterval(() => setTurn((before) => before + 1), REDRAW);
    return () => clearInterval(timer);
  }, [query.live]);

  const actions = useActions({ query, go, toggle: marks.toggle });
  const again = () => {
    marks.clear();
    control.current.toTop();
    setTurn((before) => before + 1);
    if (query.live) tail.resume();
    else records.load(query);
  };
  const deeds = {
    ...marks.keys,
    "/": () => document.getElementById("search").select(),
    "?": () => setHelping(true),
    c: () => marks.selected && actions.around(marks.selected),
    d: () => change({ theme: theme ? "light" : "dark" }),
    h: () => go({ health: "1" }),
    n: again,
    p: () => query.live && (tail.isHeld ? again() : tail.hold()),
    t: () => go({ live: query.live ? "" : "1", until: "", since: query.until ? "15m" : query.since }),
    w: () => change({ wrap: !settings.wrap }),
    x: () => marks.record?.trace_id && actions.trace(marks.record.trace_id),
    z: () => change({ zone: settings.zone === "utc" ? "local" : "utc" }),
  };
  useKeys(deeds);

  const sums = Object.values(totals(histogram));
  const total = histogram && sums.reduce((sum, each) => sum + each, 0);
  const shared = { actions, zone: settings.zone, columns: query.column };
  return html`
    <${Toolbar} ...${{ query, go, settings, change, tail: { ...tail, resume: again }, total, deeds }} />
    ${settings.histogram && html`<${Histogram} ...${{ histogram, go, theme, zone: settings.zone }} />`}
    <${List} ...${{ query, go, records, settings, control, actions }} tail=${{ ...tail, resume: again }}
      selected=${marks.selected} open=${marks.open} />
    ${query.trace && html`<${TracePanel} key=${query.trace} id=${query.trace} ...${shared} onClose=${() => go({ trace: "" })} />`}
    ${query.around && html`<${AroundPanel} key=${query.around} id=${query.around} ...${shared} onClose=${() => go({ around: "" })} />`}
    ${query.health && html`<${HealthPanel} zone=${settings.zone} onClose=${() => go({ health: "" })} />`}
    ${isHelping && html`<${HelpPanel} onClose=${() => setHelping(false)} />`}`;
}

/** Return the records of a query, which change when its filters do. */
function useRecords(query, onTrouble) {
  const [, setVersion] = useState(0);
  const records = useMemo(() => new Records(() => setVersion((before) => before + 1)), []);
  const asked = filters(query).toString();
  useEffect(() => void records.load(query), [asked]);
  useEffect(() => void (records.trouble && onTrouble(records.trouble)), [records.trouble]);
  return records;
}

/** Return what the reader selected and opened, and the keys that do so. */
function useMarks(records, tail, control) {
  const [selected, setSelected] = useState(null);
  const [open, setOpen] = useState(new Set());
  const place = records.items.findIndex(({ id }) => id === selected);
  const select = (index) => {
    const item = records.items[Math.max(0, Math.min(records.items.length - 1, index))];
    if (!item) return;
    tail.hold();
    setSelected(item.id);
    control.current.show(records.items.indexOf(item));
  };
  const toggle = (id) => {
    tail.hold();
    setSelected(id);
    setOpen((before) => (before.has(id) ? new Set([...before].filter((each) => each !== id)) : new Set([...before, id])));
  };
  const clear = () => {
    setSelected(null);
    setOpen(new Set());
  };
  const [next, previous] = [() => select(place + 1), () => select(place < 0 ? 0 : place - 1)];
  const keys = { j: next, ArrowDown: next, k: previous, ArrowUp: previous, Enter: () => selected && toggle(selected) };
  keys.Escape = () => (open.has(selected) ? toggle(selected) : clear());
  return { selected, open, toggle, clear, keys, record: records.items[place] };
}

/** Return what one can do with a record and its values. */
function useActions({ query, go, toggle }) {
  const closed = { trace: "", around: "" };
  return {
    toggle,
    include: (key, value) => go({ ...including(query, key, value), ...closed }),
    exclude: (key, value) => go({ ...excluding(query, key, value), ...closed }),
    column: (key) => go({ column: withColumn(query, key).column }),
    trace: (id) => go({ ...closed, trace: id }),
    around: (id) => go({ ...closed, around: id }),
  };
}

/** Return whether the page is dark, by the reader's choice or the system's. */
function useDarkness(theme) {
  const system = useMemo(() => window.matchMedia("(prefers-color-scheme: dark)"), []);
  const [isSystemDark, setSystemDark] = useState(system.matches);
  useEffect(() => {
    const onChange = () => setSystemDark(system.matches);
    system.addEventListener("change", onChange);
    return () => system.removeEventListener("change", onChange);
  }, []);
  return theme === "system" ? isSystemDark : theme === "dark";
}
