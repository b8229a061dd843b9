// A panel over the page: a trace, surrounding records, groups, services, pipeline health, or keyboard shortcuts.

import { html, useLayoutEffect, useRef } from "./html.js";
import { Icon } from "./icons.js";

/** Show `children` in a dialog with a title. The browser keeps the focus in it, and restores the focus afterwards. */
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
    <div class="panel-body">
      <header><h2>${title}</h2>
        <button aria-label="Close" title="Close (Esc)" onClick=${onClose}><${Icon} name="close" /></button></header>
      ${children}
    </div>
  </dialog>`;
}

/** Show the state of a request without a response: loading, or an error. */
export function Pending({ error, reload }) {
  if (!error) return html`<p class="hint" role="status">Loading …</p>`;
  return html`<p class="error-message" role="alert">${error.message} <button onClick=${reload}>Try again</button></p>`;
}
