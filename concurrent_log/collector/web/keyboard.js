// Keyboard shortcuts. They are off while the user types, and while a panel is open.

import { useEffect, useRef } from "./html.js";

/** Call `actions[key]` when a key is pressed. */
export function useKeys(actions) {
  const latest = useRef();
  latest.current = actions;
  useEffect(() => {
    const onKeyDown = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (document.querySelector("dialog[open]") || isTyping(event)) return;
      const act = latest.current[event.key];
      if (!act || (event.key === "Enter" && event.target.closest("button, a, .menu"))) return;
      event.preventDefault();
      act();
    };
    document.addEventListener("keydown", onKeyDown);
    return () => document.removeEventListener("keydown", onKeyDown);
  }, []);
}

function isTyping(event) {
  const { target, key } = event;
  if (!target.matches("input, textarea, select")) return false;
  if (key === "Escape") {
    event.preventDefault(); // A browser would clear the field.
    target.blur();
  }
  return !target.matches("[type=radio], [type=checkbox]") || key.startsWith("Arrow");
}
