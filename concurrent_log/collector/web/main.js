// The page begins here: with the door, where the server has one, and then the logs.

import { html, render, useEffect, useState } from "./html.js";
import { Login } from "./login.js";
import { Reader } from "./app.js";
import { ask, logout } from "./server.js";

const OPEN = { token_needed: false, logged_in: true };

function Page() {
  const [session, setSession] = useState(null);
  const become = (isIn) => setSession({ token_needed: true, logged_in: isIn });
  useEffect(() => {
    ask("session").then(setSession, () => setSession(OPEN)); // Whatever is wrong, the page itself says it best.
  }, []);
  if (session === null) return null;
  if (!session.logged_in) return html`<${Login} onDone=${() => become(true)} />`;
  const leave = () => logout().finally(() => become(false));
  return html`<${Reader} onLocked=${() => become(false)} leave=${session.token_needed && leave} />`;
}

render(html`<${Page} />`, document.body);
