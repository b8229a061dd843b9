// The actions of the user: on a record and its values, and by a key or a button of the toolbar.

import { excluding, including, withColumn, withoutFilters } from "./query.js";

/** Return the actions on a record and its values. */
export function recordActions(query, go, toggle) {
  const closed = { trace: "", around: "", groups: "" };
  return {
    toggle,
    include: (key, value) => go({ ...including(query, key, value), ...closed }),
    exclude: (key, value) => go({ ...excluding(query, key, value), ...closed }),
    column: (key) => go({ column: withColumn(query, key).column }),
    trace: (id) => go({ ...closed, trace: id }),
    listTrace: (id) => go({ ...withoutFilters(query), ...closed, trace_id: id, since: "all", until: "", live: "" }),
    context: (id) => go({ ...closed, around: id }),
  };
}

/** Return the action of each key. The buttons of the toolbar have the same actions. */
export function keyActions({ query, go, settings, change, isDark, selection, tail, actions, reload, help }) {
  const { record } = selection;
  const keys = {
    ...selection.keys,
    "/": () => document.getElementById("search").select(),
    "?": help,
    d: () => change({ theme: isDark ? "light" : "dark" }),
    g: () => go({ groups: "1" }),
    s: () => go({ services: "1d" }),
    h: () => go({ health: "1" }),
    n: reload,
    t: () => go(query.live ? { live: "" } : { live: "1", until: "", since: query.until ? "15m" : query.since }),
    w: () => change({ wrap: !settings.wrap }),
    z: () => change({ zone: settings.zone === "utc" ? "local" : "utc" }),
  };
  if (query.live) keys.p = tail.isPaused ? reload : tail.pause;
  if (record) keys.c = () => actions.context(record.id);
  if (record?.trace_id) keys.x = () => actions.trace(record.trace_id);
  return keys;
}
