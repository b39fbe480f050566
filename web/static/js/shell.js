// The page with a shell in a running step: xterm.js, and the WebSocket to the step's container.
import { FitAddon } from "../vendor/xterm-fit.mjs";
import { Terminal } from "../vendor/xterm.mjs";

const PIECE_BYTES_MAX = 16 * 1024; // of a message, as workers/shells/limits.py has it
const place = document.getElementById("shell");
const state = document.getElementById("shell-state");
const again = document.getElementById("shell-again");

// xterm.js writes <style> elements and style attributes, which the page's content security policy refuses. What scripts
// set in sheets and styles by themselves is allowed: so these two calls, on this page alone, do it that way.
function allowStyles() {
  const create = document.createElement.bind(document);
  document.createElement = (name, options) => (name === "style" ? sheetElement(create("template")) : create(name, options));
  const set = Element.prototype.setAttribute;
  Element.prototype.setAttribute = function setAttribute(name, value) {
    if (name === "style") this.style.cssText = value;
    else set.call(this, name, value);
  };
}

function sheetElement(element) {
  const sheet = new CSSStyleSheet();
  document.adoptedStyleSheets.push(sheet);
  Object.defineProperty(element, "textContent", { set: (text) => sheet.replaceSync(text) });
  return element;
}

function say(sentence) {
  state.textContent = sentence;
  state.hidden = !sentence;
}

// A WebSocket that is refused says nothing of the reason to a script; the same address without one does not exist.
const REFUSED = "The shell cannot be opened: the step does not run, or too many shells are open. Look at the step.";

function open(terminal, fit) {
  fit.fit();
  const size = () => ({ rows: terminal.rows, columns: terminal.cols });
  const address = new URL(place.dataset.shell, location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  address.search = new URLSearchParams(size());
  const socket = new WebSocket(address);
  socket.binaryType = "arraybuffer";
  let opened = false;
  let end = "";
  const encoder = new TextEncoder();
  const send = (bytes) => {
    for (let start = 0; start < bytes.length; start += PIECE_BYTES_MAX) {
      socket.send(bytes.subarray(start, start + PIECE_BYTES_MAX));
    }
  };
  const ready = () => socket.readyState === WebSocket.OPEN;
  const handlers = [
    terminal.onData((text) => ready() && send(encoder.encode(text))),
    terminal.onBinary((text) => ready() && send(Uint8Array.from(text, (char) => char.charCodeAt(0)))),
    terminal.onResize(() => ready() && socket.send(JSON.stringify(size()))),
  ];
  socket.addEventListener("message", ({ data }) => {
    if (data instanceof ArrayBuffer) {
      terminal.write(new Uint8Array(data));
      return;
    }
    const said = JSON.parse(data);
    if (said.opened) {
      opened = true;
      say("");
      terminal.focus();
    }
    if (said.end) end = said.end;
  });
  socket.addEventListener("close", () => {
    for (const handler of handlers) handler.dispose();
    say(end || (opened ? "The connection to the server was lost." : REFUSED));
    again.hidden = false;
    if (place.contains(document.activeElement)) again.focus();
  });
}

allowStyles();
const terminal = new Terminal({
  cursorBlink: !matchMedia("(prefers-reduced-motion: reduce)").matches,
  fontFamily: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, monospace',
  fontSize: 14,
  screenReaderMode: true,
  scrollback: 5000,
  theme: { background: "#15181d", foreground: "#d9dce2" },
});
const fit = new FitAddon();
terminal.loadAddon(fit);
terminal.open(place);
terminal.textarea.setAttribute("aria-label", "Terminal");
// Tab is the shell's: another key leads out of the terminal, one that neither systems nor browsers keep for themselves
// (Ctrl+Shift+Escape never reaches a page on Windows).
terminal.attachCustomKeyEventHandler((event) => {
  if (!(event.code === "KeyL" && event.ctrlKey && event.shiftKey)) return true;
  event.preventDefault();
  document.querySelector(".shell-actions a").focus();
  return false;
});
new ResizeObserver(() => fit.fit()).observe(place);
again.addEventListener("click", () => {
  again.hidden = true;
  terminal.reset();
  say("Opening…");
  open(terminal, fit);
});
open(terminal, fit);
