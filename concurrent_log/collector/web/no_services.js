// The services panel without reports of monitors: an example of how to monitor a service.

import { html } from "./html.js";

export function NoServices({ range }) {
  const url = document.baseURI.replace(/[?#].*$/, "").replace(/\/$/, "");
  return html`<div class="empty" role="status">
    <h2>No services</h2>
    <p>No monitor has reported to this server (${range}). To monitor the services that a Python program depends on:</p>
    <pre>${`import logging
from concurrent_log.collector import CollectorHandler
from concurrent_log.health import ServiceMonitor

handler = CollectorHandler("${url}", service="shop")
logging.basicConfig(level=logging.INFO, handlers=[handler])
monitor = ServiceMonitor()

@monitor.check("database")
def check_database():
    database.execute("SELECT 1")  # any call that raises if the service is down

monitor.start()`}</pre>
    <p>The monitor logs each change of a status, and every five minutes the status of all services. The handler sends
      these records here. See the documentation of <code>ServiceMonitor</code>, and
      ${" "}<a href="docs#/reading" target="_blank" rel="noopener">GET /services</a> in the API of this server.</p>
  </div>`;
}
