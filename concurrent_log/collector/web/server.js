// Requests to the server of this page. Errors become messages for the user.

import { parseExactly } from "./exact_json.js";

/** A failed request. The message is for the user; `status` is 0 if there was no response. */
export class RequestError extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Return the JSON response to `GET path?parameters`. */
export async function getJson(path, parameters = new URLSearchParams(), signal = undefined) {
  return request(urlFor(path, parameters), { signal });
}

/** Return the URL of a request, relative to the URL of this page. */
export function urlFor(path, parameters) {
  const text = parameters.toString();
  return new URL(text ? `${path}?${text}` : path, document.baseURI).href;
}

/** Exchange the token for a session. */
export async function login(token) {
  await sendJson("login", { token });
}

/** Send `body` as JSON, and return the JSON response. */
export async function sendJson(path, body) {
  const headers = { "Content-Type": "application/json" };
  return request(urlFor(path, ""), { method: "POST", body: JSON.stringify(body), headers });
}

/** Remove what is at `path`. */
export async function remove(path) {
  await request(urlFor(path, ""), { method: "DELETE" });
}

/** End the session. */
export async function logout() {
  await request(urlFor("logout", ""), { method: "POST" });
}

async function request(url, options) {
  const response = await send(url, options);
  if (response.ok) return response.status === 204 ? null : parseExactly(await response.text());
  throw new RequestError(await errorText(response), response.status);
}

async function send(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new RequestError("The server does not respond. Is it running, and is this machine connected to it?", 0);
  }
}

async function errorText(response) {
  const detail = await response.json().then((body) => body.detail, () => null);
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail)) return detail.map((each) => each.msg).join("; ");
  return `The server responded with ${response.status} ${response.statusText}.`;
}
