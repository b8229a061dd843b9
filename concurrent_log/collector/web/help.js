// The panel of the keyboard shortcuts.

import { html } from "./html.js";
import { Panel } from "./panel.js";

export const KEYS = [
  ["/", "search"],
  ["j k ↓ ↑", "next, previous record"],
  ["Enter", "open or close the record"],
  ["Esc", "close the record or panel; leave the search field"],
  ["c", "surrounding records"],
  ["x", "trace of the record"],
  ["t", "live tail on or off"],
  ["p", "pause or resume the live tail"],
  ["n", "reload; in a live tail, show the new records"],
  ["w", "wrap long lines"],
  ["z", "local time or UTC"],
  ["d", "dark or light"],
  ["g", "groups of similar records"],
  ["s", "monitored services"],
  ["h", "pipeline health"],
  ["?", "keyboard shortcuts"],
];

export function HelpPanel({ onClose }) {
  return html`<${Panel} title="Keyboard shortcuts" onClose=${onClose}>
    <table class="keys"><tbody>${KEYS.map(([keys, action]) => html`<tr key=${keys}>
      <th scope="row">${keys.split(" ").map((key) => html`<kbd key=${key}>${key}</kbd>`)}</th><td>${action}</td>
    </tr>`)}</tbody></table>
    <p class="hint">Search for words, or for a field: <code>customer=Ada</code>, <code>status!=200</code>${", "}
      <code>user="Ada Lovelace"</code>, <code>error_type!=</code> (any value). Text in quotes is searched for
      literally: <code>"a=b"</code>.</p>
  <//>`;
}
