// The query in the address of the page, so that the user can share the address, and go back in the browser.

import { useCallback, useEffect, useRef, useState } from "./html.js";
import { parse, write } from "./query.js";

/** Return the query, and a function that changes some of its members. */
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
