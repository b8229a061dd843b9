// The panel of an administrator: keys, and the sessions of those who are logged in.

import { html, useState } from "./html.js";
import { NewKey } from "./new_key.js";
import { Panel, Pending } from "./panel.js";
import { useRequest } from "./request.js";
import { remove } from "./server.js";
import { ago, fullTime } from "./times.js";

const INTERVAL = 10000; // milliseconds

export function KeysPanel({ zone, onClose }) {
  const [keys, error, reload] = useRequest("keys", "", INTERVAL);
  const [sessions, sessionsError, reloadSessions] = useRequest("sessions", "", INTERVAL);
  const [failure, setFailure] = useState("");
  const end = (path, reloadList) => () =>
    remove(path).then(
      () => (setFailure(""), reloadList()),
      (error) => setFailure(error.message),
    );
  return html`<${Panel} title="Keys" onClose=${onClose} className="key-list">
    <${NewKey} onCreated=${reload} />
    ${failure && html`<p class="error-message" role="alert">${failure}</p>`}
    ${(error || !keys) && html`<${Pending} error=${error} reload=${reload} />`}
    ${keys && html`<${Keys} keys=${keys.keys} zone=${zone} end=${(id) => end(`keys/${id}`, reload)} />`}
    ${(sessionsError || !sessions) && html`<${Pending} error=${sessionsError} reload=${reloadSessions} />`}
    ${sessions && html`<${Sessions} sessions=${sessions.sessions} zone=${zone}
      end=${(id) => end(`sessions/${id}`, reloadSessions)} />`}
  <//>`;
}

function Keys({ keys, zone, end }) {
  if (!keys.length) return html`<p class="hint">No key was created yet.</p>`;
  const newest = [...keys].reverse();
  return html`<table>
    <caption>Keys</caption>
    <thead><tr>${["Name", "Kind", "For", "Last use", "State", ""].map((head) => html`<th scope="col">${head}</th>`)}
    </tr></thead>
    <tbody>${newest.map((key) => html`<tr key=${key.id} class=${key.is_valid ? "" : "inactive"}>
      <td title=${`id ${key.id}, created ${fullTime(key.created_at, zone)}`}>${key.name}</td>
      <td>${key.kind}</td>
      <td>${scope(key)}</td>
      <td title=${key.last_used_at && fullTime(key.last_used_at, zone)}>
        ${key.last_used_at ? ago(key.last_used_at) : "never"}</td>
      <td title=${key.expires_at && fullTime(key.expires_at, zone)}>${state(key)}</td>
      <td class="number">${key.is_valid && html`<${Twice} word="Revoke" name=${key.name} onClick=${end(key.id)} />`}</td>
    </tr>`)}</tbody>
  </table>`;
}

function scope({ services, environment, origins, records_per_minute: rate }) {
  const parts = [services.join(", ") || "all services", environment, ...origins];
  return [...parts, rate && `${rate.toLocaleString("en")} records/min`].filter(Boolean).join(" · ");
}

function state({ is_valid: isValid, revoked_at: revoked, expires_at: expires }) {
  if (revoked) return "revoked";
  if (!isValid) return "expired";
  return expires ? `until ${expires.slice(0, 10)}` : "valid";
}

function Sessions({ sessions, zone, end }) {
  if (!sessions.length) return html`<p class="hint">There is no session.</p>`;
  return html`<table>
    <caption>Sessions</caption>
    <thead><tr>${["Name", "Kind", "Address", "Since", ""].map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
    <tbody>${sessions.map((each) => html`<tr key=${each.id}>
      <td>${each.name}${each.is_own && " (this one)"}</td><td>${each.kind}</td><td>${each.address}</td>
      <td title=${fullTime(each.created_at, zone)}>${ago(each.created_at)}</td>
      <td class="number"><${Twice} word="End" name=${`the session of ${each.name}`} onClick=${end(each.id)} /></td>
    </tr>`)}</tbody>
  </table>`;
}

/** A button that acts at the second click, because its action is final. */
function Twice({ word, name, onClick }) {
  const [isSure, setSure] = useState(false);
  const onFirst = () => setSure(true);
  return html`<button class=${isSure ? "danger" : ""} aria-label=${isSure ? `Really ${word.toLowerCase()} ${name}` : `${word} ${name}`}
    onClick=${isSure ? onClick : onFirst} onBlur=${() => setSure(false)}>${isSure ? `Really ${word.toLowerCase()}?` : word}</button>`;
}
