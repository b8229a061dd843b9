// The entry point of the page: the login, if the server requires a token, and then the logs.

import { html, render, useEffect, useState } from "./html.js";
import { Login } from "./login.js";
import { App } from "./app.js";
import { getJson, logout } from "./server.js";

const OPEN = { token_needed: false, logged_in: true };

function Page() {
  const [session, setSession] = useState(null);
  const setLoggedIn = (isIn) => setSession({ token_needed: true, logged_in: isIn });
  useEffect(() => {
    getJson("session").then(setSession, () => setSession(OPEN)); // The page shows the errors of its own requests.
  }, []);
  if (session === null) return null;
  if (!session.logged_in) return html`<${Login} onDone=${() => setLoggedIn(true)} />`;
  const logOut = () => logout().finally(() => setLoggedIn(false));
  return html`<${App} onLocked=${() => setLoggedIn(false)} logOut=${session.token_needed && logOut} />`;
}

render(html`<${Page} />`, document.body);
