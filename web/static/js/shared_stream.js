// A SharedWorker: holds the one connection of all pages of this browser.
import { Multiplexer } from "./multiplexer.js";

const streams = new Multiplexer((port, message) => port.postMessage(message));

addEventListener("connect", ({ ports: [port] }) => {
  port.onmessage = ({ data }) => {
    streams.set(port, data);
    port.postMessage({ received: true });
  };
});
