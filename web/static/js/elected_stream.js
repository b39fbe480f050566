// For browsers without SharedWorker: pages elect one that holds the connection, by a lock, and talk over a channel.
// A page leads only while it is visible and follows something itself.
import { Multiplexer } from "./multiplexer.js";

const NAME = "headway-streams-1";

export function electedTransport(receive) {
  const id = crypto.randomUUID();
  const channel = new BroadcastChannel(NAME);
  let list = [];
  let streams = null; // while this page leads
  let candidate = null;

  function report() {
    if (streams) streams.set(id, list);
    else channel.postMessage({ from: id, list });
  }

  channel.onmessage = ({ data }) => {
    if (data.to === id) receive(data.message);
    else if (data.leads) report();
    else if (data.from) streams?.set(data.from, data.list);
  };

  function lead() {
    return new Promise((release) => {
      candidate.release = release;
      streams = new Multiplexer((member, message) => {
        if (member === id) receive(message);
        else channel.postMessage({ to: member, message });
      });
      streams.set(id, list);
      channel.postMessage({ leads: true });
    });
  }

  function stand() {
    candidate = new AbortController();
    navigator.locks.request(NAME, { signal: candidate.signal }, lead).catch(() => {});
  }

  function stepDown() {
    streams?.close();
    streams = null;
    candidate.release?.();
    candidate.abort();
    candidate = null;
  }

  return (next) => {
    list = next;
    if (list.length && !candidate) stand();
    if (!list.length && candidate) stepDown();
    report();
  };
}
