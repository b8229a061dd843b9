// The form that creates a key, and the secret of the new key, which is shown only once.

import { html, useState } from "./html.js";
import { sendJson } from "./server.js";

const EMPTY = { kind: "send", name: "", services: "", environment: "", origins: "", days: "" };

const HINTS = {
  send: "May send, and nothing else: the only kind for a web page or an app.",
  read: "May search, follow live and download.",
  admin: "May do everything, also manage keys and delete records.",
};

export function NewKey({ onCreated }) {
  const [form, setForm] = useState(EMPTY);
  const [created, setCreated] = useState(null);
  const [error, setError] = useState("");
  const set = (name) => (event) => setForm({ ...form, [name]: event.target.value });
  const onSubmit = async (event) => {
    event.preventDefault();
    try {
      setCreated(await sendJson("keys", body(form)));
      setForm({ ...EMPTY, kind: form.kind });
      setError("");
      onCreated();
    } catch (error) {
      setError(error.message);
    }
  };
  const field = (name, label, placeholder, others = {}) => html`<label>${label}
    <input value=${form[name]} onInput=${set(name)} placeholder=${placeholder} ...${others} /></label>`;
  const isSend = form.kind === "send";
  return html`<form class="new-key" onSubmit=${onSubmit}>
    <label>Kind <select value=${form.kind} onChange=${set("kind")}>
      ${Object.keys(HINTS).map((kind) => html`<option key=${kind} value=${kind}>${kind}</option>`)}</select></label>
    ${field("name", "Name", "what it is for", { required: true, maxlength: 100 })}
    ${form.kind !== "admin" && field("services", isSend ? "Service" : "Services", isSend ? "any" : "all, or shop web")}
    ${isSend && field("environment", "Environment", "any")}
    ${isSend && field("origins", "Origins of pages", "https://shop.example")}
    ${field("days", "Days until it ends", "never", { type: "number", min: 1, max: 36500 })}
    <button class="primary">Create key</button>
    <p class="hint">${HINTS[form.kind]}</p>
  </form>
  ${error && html`<p class="error-message" role="alert">${error}</p>`}
  ${created && html`<p class="secret" role="status">The key ${created.key.name}, shown only now:${" "}
    <code>${created.secret}</code></p>`}`;
}

function body({ kind, name, services, environment, origins, days }) {
  const words = (text) => text.split(/[\s,]+/).filter(Boolean);
  const given = { kind, name, days: days ? Number(days) : null };
  if (kind !== "admin") given.services = kind === "send" ? [services.trim()].filter(Boolean) : words(services);
  if (kind === "send") Object.assign(given, { environment: environment.trim() || null, origins: words(origins) });
  return given;
}
