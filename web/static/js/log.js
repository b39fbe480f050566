// A step's log: loads the newest lines first and older lines on demand, and adds new output while the step runs.
import { AnsiUp } from "../vendor/ansi_up.js";
import { afterNewlines, displayed, keptOfUnfinished } from "./lines.js";
import { Sources } from "./sources.js";

const TAIL_LINES = 2000;
const BLOCK_LINES = 500; // lines that the browser lays out, or skips, together
const BLOCKS_MAX = 100; // while following; older ones can be loaded again
const SLICE_LINES = 4000; // lines rendered before the browser may handle events again
const PART_BYTES = 512 * 1024;
const AT_BOTTOM_PX = 48;
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;

const yieldToBrowser = () => new Promise((resolve) => setTimeout(resolve));

function newAnsi() {
  const ansi = new AnsiUp();
  ansi.use_classes = true;
  return ansi;
}

function lineElement(number, at) {
  const line = document.createElement("div");
  line.className = "line";
  line.at = at;
  line.id = `L${number}`;
  const link = document.createElement("a");
  link.href = `#L${number}`;
  link.dataset.n = number;
  link.setAttribute("aria-label", `Line ${number}`);
  line.append(link, document.createElement("span"));
  return line;
}

// The content security policy forbids style attributes in markup, but a script may set styles.
function paint(span, html) {
  span.innerHTML = html.replaceAll(' style="', ' data-style="');
  for (const part of span.querySelectorAll("[data-style]")) {
    part.style.cssText = part.dataset.style;
    part.removeAttribute("data-style");
  }
}

export class LogView {
  constructor(root) {
    this.root = root;
    this.lines = document.getElementById("log-lines");
    this.none = document.getElementById("log-none");
    this.note = document.getElementById("log-note");
    this.earlier = document.getElementById("log-earlier");
    this.later = document.getElementById("log-later");
    this.follow = document.getElementById("log-follow");
    this.sources = new Sources(root, this.lines);
    this.work = Promise.resolve();
    this.following = true;
    this.scrollTop = 0;
    const resized = new ResizeObserver(() => this.following && this.#jumpToEnd());
    resized.observe(this.lines);
    resized.observe(root); // a verdict that appears above the log makes it smaller
    root.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.follow.addEventListener("click", () => this.#toTheEnd());
    this.earlier.addEventListener("click", () => this.#queue(() => this.#loadEarlier()));
    this.later.addEventListener("click", () => this.#queue(() => this.#loadLater()));
    addEventListener("hashchange", () => this.#mark() || this.#loadWanted());
  }

  // Loads the part that the address asks for. When the promise resolves, `position` and `atEnd` are set.
  load() {
    return this.#queue(async () => {
      const wanted = this.#wantedLine();
      let part = await this.#fetch(`last=${TAIL_LINES}`);
      if (wanted && wanted < part.line) part = await this.#partWith(wanted);
      this.#reset(part);
      await this.#append(part.data);
      this.atEnd = !wanted || this.position >= part.size;
      this.#buttons();
      if (wanted) this.#mark();
      else this.#jumpToEnd();
    });
  }

  // Adds bytes that end at `end`, without those that are shown already.
  add(bytes, end) {
    return this.#queue(async () => {
      const start = end - bytes.length;
      if (end <= this.position) return;
      // A reader who scrolled up keeps those lines; new output is loaded on demand.
      if (!this.following && this.lines.childElementCount > BLOCKS_MAX) this.#stopAdding();
      if (!this.atEnd) return;
      await this.#append(bytes.subarray(Math.max(0, this.position - start)));
      this.#buttons();
    });
  }

  #stopAdding() {
    this.atEnd = false;
    this.#buttons();
    this.root.dispatchEvent(new CustomEvent("log-paused"));
  }

