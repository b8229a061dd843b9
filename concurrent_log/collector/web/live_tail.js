// Following what comes in: new records go on top of the list, until the reader looks at something.

import { useEffect, useRef, useState } from "./html.js";
import { Live } from "./live_stream.js";
import { filters } from "./query.js";

const OFF = { state: "off", isHeld: false, missed: 0, rate: 0 };
const IDLE = 2000; // milliseconds from one look at the rate to the next, while nothing comes in

/**
 * Follow a query while `query.live` is set.
 *
 * Return `state` ("off", "connecting", "open" or "lost"), whether the list is held, how many records came in since
 * (`missed`), how many a second come in (`rate`); and `hold()` and `resume()`.
 */
export function useTail(query, records, onTrouble) {
  const [tail, setTail] = useState(OFF);
  const change = (changes) => setTail((before) => ({ ...before, ...changes }));
  const isHeld = useRef(false);
  const latest = useRef();
  latest.current = query;
  const asked = filters(query, ["since", "until"]).toString();

  useEffect(() => {
    isHeld.current = false;
    setTail({ ...OFF, state: query.live ? "connecting" : "off" });
    return query.live ? following(latest, isHeld, { setTail, change, records, onTrouble }) : undefined;
  }, [asked, query.live]);

  const hold = () => query.live && !isHeld.current && change({ isHeld: (isHeld.current = true), missed: 0 });
  const resume = () => {
    change({ isHeld: (isHeld.current = false), missed: 0 });
    records.load(query);
  };
  return { ...tail, hold, resume };
}

/** Follow the latest query, and return what ends it. */
function following(latest, isHeld, { setTail, change, records, onTrouble }) {
  const speed = meter();
  const onBatch = (list, leftOut) => {
    const [rate, number] = [speed(list.length + leftOut), list.length + leftOut];
    if (!isHeld.current) records.add(list, leftOut);
    setTail((before) => ({ ...before, rate, missed: isHeld.current ? before.missed + number : 0 }));
  };
  const onState = (state) => {
    change({ state });
    if (state === "open" && !isHeld.current) records.load(latest.current); // What came in before is in the store.
  };
  const live = new Live(latest.current, { onBatch, onState, onTrouble });
  const idle = setInterval(() => change({ rate: speed(0) }), IDLE);
  return () => {
    live.close();
    clearInterval(idle);
  };
}

/** Return what counts records, and tells how many a second came in of late. */
function meter(span = 4000) {
  let seen = [];
  return (number) => {
    const now = performance.now();
    seen = [...seen.filter(([time]) => now - time < span), [now, number]];
    return Math.round(seen.reduce((sum, [, each]) => sum + each, 0) / (span / 1000));
  };
}
