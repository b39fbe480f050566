// The run page: keeps the states and the shown log up to date while it is open.
import { changed } from "./app.js";
import { Find } from "./find.js";
import { follow } from "./follow.js";
import { opensOtherStep } from "./links.js";
import { LogView } from "./log.js";
import { addKeys, Errors, offerWrap } from "./log_keys.js";

const head = () => document.getElementById("run-head");
const log = document.getElementById("log");
const stepWasAsked = new URLSearchParams(location.search).has("step");
const RETRY_MS = 2000;
let stop;

function bytes(base64) {
  const text = atob(base64);
  const data = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index += 1) data[index] = text.charCodeAt(index);
  return data;
}

function seen() {
  return head().dataset.version;
}

function watchRun() {
  stop?.();
  stop = undefined;
  if ("final" in head().dataset) return;
  const on = (kind) => kind === "changed" && changed();
  stop = follow(head().dataset.follow, { state: () => ({ seen: seen() }), on });
}

function watchStep(view) {
  stop?.();
  const on = (kind, data, end) => {
    if (kind === "log") view.add(bytes(data), end);
    if (kind === "changed") changed();
    if (kind === "restart") begin(view);
    if (kind === "end" || kind === "gone") {
      view.toggles.load();
      watchRun();
    }
  };
  const state = () => ({ offset: view.position, seen: seen() });
  stop = follow(log.dataset.follow, { state, on, shown: () => view.catchUp() });
}

async function begin(view) {
  try {
    await view.load();
  } catch (error) {
    document.getElementById("log-note").textContent = error.message;
    watchRun();
    // Without an answer it was the network, which may be back soon.
    if (error instanceof TypeError) setTimeout(() => begin(view), RETRY_MS);
    return;
  }
  if (view.ended) watchRun();
  else watchStep(view);
}

// If the user has not chosen a step, the page moves to the first step, then to each running step, and at the end to a
// failed one. It skips steps that started and ended in between.
function followSteps() {
  if (stepWasAsked || location.hash) return;
  const steps = document.getElementById("run-steps");
  const shown = steps.querySelector("a[data-slug][aria-current]");
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
  const chosen = steps.querySelector("a[data-slug][aria-current]");
  if (chosen) steps.scrollTop = chosen.offsetTop - steps.offsetTop - steps.clientHeight / 2;
}

document.addEventListener("htmx:after:swap", updateTab);
document.addEventListener("htmx:after:swap", followSteps);
scrollToChosen();
addEventListener("hashchange", () => opensOtherStep(log));
if (opensOtherStep(log)) {
  // The page goes to the step of the line that the address names.
} else if (log) {
  const view = new LogView(log);
  const find = new Find(log, view);
  addKeys(find, new Errors(view));
  offerWrap(log, () => view.list);
  begin(view);
} else {
  watchRun();
}
