// The page of the shop. It loads the client from the collector, and logs as any page would.

const { collector } = document.documentElement.dataset;
const { createLogClient } = await import(`${collector}/client.js`);

const logger = createLogClient(collector, {
  service: "shop-page",
  environment: "demo",
  flushInterval: 200,
  enableGlobalErrorHandler: true,
});
logger.info("the page is open", { language: navigator.language });

const deeds = {
  flood() {
    for (let number = 1; number <= 1000; number++) logger.debug(`record ${number} of 1000`, { number });
    tell("1,000 records are logged.", `?q=${encodeURIComponent('"of 1000"')}`);
  },
  fail() {
    tell("This page has an error that nobody catches.", "?level=FATAL");
    undefined.method();
  },
};

async function order(fruit) {
  const step = logger.withTrace(); // All of this order's records carry one trace id, here and in the back end.
  step.info(`somebody wants one ${fruit}`, { fruit });
  const begin = performance.now();
  const answer = await fetch("/orders", {
    method: "POST",
    headers: { ...step.headers, "Content-Type": "application/json" },
    body: JSON.stringify({ fruit }),
  });
  const { detail } = await answer.json();
  const fields = { fruit, status: answer.status, duration_ms: Math.round(performance.now() - begin) };
  if (answer.ok) step.info("the shop says yes", fields);
  else step.error("the shop says no", fields);
  tell(detail, `?trace=${step.traceId}`);
}

function tell(what, query) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  Object.assign(link, { href: `${collector}/${query}`, target: "_blank", rel: "noopener", textContent: "See it" });
  item.append(`${what} `, link);
  document.querySelector(".done").prepend(item);
}

for (const button of document.querySelectorAll("button")) {
  const { fruit, deed } = button.dataset;
  button.addEventListener("click", () => (fruit ? order(fruit) : deeds[deed]()));
}
document.documentElement.dataset.ready = "";
