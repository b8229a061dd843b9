// One request of a component: its answer, why there is none, and what asks again.

import { useCallback, useEffect, useState } from "./html.js";
import { ask } from "./server.js";

/** Return `[answer, trouble, again]`; the answer is null until it is there, and is asked for `every` milliseconds. */
export function useAnswer(path, parameters = "", every = 0) {
  const [[answer, trouble], setState] = useState([null, null]);
  const [turn, setTurn] = useState(0);
  const again = useCallback(() => setTurn((before) => before + 1), []);
  useEffect(() => {
    const underway = new AbortController();
    const timer = every && setInterval(again, every);
    ask(path, new URLSearchParams(parameters), underway.signal).then(
      (found) => setState([found, null]),
      (error) => underway.signal.aborted || setState(([before]) => [before, error]),
    );
    return () => (underway.abort(), clearInterval(timer));
  }, [path, parameters, turn]);
  return [answer, trouble, again];
}
