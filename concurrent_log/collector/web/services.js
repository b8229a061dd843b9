// The panel of the monitored services: the status of each, since when, and its history over a range; the worst first.

import { useRequest } from "./request.js";
import { History, healthyShare } from "./history.js";
import { html } from "./html.js";
import { Icon } from "./icons.js";
import { count, counted } from "./numbers.js";
import { Panel, Pending } from "./panel.js";
import { monitorQuery } from "./query.js";
import { Sparkline } from "./sparkline.js";
import { ago, duration, fullTime, justAfter, length, rangeName, secondsSince, toSecond } from "./times.js";
import { NoServices } from "./no_services.js";

// The milliseconds between two requests for each range.
const RANGES = { "1h": 10000, "6h": 15000, "1d": 15000, "7d": 60000 };
const RANGE = "1d";
const BUTTON_REQUEST = ["since=1h", 60000];
const ENDED = ["replaced", "stopped"];
const STATUSES = ["unhealthy", "degraded", "unknown", "healthy"];
const MONITOR_LABELS = {
  running: "reported",
  silent: "silent since",
  replaced: "silent since",
  stopped: "stopped",
};

export function ServicesPanel({ query, go, zone, onClose }) {
  const range = RANGES[query.services] ? query.services : RANGE;
  const [response, error, reload] = useRequest("services", `since=${range}`, RANGES[range]);
  const listRecords = (program, name, segment) => go({
    ...monitorQuery(query, program, segment ? "" : name), services: "", live: "",
    since: segment ? segment.since : range, until: segment ? justAfter(segment.until) : "",
  });
  return html`<${Panel} title="Services" onClose=${onClose} className="wide">
    <${Ranges} range=${range} choose=${(services) => go({ services })} />
    ${(error || !response) && html`<${Pending} error=${error} reload=${reload} />`}
    ${response && (response.programs.length ? html`<${Programs} ...${{ response, zone, list: listRecords }} />`
      : html`<${NoServices} range=${rangeName({ since: range }, zone)} />`)}
  <//>`;
}

function Ranges({ range, choose }) {
  return html`<div class="switch ranges" role="radiogroup" aria-label="Range">
    ${Object.keys(RANGES).map((since) => html`<label key=${since}>
      <input type="radio" name="services-range" checked=${since === range} onChange=${() => choose(since)} />
      <span>${rangeName({ since })}</span>
    </label>`)}
  </div>`;
}

function Programs({ response, ...rest }) {
  const { since, until, programs } = response;
  const ended = programs.filter(({ monitor }) => ENDED.includes(monitor));
  const shown = programs.filter(({ monitor }) => !ENDED.includes(monitor));
  const each = (program) => html`<${Program} key=${keyOf(program)} ...${{ program, since, until, ...rest }} />`;
  return html`
    <p class="summary" role="status">${summary(shown)}${limitsText(response, rest.zone)}</p>
    <div class="monitored-head" aria-hidden="true"><span>Status</span><span>Service</span><span>Response time</span>
      <span class="ends"><i>${toSecond(since, rest.zone)}</i><i>${toSecond(until, rest.zone)}</i></span></div>
    ${shown.map(each)}
    ${ended.length > 0 && html`<details class="ended">
      <summary>${counted(ended.length, "program")} that ended or ${ended.length === 1 ? "was" : "were"} restarted</summary>
      ${ended.map(each)}
    </details>`}
    <p class="hint">Taller bars are worse. Click a name to list the changes of its status, or a bar to list the records
      of that time.</p>`;
}

function summary(programs) {
  const running = programs.filter(({ monitor }) => monitor === "running");
  const services = running.flatMap((program) => program.services);
  const numbers = STATUSES.map((word) => [word, services.filter(({ status }) => status === word).length]);
  const states = numbers.filter(([, number]) => number).map(([word, number]) => `${count(number)} ${word}`);
  const silent = programs.length - running.length;
  const subject = `${counted(running.length, "program")} ${running.length === 1 ? "monitors" : "monitor"}`;
  const first = running.length ? `${subject} ${counted(services.length, "service")}` : "No monitor is reporting";
  const silentText = silent ? ` ${counted(silent, "monitor")} ${silent === 1 ? "is" : "are"} silent.` : "";
  return `${first}${states.length ? `: ${states.join(", ")}` : ""}.${silentText}`;
}

