// A button that opens a box below itself. The box closes on Escape, on a click elsewhere, and when it loses the focus.

import { html, useEffect, useRef, useState } from "./html.js";
import { Icon } from "./icons.js";

/** Show a button with `label`. `children(close)` returns the contents of the box. */
export function Menu({ label, title, icon, isOn, align = "left", children, className = "" }) {
  const [isOpen, setOpen] = useState(false);
  const root = useRef();
  useEffect(() => {
    if (!isOpen) return undefined;
    root.current.querySelector(".box")?.querySelector("input, button, a")?.focus({ preventScroll: true });
    const onPointerDown = (event) => root.current.contains(event.target) || setOpen(false);
    document.addEventListener("pointerdown", onPointerDown);
    return () => document.removeEventListener("pointerdown", onPointerDown);
  }, [isOpen]);
  const close = () => {
    setOpen(false);
    root.current.querySelector("button").focus();
  };
  const onKeyDown = (event) => {
    if (event.key !== "Escape" || !isOpen) return;
    event.stopPropagation();
    close();
  };
  const onFocusOut = ({ relatedTarget }) => relatedTarget && !root.current.contains(relatedTarget) && setOpen(false);
  return html`<div class="menu ${className}" ref=${root} onKeyDown=${onKeyDown} onFocusOut=${onFocusOut}>
    <button class=${isOn ? "on" : ""} aria-expanded=${isOpen} aria-haspopup="dialog" title=${title}
        aria-label=${label ? undefined : title} onClick=${() => setOpen(!isOpen)}>
      ${icon && html`<${Icon} name=${icon} />`}${label && html`<span>${label}</span><${Icon} name="down" />`}
    </button>
    ${isOpen && html`<div class="box ${align}" role="dialog" aria-label=${title}>${children(close)}</div>`}
  </div>`;
}
