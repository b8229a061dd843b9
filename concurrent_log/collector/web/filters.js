// Filters to choose from: the level, and the services, environments and hosts that the store has seen.

import { html, useEffect, useState } from "./html.js";
import { LEVELS, levelClass } from "./levels.js";
import { Menu } from "./menu.js";
import { count } from "./numbers.js";
import { added, without } from "./query.js";
import { ask } from "./server.js";

const NAMES = { service: "Service", environment: "Environment", host: "Host" };

/** The level and above, as a row of buttons; those that are found light up. */
export function LevelFilter({ level, go }) {
  const least = LEVELS.indexOf(level || "TRACE");
  return html`<div class="levels" role="radiogroup" aria-label="Level and above">
    ${LEVELS.map((each, rank) => html`<label key=${each} class="${levelClass(each)} ${rank >= least ? "found" : ""}">
      <input type="radio" name="level" value=${each} checked=${rank === least}
        onChange=${() => go({ level: rank ? each : "" })} />
      <span>${rank ? each : "ALL"}</span>
    </label>`)}
  </div>`;
}

export function FacetMenu({ field, chosen, go }) {
  const which = chosen.length > 2 ? chosen.length : chosen.join(", ");
  const label = chosen.length ? `${NAMES[field]}: ${which}` : NAMES[field];
  return html`<${Menu} label=${label} title=${`Filter by ${field}`} isOn=${chosen.length > 0}>
    ${() => html`<${Choices} field=${field} chosen=${chosen} go=${go} />`}
  <//>`;
}

function Choices({ field, chosen, go }) {
  const [{ values, is_sample: isSample }, trouble] = useValues(field);
  const [typed, setTyped] = useState("");
  const unseen = chosen.filter((each) => !values.some(({ value }) => value === each));
  const all = [...values, ...unseen.map((value) => ({ value }))];
  const shown = all.filter(({ value }) => value.toLowerCase().includes(typed.toLowerCase()));
  const choose = (value, isChosen) => go({ [field]: isChosen ? added(chosen, value) : without(chosen, value) });
  return html`<div class="choices">
    <input type="search" placeholder=${`Find ${field}`} aria-label=${`Find ${field}`} value=${typed}
      onInput=${(event) => setTyped(event.target.value)} />
    ${trouble && html`<p class="trouble" role="alert">${trouble}</p>`}
    <ul>${shown.map((each) => html`<li key=${each.value}><label>
      <input type="checkbox" checked=${chosen.includes(each.value)}
        onChange=${(event) => choose(each.value, event.target.checked)} />
      <span class="value">${each.value}</span> <span class="count">${each.count && count(each.count)}</span>
    </label></li>`)}</ul>
    ${isSample && html`<p class="hint">Counted among the newest records only.</p>`}
    ${values.length === 0 && !trouble && html`<p class="hint">No ${field} in the last day.</p>`}
    ${chosen.length > 0 && html`<button class="link" onClick=${() => go({ [field]: [] })}>Any ${field}</button>`}
  </div>`;
}

/** Return the most frequent values of a field, and why they cannot be had, if so. */
function useValues(field) {
  const [found, setFound] = useState([{ values: [] }, ""]);
  useEffect(() => {
    ask("values", new URLSearchParams({ field })).then(
      (answer) => setFound([answer, ""]),
      (error) => setFound([{ values: [] }, error.message]),
    );
  }, [field]);
  return found;
}
