// The query in the address of the page: what one sees can be sent to somebody, and the browser's "back" goes back.

import { useCallback, useEffect, useRef, useState } from "./html.js";
import { parse, write } from "./query.js";

/** Return the query, and what changes some of it. */
export function useQuery() {
  const [query, setQuery] = useState(() => parse(location.search));
  const latest = useRef(query);
  const show = (next) => setQuery((latest.current = next));
  useEffect(() => {
    const onPopState = () => show(parse(location.search));
    window.addEventListener("popstate", onPopState);
    return () => window.removeEventListener("popstate", onPopState);
  }, []);
  const go = useCallback((changes) => {
    const next = { ...latest.current, ...changes };
    if (write(next) === write(latest.current)) return;
    history.pushState(null, "", location.pathname + write(next));
    show(next);
  }, []);
  return [query, go];
}