/** Return the limits of the response as text. */
function limitsText({ is_sample: isSample, looked_at: number, looked_since: since, is_cut: isCut, unreadable }, zone) {
  const sample = ` Based on the newest ${counted(number, "record")} of monitors, since ${toSecond(since ?? 0, zone)}.`;
  return [isSample && sample, isCut && " There are more services than can be shown.",
    unreadable > 0 && ` ${counted(unreadable, "record")} could not be read.`].filter(Boolean).join("");
}

function keyOf({ service, environment, host, process_id: process }) {
  return JSON.stringify([service, environment, host, process]);
}

function Program({ program, zone, list, ...range }) {
  const { service, environment, host, process_id: process, monitor, last_seen: seen, services } = program;
  const origin = [host, process !== null && `process ${process}`, environment].filter(Boolean).join(" · ");
  return html`<section class="program ${monitor}">
    <h3>${service || "(no name)"} <small>${origin}</small>
      <span class="monitor" title=${fullTime(seen, zone)}>${monitor === "silent" && html`<${Icon} name="silent" /> `}
        ${MONITOR_LABELS[monitor]} ${monitor === "running" ? ago(seen) : `${toSecond(seen, zone)}, ${ago(seen)}`}</span></h3>
    ${monitor === "silent" && html`<p class="error-message">No report for ${length(secondsSince(seen))}. The last known
      status may be out of date.</p>`}
    ${services.length === 0 && html`<p class="hint">It monitors no services.</p>`}
    <ul class="monitored">
      ${services.map((each) => html`<${Service} key=${each.name} ...${{ service: each, monitor, zone, ...range }}
        list=${(segment) => list(program, each.name, segment)} />`)}
    </ul>
  </section>`;
}

function Service({ service, monitor, since, until, zone, list }) {
  const { name, error, consecutive_failures: failures, history, is_cut: isCut } = service;
  const isNow = monitor === "running";
  return html`<li class="status-${isNow ? service.status : "silent"}">
    <${Status} ...${{ service, monitor, zone }} />
    <div class="what">
      <button class="link" title="List the changes of its status" onClick=${() => list()}>${name}</button>
      <${Tags} service=${service} />
      ${error && html`<p class="error">${error}${" "}
        ${failures > 1 && html`<span>(${count(failures)} failures in a row)</span>`}</p>`}
    </div>
    <${Response} service=${service} />
    <div class="over-time">
      <${History} ...${{ name, segments: history, since, until, zone, list }}
        summary=${`${healthyShare(history)}${isCut ? "; older history is not shown" : ""}`} />
    </div>
  </li>`;
}

function Status({ service: { status, since }, monitor, zone }) {
  const isNow = monitor === "running";
  const word = isNow ? status : monitor === "stopped" ? "stopped" : "silent";
  return html`<div class="status">
    <b><${Icon} name=${word} /> ${word}</b>
    <small title=${fullTime(since, zone)}>${isNow ? `since ${toSecond(since, zone)}` : `was ${status}`}</small>
  </div>`;
}

function Tags({ service: { breaker, critical, is_flapping: isFlapping } }) {
  const circuit = breaker !== "closed" && `circuit ${breaker}`;
  const tags = [circuit, isFlapping && "flapping", !critical && "not critical"];
  return tags.filter(Boolean).map((tag) => html` <span class="tag" key=${tag}>${tag}</span>`);
}

function Response({ service: { response_time_ms: took, response_times: times } }) {
  const known = times.filter((each) => each !== null);
  const range = known.length > 0 && `${duration(Math.min(...known))} to ${duration(Math.max(...known))}`;
  const title = range ? `The slowest check of each interval: ${range}` : "No response times";
  return html`<div class="response" title=${title}>
    <span>${took === null ? "–" : duration(took)}</span>
    <${Sparkline} values=${times} />
  </div>`;
}

/** The button of the toolbar, with the number of unhealthy services and silent monitors. */
export function ServicesButton({ onClick }) {
  const [response] = useRequest("services", ...BUTTON_REQUEST);
  const number = response ? countProblems(response.programs) : 0;
  const name = number ? `Services: ${counted(number, "problem")}` : "Services";
  return html`<button class="services" title=${`${name} (s)`} aria-label=${name} onClick=${onClick}>
    <${Icon} name="services" />${number > 0 && html`<b class="alarm">${number > 99 ? "99+" : number}</b>`}</button>`;
}

function countProblems(programs) {
  const unhealthy = programs.filter(({ monitor }) => monitor === "running").flatMap(({ services }) => services)
    .filter(({ status }) => status === "unhealthy");
  return unhealthy.length + programs.filter(({ monitor }) => monitor === "silent").length;
}
