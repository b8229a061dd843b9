// The login form of a server that requires a token.

import { html, useState } from "./html.js";
import { login } from "./server.js";

export function Login({ onDone }) {
  const [token, setToken] = useState("");
  const [error, setError] = useState("");
  const onSubmit = async (event) => {
    event.preventDefault();
    try {
      await login(token);
      onDone();
    } catch (error) {
      setError(error.status === 401 ? "Wrong token." : error.message);
    }
  };
  return html`<main class="login"><form onSubmit=${onSubmit}>
    <h1>Logs</h1>
    <label for="token">Token of this server</label>
    <input id="token" type="password" value=${token} autocomplete="current-password" required autofocus
      onInput=${(event) => setToken(event.target.value)} aria-describedby="token-hint" />
    <p id="token-hint" class="hint">A read key, an admin key, or the token that the server was started with, such
      as the value of ${" "}<code>CONCURRENT_LOG_TOKEN</code>.</p>
    ${error && html`<p class="error-message" role="alert">${error}</p>`}
    <button class="primary">Log in</button>
  </form></main>`;
}
