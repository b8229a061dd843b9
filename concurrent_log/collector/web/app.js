// The page for whoever is let in: its parts, and what keeps them together.

import { keyActions, recordActions } from "./actions.js";
import { useQuery } from "./address.js";
import { AroundPanel } from "./context.js";
import { GroupsPanel } from "./groups.js";
import { HealthPanel } from "./health.js";
import { HelpPanel } from "./help.js";
import { Histogram, totals, useHistogram } from "./histogram.js";
import { html, useEffect, useRef, useState } from "./html.js";
import { useKeys } from "./keyboard.js";
import { List } from "./list.js";
import { useMarks } from "./selection.js";
import { filters } from "./query.js";
import { useRecords } from "./records.js";
import { ServicesPanel } from "./services.js";
import { useDarkness, useSettings } from "./settings.js";
import { useTail } from "./live_tail.js";
import { Toolbar } from "./toolbar.js";
import { TracePanel } from "./trace.js";

const REDRAW = 5000; // milliseconds between two histograms of a live tail

/** `onLocked` is called when the server no longer knows the reader; `leave` logs out, where there is a token. */
export function Reader({ onLocked, leave }) {
  const onTrouble = (error) => error.status === 401 && onLocked();
  const [query, go] = useQuery();
  const [settings, change] = useSettings();
  const [turn, turnOver] = useTurn(query.live);
  const [isHelping, setHelping] = useState(false);
  const control = useRef();
  const records = useRecords(query, onTrouble);
  const tail = useTail(query, records, onTrouble);
  const histogram = useHistogram(query, turn);
  const marks = useMarks(records, tail, control, filters(query).toString());
  const isDark = useDarkness(settings.theme);

  const again = () => {
    marks.clear();
    control.current.toTop();
    turnOver();
    if (query.live) tail.resume();
    else records.load(query);
  };
  const actions = recordActions(query, go, marks.toggle);
  const help = () => setHelping(true);
  const deeds = keyActions({ query, go, settings, change, isDark, marks, tail, actions, again, help });
  useKeys(deeds);

  return html`
    <${Toolbar} ...${{ query, go, settings, change, tail, deeds, leave }} total=${sum(histogram)} />
    ${settings.histogram && html`<${Histogram} ...${{ histogram, go, isDark, zone: settings.zone }} />`}
    <${List} ...${{ query, go, records, settings, tail, again, control, marks, actions }} />
    <${Panels} ...${{ query, go, actions, zone: settings.zone }} />
    ${isHelping && html`<${HelpPanel} onClose=${() => setHelping(false)} />`}`;
}

/** The sheet that the address asks for, if it does. */
function Panels({ query, go, zone, actions }) {
  const closing = (view) => () => go({ [view]: "" });
  const shared = (view) => ({ key: query[view], id: query[view], onClose: closing(view), columns: query.column });
  return html`
    ${query.trace && html`<${TracePanel} ...${shared("trace")} ...${{ zone, actions }} />`}
    ${query.around && html`<${AroundPanel} ...${shared("around")} ...${{ zone, actions }} />`}
    ${query.groups && html`<${GroupsPanel} ...${{ query, go, zone, actions }} onClose=${closing("groups")} />`}
    ${query.services && html`<${ServicesPanel} ...${{ query, go, zone }} onClose=${closing("services")} />`}
    ${query.health && html`<${HealthPanel} zone=${zone} onClose=${closing("health")} />`}`;
}

/** Return a number that grows when the histogram is to be drawn anew, and what makes it grow. */
function useTurn(isLive) {
  const [turn, setTurn] = useState(0);
  const turnOver = () => setTurn((before) => before + 1);
  useEffect(() => {
    if (!isLive) return undefined;
    const timer = setInterval(turnOver, REDRAW);
    return () => clearInterval(timer);
  }, [isLive]);
  return [turn, turnOver];
}

function sum(histogram) {
  return histogram && Object.values(totals(histogram)).reduce((all, each) => all + each, 0);
}
