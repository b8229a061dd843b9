// The toolbar: search, filters and time range, the live tail, and buttons for the panels.

import { FacetMenu, LevelFilter } from "./filters.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";
import { counted, rate } from "./numbers.js";
import { FACETS, filters } from "./query.js";
import { RangeMenu, Zone, ZoomOut } from "./time_range.js";
import { SavedMenu } from "./saved_queries.js";
import { Chips, SearchLine } from "./search.js";
import { urlFor } from "./server.js";
import { ServicesButton } from "./services.js";

export function Toolbar({ query, go, settings, change, tail, total, commands, logOut, isAdmin }) {
  const setZone = (zone) => change({ zone });
  return html`<header class="toolbar">
    <div class="line">
      <h1><a href="." title="All logs of the last hour">Logs</a></h1>
      <${SearchLine} query=${query} go=${go} />
      <div class="group">
        <${RangeMenu} ...${{ query, go, setZone }} zone=${settings.zone} />
        <${ZoomOut} query=${query} go=${go} />
      </div>
      <${LiveButtons} query=${query} tail=${tail} commands=${commands} />
      <div class="group">
        <${SavedMenu} ...${{ query, go }} saved=${settings.saved} setSaved=${(saved) => change({ saved })} />
        <button title="Groups of similar records (g)" aria-label="Groups of similar records"
          onClick=${commands.g}><${Icon} name="groups" /></button>
        <${ServicesButton} onClick=${commands.s} />
        <button title="Pipeline health (h)" aria-label="Pipeline health" onClick=${commands.h}>
          <${Icon} name="pulse" /></button>
        <${MoreMenu} ...${{ query, go, settings, change, commands, logOut, isAdmin, setZone }} />
      </div>
    </div>
    <div class="line">
      <${LevelFilter} level=${query.level} go=${go} />
      <div class="group">
        ${FACETS.map((field) => html`<${FacetMenu} key=${field} field=${field} chosen=${query[field]} go=${go} />`)}
      </div>
      <p class="total" role="status" aria-live="polite">${total === null ? "" : counted(total, "record")}</p>
      <button title="Reload (n)" aria-label="Reload" onClick=${commands.n}><${Icon} name="refresh" /></button>
    </div>
    <${Chips} query=${query} go=${go} />
  </header>`;
}

function LiveButtons({ query, tail, commands }) {
  const open = `Live ${rate(tail.rate)}/s`;
  const words = { connecting: "Live …", open, lost: "Live: reconnecting …", off: "Live" };
  const pause = tail.isPaused ? "Resume" : "Pause";
  const isOn = Boolean(query.live);
  return html`<div class="group live ${tail.state} ${tail.isPaused ? "paused" : ""}">
    <button aria-pressed=${isOn} title="Show new records as they arrive (t)" onClick=${commands.t}>
      <i class="light" aria-hidden="true"></i><span>${words[tail.state]}</span></button>
    ${isOn && html`<button title=${`${pause} (p)`} aria-label=${pause} onClick=${commands.p}>
      <${Icon} name=${tail.isPaused ? "play" : "pause"} /></button>`}
  </div>`;
}

function MoreMenu({ query, go, settings, change, commands, logOut, isAdmin, setZone }) {
  const download = (format) => {
    const parameters = filters(query);
    parameters.set("format", format);
    return urlFor("download", parameters);
  };
  return html`<${Menu} title="More" icon="menu" align="right">
    ${(close) => html`<div class="more">
      <a class="entry" href=${download("ndjson")} download>Download as NDJSON</a>
      <a class="entry" href=${download("csv")} download>Download as CSV</a>
      <hr />
      <label class="entry"><input type="checkbox" checked=${settings.wrap} onChange=${commands.w} />
        Wrap long lines</label>
      <label class="entry"><input type="checkbox" checked=${settings.histogram}
        onChange=${() => change({ histogram: !settings.histogram })} /> Histogram</label>
      <${Zone} zone=${settings.zone} setZone=${setZone} />
      <${Theme} theme=${settings.theme} setTheme=${(theme) => change({ theme })} />
      <hr />
      <button class="entry" onClick=${() => (close(), commands["?"]())}>Keyboard shortcuts <kbd>?</kbd></button>
      <a class="entry" href="docs" target="_blank" rel="noopener">API of this server</a>
      ${isAdmin && html`<button class="entry" onClick=${() => (close(), go({ keys: "1" }))}>Keys and sessions</button>`}
      ${logOut && html`<button class="entry" onClick=${logOut}>Log out</button>`}
    </div>`}
  <//>`;
}

function Theme({ theme, setTheme }) {
  return html`<div class="switch" role="radiogroup" aria-label="Theme">
    ${["system", "light", "dark"].map((each) => html`<label key=${each}>
      <input type="radio" name="theme" checked=${theme === each} onChange=${() => setTheme(each)} />
      <span>${each}</span>
    </label>`)}
  </div>`;
}
