// The entry point of the page: the login, if the server requires a key, and then the logs.

import { html, render, useEffect, useState } from "./html.js";
import { Login } from "./login.js";
import { App } from "./app.js";
import { getJson, logout } from "./server.js";

const OPEN = { token_needed: false, logged_in: true, is_admin: false };

function Page() {
  const [session, setSession] = useState(null);
  const lock = () => setSession({ ...OPEN, token_needed: true, logged_in: false });
  const load = () => getJson("session").then(setSession, () => setSession(OPEN)); // The page shows its own errors.
  useEffect(() => void load(), []);
  if (session === null) return null;
  if (!session.logged_in) return html`<${Login} onDone=${load} />`;
  const logOut = () => logout().finally(lock);
  return html`<${App} onLocked=${lock} logOut=${session.token_needed && logOut} isAdmin=${session.is_admin} />`;
}

render(html`<${Page} />`, document.body);
