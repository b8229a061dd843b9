// The door, where the server has a token.

import { html, useState } from "./html.js";
import { login } from "./server.js";

export function Login({ onDone }) {
  const [token, setToken] = useState("");
  const [trouble, setTrouble] = useState("");
  const onSubmit = async (event) => {
    event.preventDefault();
    try {
      await login(token);
      onDone();
    } catch (error) {
      setTrouble(error.status === 401 ? "That is not the token." : error.message);
    }
  };
  return html`<main class="login"><form onSubmit=${onSubmit}>
    <h1>Logs</h1>
    <label for="token">Token of this server</label>
    <input id="token" type="password" value=${token} autocomplete="current-password" required autofocus
      onInput=${(event) => setToken(event.target.value)} aria-describedby="token-hint" />
    <p id="token-hint" class="hint">The secret that the server was started with, such as its
      ${" "}<code>CONCURRENT_LOG_TOKEN</code>.</p>
    ${trouble && html`<p class="trouble" role="alert">${trouble}</p>`}
    <button class="primary">Log in</button>
  </form></main>`;
}
