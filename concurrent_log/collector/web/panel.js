// A sheet over the page, for what is looked at by the way: a trace, the lines around a record, the pipeline, the keys.

import { html, useLayoutEffect, useRef } from "./html.js";
import { Icon } from "./icons.js";

/** Show `children` in a dialog with a title; the browser keeps the focus in it, and gives it back. */
export function Panel({ title, onClose, children, className = "" }) {
  const dialog = useRef();
  useLayoutEffect(() => {
    const element = dialog.current;
    element.showModal();
    return () => element.close();
  }, []);
  const onCancel = (event) => {
    event.preventDefault();
    onClose();
  };
  return html`<dialog ref=${dialog} class="panel ${className}" aria-label=${title} onCancel=${onCancel}
      onClick=${(event) => event.target === dialog.current && onClose()}>
    <div class="sheet">
      <header><h2>${title}</h2>
        <button aria-label="Close" title="Close (Esc)" onClick=${onClose}><${Icon} name="close" /></button></header>
      ${children}
    </div>
  </dialog>`;
}

/** Show what a request is about as long as there is no answer: that it is under way, or why it failed. */
export function Pending({ trouble, again }) {
  if (!trouble) return html`<p class="hint" role="status">One moment …</p>`;
  return html`<p class="trouble" role="alert">${trouble.message} <button onClick=${again}>Try again</button></p>`;
}
