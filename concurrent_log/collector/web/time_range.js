// The time range: relative to now, or from one time to another.

import { html, useState } from "./html.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";
import { agoText, fromInput, isoFromSeconds, rangeName, secondsAgo, toInput } from "./times.js";

const QUICK = ["5m", "15m", "1h", "4h", "12h", "1d", "2d", "7d", "30d", "all"];

export function RangeMenu({ query, go, zone, setZone }) {
  const choose = (close) => (change) => {
    go(change);
    close();
  };
  return html`<${Menu} label=${rangeName(query, zone)} title="Time range" icon="clock" align="right" className="range">
    ${(close) => html`
      <div class="quick">
        ${QUICK.map((since) => html`<button key=${since} aria-pressed=${query.since === since && !query.until}
          onClick=${() => choose(close)({ since, until: "" })}>${rangeName({ since }, zone)}</button>`)}
      </div>
      <${Absolute} query=${query} zone=${zone} choose=${choose(close)} />
      <${Zone} zone=${zone} setZone=${setZone} />`}
  <//>`;
}

function Absolute({ query, zone, choose }) {
  const [since, setSince] = useState(toInput(...moment(query.since, zone)));
  const [until, setUntil] = useState(query.until ? toInput(...moment(query.until, zone)) : "");
  const isBackwards = until && since && until <= since;
  const onSubmit = (event) => {
    event.preventDefault();
    if (!isBackwards) choose({ since: fromInput(since, zone) || "all", until: fromInput(until, zone), live: "" });
  };
  return html`<form class="absolute" onSubmit=${onSubmit}>
    <${Moment} name="From" value=${since} onInput=${setSince} />
    <${Moment} name="To" value=${until} onInput=${setUntil} />
    ${isBackwards && html`<p class="error-message" role="alert">“To” is before “From”.</p>`}
    <button class="primary">Show this range</button>
  </form>`;
}

function Moment({ name, value, onInput }) {
  return html`<label>${name}
    <input type="datetime-local" step="1" value=${value} onInput=${(event) => onInput(event.target.value)} /></label>`;
}

function moment(text, zone) {
  const ago = secondsAgo(text);
  const date = ago ? new Date(Date.now() - ago * 1000) : new Date(text);
  return [Number.isNaN(date.getTime()) ? new Date(Date.now() - 3600000) : date, zone];
}

/** The switch between local time and UTC. */
export function Zone({ zone, setZone }) {
  const own = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return html`<div class="switch" role="radiogroup" aria-label="Time zone">
    ${[["local", `Local (${own})`], ["utc", "UTC"]].map(([value, name]) => html`<label key=${value}>
      <input type="radio" name="zone" checked=${zone === value} onChange=${() => setZone(value)} /> <span>${name}</span>
    </label>`)}
  </div>`;
}

/** A button that doubles the range, around the same middle if the range has an end. */
export function ZoomOut({ query, go }) {
  const wider = doubled(query);
  return html`<button title="Zoom out: twice the time" aria-label="Zoom out: twice the time" disabled=${!wider}
    onClick=${() => go(wider)}><${Icon} name="out" /></button>`;
}

function doubled({ since, until }) {
  const ago = secondsAgo(since);
  if (ago && !until) return { since: agoText(ago * 2) };
  const [from, to] = [Date.parse(since) / 1000, until ? Date.parse(until) / 1000 : Date.now() / 1000];
  if (Number.isNaN(from) || Number.isNaN(to)) return null;
  const half = Math.max(0.5, (to - from) / 2);
  return { since: isoFromSeconds(from - half), until: until && isoFromSeconds(to + half) };
}
