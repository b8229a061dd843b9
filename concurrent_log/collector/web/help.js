// The keys.

import { html } from "./html.js";
import { Panel } from "./panel.js";

export const KEYS = [
  ["/", "search"],
  ["j k ↓ ↑", "next, previous record"],
  ["Enter", "open or close the record"],
  ["Esc", "close what is open; leave the search"],
  ["c", "lines around the record"],
  ["x", "its whole trace"],
  ["t", "live tail: on, off"],
  ["p", "live tail: pause, go on"],
  ["n", "show the new records; without live tail, ask again"],
  ["w", "wrap long lines"],
  ["z", "local time or UTC"],
  ["d", "dark or light"],
  ["g", "groups of records that say the same"],
  ["s", "services that programs watch"],
  ["h", "health of the pipeline"],
  ["?", "these keys"],
];

export function HelpPanel({ onClose }) {
  return html`<${Panel} title="Keys" onClose=${onClose}>
    <table class="keys"><tbody>${KEYS.map(([keys, does]) => html`<tr key=${keys}>
      <th scope="row">${keys.split(" ").map((key) => html`<kbd key=${key}>${key}</kbd>`)}</th><td>${does}</td>
    </tr>`)}</tbody></table>
    <p class="hint">Search for words, or for a field: <code>customer=Ada</code>, <code>status!=200</code>${", "}
      <code>user="Ada Lovelace"</code>, <code>error_type!=</code> (it has one). What is in quotes is taken as it
      stands: <code>"a=b"</code>.</p>
  <//>`;
}
