// Requests to the server that this page comes from. What goes wrong becomes a sentence that can be shown.

/** Something went wrong, in words for the reader. `status` is 0 where no answer came. */
export class Trouble extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** Return what the server answers to `GET path?parameters`. */
export async function ask(path, parameters = new URLSearchParams(), signal = undefined) {
  return answerTo(address(path, parameters), { signal });
}

/** Return the address of a request, below wherever this page is served. */
export function address(path, parameters) {
  const text = parameters.toString();
  return new URL(text ? `${path}?${text}` : path, document.baseURI).href;
}

/** Exchange the token for a session. */
export async function login(token) {
  const body = JSON.stringify({ token });
  await answerTo(address("login", ""), { method: "POST", body, headers: { "Content-Type": "application/json" } });
}

/** Forget the session. */
export async function logout() {
  await answerTo(address("logout", ""), { method: "POST" });
}

async function answerTo(url, options) {
  const answer = await reached(url, options);
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  throw new Trouble(await reason(answer), answer.status);
}

async function reached(url, options) {
  try {
    return await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble("The server does not answer. Is it running, and is this machine connected to it?", 0);
  }
}

async function reason(answer) {
  const words = await answer.json().then(({ detail }) => detail, () => null);
  if (typeof words === "string") return words;
  if (Array.isArray(words)) return words.map((each) => each.msg).join("; ");
  return `The server answered ${answer.status} ${answer.statusText}.`;
}
