// What stands in place of services where no monitor has reported: how to get some.

import { html } from "./html.js";

export function Unwatched({ range }) {
  const url = document.baseURI.replace(/[?#].*$/, "").replace(/\/$/, "");
  return html`<div class="empty" role="status">
    <h2>No services</h2>
    <p>No monitor has reported to this server (${range}). In Python, a program watches what it depends on like this:</p>
    <pre>${`import logging
from concurrent_log.collector import CollectorHandler
from concurrent_log.health import ServiceMonitor

handler = CollectorHandler("${url}", service="shop")
logging.basicConfig(level=logging.INFO, handlers=[handler])
monitor = ServiceMonitor()

@monitor.check("database")
def check_database():
    database.execute("SELECT 1")  # or whatever raises if it is down

monitor.start()`}</pre>
    <p>Its monitor logs what changes, and every five minutes how all services are; the handler sends that here. More
      is in the documentation, under <i>Being told when a service is down</i>, and
      under <a href="docs#/reading" target="_blank" rel="noopener">GET /services</a> of the server's interface.</p>
  </div>`;
}
