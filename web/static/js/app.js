// Every page: copy buttons, durations and ages that stay up to date, and events when the server reports a change.
import { duration } from "./durations.js";
import { follow } from "./follow.js";

// The clocks of server and browser differ: data-now is the server's time when it rendered the element.
const loadedAt = Date.now();

function updateDurations() {
  for (const element of document.querySelectorAll("[data-since]")) {
    const serverThen = Number(element.dataset.now);
    // An element that htmx swapped in later has a data-now of its own.
    if (element.tickNow !== serverThen) {
      element.tickNow = serverThen;
      element.tickAt = element.tickAt === undefined && document.readyState !== "complete" ? loadedAt : Date.now();
    }
    const running = serverThen - Number(element.dataset.since) + (Date.now() - element.tickAt);
    if (running >= 10_000) element.textContent = duration(running);
  }
}

const dateAndTime = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "long" });

function addLocalTimes() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    time.title = dateAndTime.format(Number(time.dataset.ago));
  }
}

// Adds the time that the page has been open to the age that the server rendered.
function updateAges() {
  for (const time of document.querySelectorAll("time[data-now]")) {
    if (time.madeNow !== time.dataset.now) Object.assign(time, { madeNow: time.dataset.now, madeAt: Date.now() });
    const minutes = Math.floor((Number(time.madeNow) - Number(time.dataset.ago) + Date.now() - time.madeAt) / 60_000);
    if (minutes >= 1 && minutes < 60) time.textContent = `${minutes} minute${minutes === 1 ? "" : "s"} ago`;
  }
}

async function copy(button) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "Copied";
  } catch {
    // Over plain http (but for localhost) browsers do not let scripts write to the clipboard.
    window.prompt("Copy this:", button.dataset.copy);
  }
  setTimeout(() => (button.textContent = before), 1500);
}

function prepare() {
  for (const button of document.querySelectorAll("button[data-copy][hidden]")) button.hidden = false;
  addLocalTimes();
}

export function changed() {
  document.body.dispatchEvent(new CustomEvent("headway-changed"));
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
});
// A form is sent once, however often its button is pressed. When the user comes back to the page it can be sent again.
document.addEventListener("submit", (event) => {
  if (event.target.sent) event.preventDefault();
  event.target.sent = true;
});
addEventListener("pageshow", () => document.querySelectorAll("form").forEach((form) => (form.sent = false)));
document.addEventListener("htmx:after:swap", prepare);
prepare();
setInterval(updateDurations, 1000);
updateAges();
setInterval(updateAges, 10_000);

const page = document.querySelector("div[data-follow]");
if (page) {
  let seen = page.dataset.version;
  const on = (kind, version) => {
    if (kind !== "changed") return;
    seen = version;
    changed();
  };
  follow(page.dataset.follow, { state: () => ({ seen }), on });
}
