// The page of the shop. It loads the client from the collector, like any other page.

const { collector } = document.documentElement.dataset;
const { createLogClient } = await import(`${collector}/client.js`);

const logger = createLogClient(collector, {
  service: "shop-page",
  environment: "demo",
  flushInterval: 200,
  enableGlobalErrorHandler: true,
});
logger.info("page opened", { language: navigator.language });

const actions = {
  flood() {
    for (let number = 1; number <= 1000; number++) logger.debug(`record ${number} of 1000`, { number });
    show("1,000 records logged.", `?q=${encodeURIComponent('"of 1000"')}`);
  },
  fail() {
    show("This page has thrown an uncaught error.", "?level=FATAL");
    undefined.method();
  },
};

async function order(fruit) {
  const step = logger.withTrace(); // All records of this order have one trace id, here and in the back end.
  step.info(`order for one ${fruit} clicked`, { fruit });
  const begin = performance.now();
  const response = await fetch("/orders", {
    method: "POST",
    headers: { ...step.headers, "Content-Type": "application/json" },
    body: JSON.stringify({ fruit }),
  });
  const { detail } = await response.json();
  const fields = { fruit, status: response.status, duration_ms: Math.round(performance.now() - begin) };
  if (response.ok) step.info("order accepted", fields);
  else step.error("order rejected", fields);
  show(detail, `?trace=${step.traceId}`);
}

function show(text, query) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  Object.assign(link, { href: `${collector}/${query}`, target: "_blank", rel: "noopener", textContent: "Show in the logs" });
  item.append(`${text} `, link);
  document.querySelector(".done").prepend(item);
}

for (const button of document.querySelectorAll("button")) {
  const { fruit, action } = button.dataset;
  button.addEventListener("click", () => (fruit ? order(fruit) : actions[action]()));
}
document.documentElement.dataset.ready = "";
