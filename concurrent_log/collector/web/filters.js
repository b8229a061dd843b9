// The filters with a choice of values: the level, and the services, environments and hosts in the store.

import { html, useEffect, useState } from "./html.js";
import { LEVELS, levelClass } from "./levels.js";
import { Menu } from "./menu.js";
import { count } from "./numbers.js";
import { added, without } from "./query.js";
import { getJson } from "./server.js";

const NAMES = { service: "Service", environment: "Environment", host: "Host" };

/** The minimum level, as a row of buttons; the levels that are included are highlighted. */
export function LevelFilter({ level, go }) {
  const minimum = LEVELS.indexOf(level || "TRACE");
  return html`<div class="levels" role="radiogroup" aria-label="Level and above">
    ${LEVELS.map((each, rank) => html`<label key=${each} class="${levelClass(each)} ${rank >= minimum ? "found" : ""}">
      <input type="radio" name="level" value=${each} checked=${rank === minimum}
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
  const [{ values, is_sample: isSample }, error] = useValues(field);
  const [typed, setTyped] = useState("");
  const unseen = chosen.filter((each) => !values.some(({ value }) => value === each));
  const all = [...values, ...unseen.map((value) => ({ value }))];
  const shown = all.filter(({ value }) => value.toLowerCase().includes(typed.toLowerCase()));
  const choose = (value, isChosen) => go({ [field]: isChosen ? added(chosen, value) : without(chosen, value) });
  return html`<div class="choices">
    <input type="search" placeholder=${`Find ${field}`} aria-label=${`Find ${field}`} value=${typed}
      onInput=${(event) => setTyped(event.target.value)} />
    ${error && html`<p class="error-message" role="alert">${error}</p>`}
    <ul>${shown.map((each) => html`<li key=${each.value}><label>
      <input type="checkbox" checked=${chosen.includes(each.value)}
        onChange=${(event) => choose(each.value, event.target.checked)} />
      <span class="value">${each.value}</span> <span class="count">${each.count && count(each.count)}</span>
    </label></li>`)}</ul>
    ${isSample && html`<p class="hint">Counted in the newest records only.</p>`}
    ${values.length === 0 && !error && html`<p class="hint">No ${field} in the last day.</p>`}
    ${chosen.length > 0 && html`<button class="link" onClick=${() => go({ [field]: [] })}>Any ${field}</button>`}
  </div>`;
}

/** Return the most frequent values of a field, and the message of an error. */
function useValues(field) {
  const [found, setFound] = useState([{ values: [] }, ""]);
  useEffect(() => {
    getJson("values", new URLSearchParams({ field })).then(
      (response) => setFound([response, ""]),
      (error) => setFound([{ values: [] }, error.message]),
    );
  }, [field]);
  return found;
}
