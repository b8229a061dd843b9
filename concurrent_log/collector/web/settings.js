// What this reader likes, kept in the browser. Nothing here is part of a query, so it does not travel with a link.

import { useEffect, useMemo, useState } from "./html.js";

const NAME = "concurrent-log";
const DEFAULTS = { theme: "system", zone: "local", wrap: false, histogram: true, saved: [] };

/** Return the settings, and what changes some of them. */
export function useSettings() {
  const [settings, setSettings] = useState(read);
  useEffect(() => {
    document.documentElement.dataset.theme = settings.theme;
  }, [settings.theme]);
  const change = (changes) => {
    setSettings((before) => {
      const after = { ...before, ...changes };
      keep(after);
      return after;
    });
  };
  return [settings, change];
}

function read() {
  try {
    return { ...DEFAULTS, ...JSON.parse(localStorage.getItem(NAME)) };
  } catch {
    return DEFAULTS;
  }
}

function keep(settings) {
  try {
    localStorage.setItem(NAME, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing still shows logs.
  }
}

/** Return whether the page is dark, by the reader's choice or the system's. */
export function useDarkness(theme) {
  const system = useMemo(() => window.matchMedia("(prefers-color-scheme: dark)"), []);
  const [isSystemDark, setSystemDark] = useState(system.matches);
  useEffect(() => {
    const onChange = () => setSystemDark(system.matches);
    system.addEventListener("change", onChange);
    return () => system.removeEventListener("change", onChange);
  }, []);
  return theme === "system" ? isSystemDark : theme === "dark";
}
