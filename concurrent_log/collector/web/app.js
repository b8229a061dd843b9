// The page after the login: its components, and the state that they share.

import { keyActions, recordActions } from "./actions.js";
import { useQuery } from "./address.js";
import { ContextPanel } from "./context.js";
import { GroupsPanel } from "./groups.js";
import { HealthPanel } from "./health.js";
import { HelpPanel } from "./help.js";
import { Histogram, totals, useHistogram } from "./histogram.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { useKeys } from "./keyboard.js";
import { KeysPanel } from "./keys.js";
import { List } from "./list.js";
import { useSelection } from "./selection.js";
import { filters } from "./query.js";
import { useRecords } from "./records.js";
import { ServicesPanel } from "./services.js";
import { useDarkMode, useSettings } from "./settings.js";
import { useLiveTail } from "./live_tail.js";
import { Toolbar } from "./toolbar.js";
import { TracePanel } from "./trace.js";

const REFRESH_INTERVAL = 5000; // milliseconds between two histograms of a live tail

/** `onLocked` is called when the session has expired; `logOut` ends it, if the server requires a key. */
export function App({ onLocked, logOut, isAdmin }) {
  const onError = (error) => error.status === 401 && onLocked();
  const [query, go] = useQuery();
  const [settings, change] = useSettings();
  const [version, refresh] = useRefresh(query.live);
  const [isHelping, setHelping] = useState(false);
  const control = useRef();
  const records = useRecords(query, onError);
  const tail = useLiveTail(query, records, onError);
  const histogram = useHistogram(query, version);
  const selection = useSelection(records, tail, control, filters(query).toString());
  const isDark = useDarkMode(settings.theme);

  const reload = () => {
    selection.clear();
    control.current.toTop();
    refresh();
    if (query.live) tail.resume();
    else records.load(query);
  };
  const actions = recordActions(query, go, selection.toggle);
  const help = () => setHelping(true);
  const commands = keyActions({ query, go, settings, change, isDark, selection, tail, actions, reload, help });
  useKeys(commands);

  return html`
    <${Toolbar} ...${{ query, go, settings, change, tail, commands, logOut, isAdmin }} total=${sum(histogram)} />
    ${settings.histogram && html`<${Histogram} ...${{ histogram, go, isDark, zone: settings.zone }} />`}
    <${List} ...${{ query, go, records, settings, tail, reload, control, selection, actions }} />
    <${Panels} ...${{ query, go, actions, isAdmin, zone: settings.zone }} />
    ${isHelping && html`<${HelpPanel} onClose=${() => setHelping(false)} />`}`;
}

/** The open panel, if the address has one. */
function Panels({ query, go, zone, actions, isAdmin }) {
  const close = (view) => () => go({ [view]: "" });
  const shared = (view) => ({ key: query[view], id: query[view], onClose: close(view), columns: query.column });
  return html`
    ${query.trace && html`<${TracePanel} ...${shared("trace")} ...${{ zone, actions }} />`}
    ${query.around && html`<${ContextPanel} ...${shared("around")} ...${{ zone, actions }} />`}
    ${query.groups && html`<${GroupsPanel} ...${{ query, go, zone, actions }} onClose=${close("groups")} />`}
    ${query.services && html`<${ServicesPanel} ...${{ query, go, zone }} onClose=${close("services")} />`}
    ${query.health && html`<${HealthPanel} zone=${zone} onClose=${close("health")} />`}
    ${query.keys && isAdmin && html`<${KeysPanel} zone=${zone} onClose=${close("keys")} />`}`;
}

/** Return `[version, refresh]`. The histogram is loaded again when the version changes; a live tail changes it. */
function useRefresh(isLive) {
  const [version, setVersion] = useState(0);
  const refresh = () => setVersion((before) => before + 1);
  useEffect(() => {
    if (!isLive) return undefined;
    const timer = setInterval(refresh, REFRESH_INTERVAL);
    return () => clearInterval(timer);
  }, [isLive]);
  return [version, refresh];
}

function sum(histogram) {
  return histogram && Object.values(totals(histogram)).reduce((all, each) => all + each, 0);
}
