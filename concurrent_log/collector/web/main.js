// The page begins here: with the door, where the server has one, and then the logs.

import { html, render, useEffect, useState } from "./html.js";
import { Login } from "./login.js";
import { Reader } from "./reader.js";
import { needsToken } from "./server.js";

function Page() {
  const [isLocked, setLocked] = useState(null);
  useEffect(() => {
    needsToken().then(setLocked, () => setLocked(false)); // Whatever is wrong, the page itself says it best.
  }, []);
  if (isLocked === null) return null;
  return isLocked ? html`<${Login} onDone=${() => setLocked(false)} />` : html`<${Reader} onLocked=${() => setLocked(true)} />`;
}

render(html`<${Page} />`, document.body);
