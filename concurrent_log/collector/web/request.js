// A component's request to the server, with its response, its error and a function that repeats it.

import { useCallback, useEffect, useState } from "./html.js";
import { getJson } from "./server.js";

/** Return `[response, error, reload]`. The response is null until it arrives. Reloads every `every` milliseconds. */
export function useRequest(path, parameters = "", every = 0) {
  const [[response, error], setState] = useState([null, null]);
  const [attempt, setAttempt] = useState(0);
  const reload = useCallback(() => setAttempt((before) => before + 1), []);
  useEffect(() => {
    const controller = new AbortController();
    const timer = every && setInterval(reload, every);
    getJson(path, new URLSearchParams(parameters), controller.signal).then(
      (found) => setState([found, null]),
      (error) => controller.signal.aborted || setState(([before]) => [before, error]),
    );
    return () => (controller.abort(), clearInterval(timer));
  }, [path, parameters, attempt]);
  return [response, error, reload];
}
