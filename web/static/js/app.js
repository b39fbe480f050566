// What every page does: buttons that copy, times that move, and word of changes from the server.

function words(milliseconds) {
  const seconds = Math.max(0, milliseconds) / 1000;
  const two = (value) => String(value).padStart(2, "0");
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.floor(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

// Server and browser clocks differ: what counts is how far the server's clock was when the page was made.
const loadedAt = Date.now();

function tick() {
  for (const element of document.querySelectorAll("[data-since]")) {
    const serverThen = Number(element.dataset.now);
    // A part that was swapped in later brings its own moment.
    if (element.tickNow !== serverThen) {
      element.tickNow = serverThen;
      element.tickAt = element.tickAt === undefined && document.readyState !== "complete" ? loadedAt : Date.now();
    }
    const running = serverThen - Number(element.dataset.since) + (Date.now() - element.tickAt);
    if (running >= 10_000) element.textContent = words(running);
  }
}

const whole = new Intl.DateTimeFormat([], { dateStyle: "medium", timeStyle: "long" });

function localTimes() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    time.title = whole.format(Number(time.dataset.ago));
  }
}

// What the server said, grown older by the time that the page has been open.
function age() {
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
    // Plain http on another host: browsers do not let scripts write there.
    window.prompt("Copy this:", button.dataset.copy);
  }
  setTimeout(() => (button.textContent = before), 1500);
}

function reveal() {
  for (const button of document.querySelectorAll("button[data-copy][hidden]")) button.hidden = false;
  localTimes();
}

export function changed() {
  document.body.dispatchEvent(new CustomEvent("headway-changed"));
}

// Listens to a stream that only says that something changed.
export function watch(url, version) {
  const source = new EventSource(`${url}?seen=${encodeURIComponent(version)}`);
  source.addEventListener("changed", changed);
  source.addEventListener("end", () => source.close());
  addEventListener("pagehide", () => source.close(), { once: true });
  return source;
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-copy]");
  if (button) copy(button);
});
// A form is sent once, however often its button is pressed; not so when the reader comes back to the page.
document.addEventListener("submit", (event) => {
  if (event.target.sent) event.preventDefault();
  event.target.sent = true;
});
addEventListener("pageshow", () => document.querySelectorAll("form").forEach((form) => (form.sent = false)));
document.addEventListener("htmx:after:swap", reveal);
reveal();
setInterval(tick, 1000);
age();
setInterval(age, 10_000);

const page = document.querySelector("div[data-stream][data-version]");
if (page) watch(page.dataset.stream, page.dataset.version);