  #queue(job) {
    this.work = this.work.then(job, job);
    return this.work;
  }

  async #fetch(query) {
    const response = await fetch(`${this.root.dataset.log}?${query}`);
    if (!response.ok) throw new Error((await response.json()).error);
    const number = (name) => Number(response.headers.get(name));
    return {
      data: new Uint8Array(await response.arrayBuffer()),
      offset: number("x-log-offset"),
      line: number("x-log-line"),
      size: number("x-log-size"),
      complete: response.headers.get("x-log-complete") === "true",
    };
  }

  async #partWith(line) {
    const before = Math.max(1, line - BLOCK_LINES);
    const part = await this.#fetch(`line=${before}&lines=${TAIL_LINES}`);
    if (afterNewlines(part.data, 0).length > line - before) return part;
    return this.#fetch(`line=${line}&lines=${TAIL_LINES}`); // very long lines: that part ended before the line
  }

  #reset(part) {
    this.lines.replaceChildren();
    this.decoder = new TextDecoder();
    this.ansi = newAnsi();
    this.rest = "";
    this.restLine = null;
    this.firstLine = part.line;
    this.nextLine = part.line;
    this.position = part.offset;
    this.restAt = part.offset; // where the unfinished line begins
    this.size = part.size;
    this.complete = part.complete;
  }

  async #append(bytes) {
    const starts = [this.restAt, ...afterNewlines(bytes, this.position)];
    this.position += bytes.length;
    const pieces = (this.rest + this.decoder.decode(bytes, { stream: true })).split("\n");
    this.rest = keptOfUnfinished(pieces.pop());
    this.restAt = starts.at(-1);
    for (let done = 0; done < pieces.length; done += SLICE_LINES) {
      if (done) await yieldToBrowser();
      this.#render(pieces.slice(done, done + SLICE_LINES), starts.slice(done));
    }
    this.#renderRest();
    this.sources.soon();
    this.none.hidden = this.nextLine > this.firstLine || this.rest !== "";
    if (this.following) this.#jumpToEnd();
  }

  #render(pieces, starts) {
    this.restLine?.remove();
    this.restLine = null;
    let block = this.lines.lastElementChild;
    for (const [index, piece] of pieces.entries()) {
      if (!block || block.childElementCount >= BLOCK_LINES) {
        block = document.createElement("div");
        block.className = "block";
        this.lines.append(block);
      }
      const line = lineElement(this.nextLine++, starts[index]);
      paint(line.lastChild, this.ansi.ansi_to_html(displayed(piece)));
      block.append(line);
    }
    while (this.following && this.lines.childElementCount > BLOCKS_MAX) {
      this.firstLine += this.lines.firstElementChild.childElementCount;
      this.lines.firstElementChild.remove();
    }
  }

  // The unfinished last line: without colours, because these may change until it ends.
  #renderRest() {
    if (this.rest === "") return;
    if (!this.restLine) {
      this.restLine = lineElement(this.nextLine, this.restAt);
      const last = this.lines.lastElementChild;
      const block = last ?? document.createElement("div");
      if (!last) {
        block.className = "block";
        this.lines.append(block);
      }
      block.append(this.restLine);
    }
    this.restLine.lastChild.textContent = displayed(this.rest.replace(ESCAPES, ""));
  }

  async #loadEarlier() {
    let count = Math.min(TAIL_LINES, this.firstLine - 1);
    let pieces = [];
    let starts = [];
    while (count > 0) {
      const part = await this.#fetch(`line=${this.firstLine - count}&lines=${count}`);
      starts = [part.offset, ...afterNewlines(part.data, part.offset)];
      pieces = new TextDecoder().decode(part.data).split("\n");
      if (pieces.at(-1) === "") pieces.pop();
      // Very long lines: a part has a limit in bytes, so fetch fewer lines.
      if (pieces.length >= count || count === 1) break;
      count = Math.max(1, Math.floor(count / 4));
    }
    const ansi = newAnsi();
    const blocks = [];
    pieces.slice(0, count).forEach((piece, index) => {
      if (index % BLOCK_LINES === 0) {
        blocks.push(document.createElement("div"));
        blocks.at(-1).className = "block";
      }
      const line = lineElement(this.firstLine - count + index, starts[index]);
      paint(line.lastChild, ansi.ansi_to_html(displayed(piece)));
      blocks.at(-1).append(line);
    });
    const fromBottom = this.root.scrollHeight - this.root.scrollTop;
    this.following = false;
    this.lines.prepend(...blocks);
    this.firstLine -= count;
    this.root.scrollTop = this.root.scrollHeight - fromBottom;
    this.sources.soon();
    this.#buttons();
  }

  async #loadLater() {
    const part = await this.#fetch(`offset=${this.position}&max_bytes=${PART_BYTES}`);
    this.size = part.size;
    this.complete = part.complete;
    await this.#append(part.data);
    this.atEnd = this.position >= part.size;
    this.#buttons();
    if (this.atEnd) this.root.dispatchEvent(new CustomEvent("log-at-end"));
  }

  #buttons() {
    this.earlier.hidden = this.firstLine <= 1;
    this.later.hidden = this.atEnd;
    this.follow.hidden = this.following;
    this.note.textContent = this.firstLine > 1 ? `From line ${this.firstLine.toLocaleString()}` : "";
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.root;
    const up = scrollTop < this.scrollTop;
    this.scrollTop = scrollTop;
    // New lines and layout move the end, but only the reader scrolls up.
    if (scrollHeight - scrollTop - clientHeight < AT_BOTTOM_PX) this.following = this.atEnd;
    else if (up) this.following = false;
    this.follow.hidden = this.following;
  }

  async #toTheEnd() {
    if (this.atEnd) return this.#jumpToEnd();
    history.replaceState(null, "", location.pathname + location.search);
    await this.load();
    return this.root.dispatchEvent(new CustomEvent("log-at-end"));
  }

  #jumpToEnd() {
    this.following = true;
    this.follow.hidden = true;
    this.root.scrollTop = this.root.scrollHeight;
    this.scrollTop = this.root.scrollTop;
  }

  #wantedLine() {
    return Number(/^#L(\d+)$/.exec(location.hash)?.[1] ?? 0);
  }

  // Marks the wanted line and scrolls to it. Returns false if it is not loaded.
  #mark() {
    this.lines.querySelector(".marked")?.classList.remove("marked");
    const line = this.lines.querySelector(`#L${this.#wantedLine()}`);
    if (!line) return false;
    line.classList.add("marked");
    this.following = false;
    line.scrollIntoView({ block: "center" });
    this.#buttons();
    return true;
  }

  // Loads the part that the wanted line is in.
  async #loadWanted() {
    if (!this.#wantedLine() || (this.atEnd && this.#wantedLine() > this.firstLine)) return;
    await this.load();
    if (!this.atEnd) this.root.dispatchEvent(new CustomEvent("log-paused"));
  }
}
