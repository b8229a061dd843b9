// The live tail: new records are added on top of the list, until the user scrolls or selects a record.

import { useEffect, useRef, useState } from "./html.js";
import { LiveStream } from "./live_stream.js";
import { filters } from "./query.js";

const OFF = { state: "off", isPaused: false, missed: 0, rate: 0 };
const IDLE_INTERVAL = 2000; // milliseconds between two updates of the rate while no records arrive

/**
 * Follow a query while `query.live` is set.
 *
 * Return `state` ("off", "connecting", "open" or "lost"), `isPaused`, the number of records that arrived since the pause
 * (`missed`), the records per second (`rate`), `pause()` and `resume()`.
 */
export function useLiveTail(query, records, onError) {
  const [tail, setTail] = useState(OFF);
  const change = (changes) => setTail((before) => ({ ...before, ...changes }));
  const isPaused = useRef(false);
  const latest = useRef();
  latest.current = query;
  const filterText = filters(query, ["since", "until"]).toString();

  useEffect(() => {
    isPaused.current = false;
    setTail({ ...OFF, state: query.live ? "connecting" : "off" });
    return query.live ? startTail(latest, isPaused, { setTail, change, records, onError }) : undefined;
  }, [filterText, query.live]);

  const pause = () => query.live && !isPaused.current && change({ isPaused: (isPaused.current = true), missed: 0 });
  const resume = () => {
    change({ isPaused: (isPaused.current = false), missed: 0 });
    records.load(query);
  };
  return { ...tail, pause, resume };
}

/** Follow the latest query, and return a function that stops. */
function startTail(latest, isPaused, { setTail, change, records, onError }) {
  const speed = rateMeter();
  const onBatch = (list, skipped) => {
    const [rate, number] = [speed(list.length + skipped), list.length + skipped];
    if (!isPaused.current) records.add(list, skipped);
    setTail((before) => ({ ...before, rate, missed: isPaused.current ? before.missed + number : 0 }));
  };
  const onState = (state) => {
    change({ state });
    if (state === "open" && !isPaused.current) records.load(latest.current); // Earlier records are in the store.
  };
  const live = new LiveStream(latest.current, { onBatch, onState, onError });
  const idle = setInterval(() => change({ rate: speed(0) }), IDLE_INTERVAL);
  return () => {
    live.close();
    clearInterval(idle);
  };
}

/** Return a function that counts records, and returns the records per second over the last `span` milliseconds. */
function rateMeter(span = 4000) {
  let counts = [];
  return (number) => {
    const now = performance.now();
    counts = [...counts.filter(([time]) => now - time < span), [now, number]];
    return Math.round(counts.reduce((sum, [, each]) => sum + each, 0) / (span / 1000));
  };
}
