// What this page follows on the server: changes of a run or of the front page, and the log of a step. All pages of the
// browser share one connection; a page that is hidden lets go of it, and catches up when it is shown again.
import { electedTransport } from "./elected_stream.js";
import { Multiplexer } from "./multiplexer.js";

const REPORT_MS = 20_000;
const ANSWER_MS_MAX = 5000;
const WORKER = "/static/js/shared_stream.js";
const WORKER_NAME = "headway-streams-1"; // another number where messages change: old pages keep their worker

const followed = new Map(); // name -> { state, on, shown }
let send;

function receive({ name, kind, data, end }) {
  followed.get(name)?.on(kind, data, end);
}

function ownTransport() {
  const streams = new Multiplexer((_, message) => receive(message));
  return (list) => streams.set("page", list);
}

function withoutWorker() {
  return globalThis.BroadcastChannel && navigator.locks ? electedTransport(receive) : ownTransport();
}

function withWorker() {
  const worker = new SharedWorker(WORKER, { type: "module", name: WORKER_NAME });
  let silent; // runs from a report to the worker's answer
  // A browser that knows no modules in workers says so; one that could not load the worker may say nothing.
  const goWithout = () => {
    clearTimeout(silent);
    worker.onerror = null;
    worker.port.postMessage([]);
    worker.port.close();
    send = withoutWorker();
    report();
  };
  worker.port.onmessage = ({ data }) => {
    clearTimeout(silent);
    silent = undefined;
    if (data.name) receive(data);
  };
  worker.onerror = goWithout;
  return (list) => {
    worker.port.postMessage(list);
    if (list.length) silent ??= setTimeout(goWithout, ANSWER_MS_MAX);
  };
}

function report() {
  const list = document.hidden ? [] : [...followed].map(([name, { state }]) => ({ name, ...state() }));
  if (!send && !list.length) return;
  send ??= globalThis.SharedWorker ? withWorker() : withoutWorker();
  send(list);
}

// Follows `name` (front, run:7, step:9). `state` returns { seen, offset } of what the page shows; `on` gets the kind of
// an event and its data; `shown` is awaited before a page that was hidden follows again.
export function follow(name, { state, on, shown }) {
  followed.set(name, { state, on, shown });
  report();
  return () => {
    if (followed.get(name)?.on === on && followed.delete(name)) report();
  };
}

async function visibilityChanged() {
  if (!document.hidden) await Promise.allSettled([...followed.values()].map(({ shown }) => shown?.()));
  report();
}

document.addEventListener("visibilitychange", visibilityChanged);
addEventListener("pagehide", () => send?.([]));
addEventListener("pageshow", (event) => event.persisted && visibilityChanged());
setInterval(() => followed.size && report(), REPORT_MS);
