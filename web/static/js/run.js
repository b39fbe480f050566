// The run page: keeps the states and the shown log up to date over one connection.
import { changed, watch } from "./app.js";
import { Find } from "./find.js";
import { LogView } from "./log.js";

const head = () => document.getElementById("run-head");
const log = document.getElementById("log");
const stepWasAsked = new URLSearchParams(location.search).has("step");
let source;

function bytes(base64) {
  const text = atob(base64);
  const data = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) data[index] = text.charCodeAt(index);
  return data;
}

function watchRun() {
  source?.close();
  if ("final" in head().dataset) return;
  source = watch(head().dataset.stream, head().dataset.version);
}

function watchStep(view) {
  source?.close();
  const query = new URLSearchParams({ offset: view.position, seen: head().dataset.version });
  source = new EventSource(`${log.dataset.stream}?${query}`);
  const current = source;
  source.addEventListener("log", (event) => view.add(bytes(event.data), Number(event.lastEventId)));
  source.addEventListener("changed", changed);
  source.addEventListener("restart", () => {
    current.close();
    begin(view);
  });
  source.addEventListener("end", () => {
    current.close();
    watchRun();
  });
}

async function begin(view) {
  try {
    await view.load();
  } catch (error) {
    document.getElementById("log-note").textContent = error.message;
    watchRun();
    return;
  }
  if (view.atEnd && !(view.complete && view.position >= view.size)) watchStep(view);
  else watchRun();
}

// If the user has not chosen a step, the page moves to the first step, then to each running step, and at the end to a
// failed one. It skips steps that started and ended in between.
function followSteps() {
  if (stepWasAsked || location.hash) return;
  const steps = document.getElementById("run-steps");
  const shown = steps.querySelector("a[aria-current]");
  const running = steps.querySelector('a[data-state="running"]');
  const first = steps.querySelector("a[data-state]");
  const bad = "final" in head().dataset && steps.querySelector('a[data-state="failed"], a[data-state="broken"]');
  const showsImportant = ["running", "failed", "broken"].includes(shown?.dataset.state);
  if (log ? (running && shown?.dataset.state !== "running") || (bad && !showsImportant) : first) location.reload();
}

// Title and icon of the browser tab show the state of the run.
function updateTab() {
  document.title = head().dataset.title;
  document.querySelector('link[rel="icon"]').href = head().dataset.icon;
}

// Scrolls a long list of steps to the shown step, without scrolling the page.
function scrollToChosen() {
  const steps = document.getElementById("run-steps");
  const chosen = steps.querySelector("a[aria-current]");
  if (chosen) steps.scrollTop = chosen.offsetTop - steps.offsetTop - steps.clientHeight / 2;
}

document.addEventListener("htmx:after:swap", updateTab);
document.addEventListener("htmx:after:swap", followSteps);
scrollToChosen();
addEventListener("pagehide", () => source?.close());
if (log) {
  const view = new LogView(log);
  new Find(log);
  log.addEventListener("log-at-end", () => watchStep(view));
  log.addEventListener("log-paused", watchRun);
  begin(view);
} else {
  watchRun();
}
