// The settings of the user, saved in the browser. They are not part of a query, so a shared link does not contain them.

import { useEffect, useMemo, useState } from "./html.js";

const NAME = "concurrent-log";
const DEFAULTS = { theme: "system", zone: "local", wrap: false, histogram: true, saved: [] };

/** Return the settings, and a function that changes some of them. */
export function useSettings() {
  const [settings, setSettings] = useState(read);
  useEffect(() => {
    document.documentElement.dataset.theme = settings.theme;
  }, [settings.theme]);
  const change = (changes) => {
    setSettings((before) => {
      const after = { ...before, ...changes };
      save(after);
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

function save(settings) {
  try {
    localStorage.setItem(NAME, JSON.stringify(settings));
  } catch {
    // The page also works in a browser without storage.
  }
}

/** Return whether the page is dark, by its own setting or the system's. */
export function useDarkMode(theme) {
  const system = useMemo(() => window.matchMedia("(prefers-color-scheme: dark)"), []);
  const [isSystemDark, setSystemDark] = useState(system.matches);
  useEffect(() => {
    const onChange = () => setSystemDark(system.matches);
    system.addEventListener("change", onChange);
    return () => system.removeEventListener("change", onChange);
  }, []);
  return theme === "system" ? isSystemDark : theme === "dark";
}
