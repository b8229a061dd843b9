// Following what comes in: new records go on top of the list, until the reader looks at something.

import { useEffect, useRef, useState } from "./html.js";
import { Live } from "./live.js";
import { filters } from "./query.js";

const OFF = { state: "off", isHeld: false, missed: 0, rate: 0 };

/**
 * Follow a query while `query.live` is set.
 *
 * Return `state` ("off", "connecting", "open" or "lost"), whether the list is held, how many records came in since
 * (`missed`), how many a second come in (`rate`); and `hold()` and `resume()`.
 */
export function useTail(query, records, onTrouble) {
  const [tail, setTail] = useState(OFF);
  const isHeld = useRef(false);
  const latest = useRef(query);
  latest.current = query;
  const change = (changes) => setTail((before) => ({ ...before, ...changes }));
  const hold = () => query.live && !isHeld.current && change({ isHeld: (isHeld.current = true), missed: 0 });
  const resume = () => {
    change({ isHeld: (isHeld.current = false), missed: 0 });
    records.load(query);
  };
  const asked = filters(query, ["since", "until"]).toString();

  useEffect(() => {
    setTail({ ...OFF, state: query.live ? "connecting" : "off" });
    isHeld.current = false;
    if (!query.live) return undefined;
    const speed = meter();
    const onBatch = (list, leftOut) => {
      const rate = speed(list.length + leftOut);
      if (!isHeld.current) records.add(list, leftOut);
      setTail((before) => ({ ...before, rate, missed: isHeld.current ? before.missed + list.length + leftOut : 0 }));
    };
    const onState = (state) => {
      change({ state });
      if (state === "open" && !isHeld.current) records.load(latest.current);
    };
    const live = new Live(latest.current, { onBatch, onState, onTrouble });
    const idle = setInterval(() => change({ rate: speed(0) }), 2000);
    return () => (live.close(), clearInterval(idle));
  }, [asked, query.live]);
  return { ...tail, hold, resume };
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
