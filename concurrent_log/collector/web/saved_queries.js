// Named queries, saved in this browser.

import { html, useState } from "./html.js";
import { Icon } from "./icons.js";
import { Menu } from "./menu.js";
import { parse, write } from "./query.js";

export function SavedMenu({ query, go, saved, setSaved }) {
  const withoutName = (name) => saved.filter((each) => each.name !== name);
  return html`<${Menu} title="Saved queries" icon="star" align="right">
    ${(close) => html`<div class="saved">
      ${saved.length === 0 && html`<p class="hint">No saved queries.</p>`}
      <ul>${saved.map((each) => html`<li key=${each.name}>
        <button class="entry" onClick=${() => (go(parse(each.search)), close())}>${each.name}</button>
        <button class="tool" aria-label=${`Delete ${each.name}`} title="Delete"
          onClick=${() => setSaved(withoutName(each.name))}><${Icon} name="close" /></button>
      </li>`)}</ul>
      <${Save} onSave=${(name) => setSaved([...withoutName(name), { name, search: write(query) }])} />
    </div>`}
  <//>`;
}

function Save({ onSave }) {
  const [name, setName] = useState("");
  const onSubmit = (event) => {
    event.preventDefault();
    onSave(name.trim());
    setName("");
  };
  return html`<form class="save" onSubmit=${onSubmit}>
    <input aria-label="Name for this query" placeholder="Name for this query" required pattern=".*\\S.*" maxlength="60"
      value=${name} onInput=${(event) => setName(event.target.value)} />
    <button>Save</button>
  </form>`;
}
